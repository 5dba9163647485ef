"""Exports are what lm-evaluation-harness, TRL and others read."""

import json
import shutil
from dataclasses import fields, replace

import pytest
import yaml
from toy_collection import toy_catalogue, toy_rows, write_rows

from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.prompts import rendering
from flanlib.prompts.export import FORMATS, export, write_mixture
from flanlib.prompts.mixture import mixture
from flanlib.prompts.stream import Mixture


@pytest.fixture
def toys(tmp_path, monkeypatch):
    (tmp_path / "toys").mkdir()
    return toy_catalogue(tmp_path / "toys")


@pytest.fixture(scope="module")
def model():
    """A tiny random model and a tokenizer of bytes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<end>", *alphabet])}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", pad_token="<pad>", model_max_length=512
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return transformers.LlamaForCausalLM(config), tokenizer


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_an_unknown_target_is_refused(toys, tmp_path):
    with pytest.raises(ParameterError, match="to: 'parrot' is not lm-eval, jsonl"):
        export(toys, "parrot", tmp_path / "out")


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_a_mixture_is_written_whole(toys, tmp_path, to):
    out = export(toys, to, tmp_path / "out", held_out="weather", seed=4, n=50)
    prompts = mixture(toys, "weather", seed=4).take(50)
    rows = read(out / "train.jsonl")
    asked, answered = {
        "jsonl": (lambda r: r["input"] + r["separator"], "target"),
        "trl": (lambda r: r["prompt"], "completion"),
        "axolotl": (lambda r: r["instruction"] + "\n", "output"),
        "llama-factory": (lambda r: r["instruction"], "output"),
    }[to]
    assert [asked(r) for r in rows] == [p.input + p.separator for p in prompts]
    assert [r[answered] for r in rows] == [p.target for p in prompts]
    audit = json.loads((out / "audit.json").read_text())
    assert (audit["held_out"], audit["shared_texts"]) == ("weather", 0)
    assert "held_out='weather'" in (out / "README.md").read_text()


def test_settings_name_the_columns_that_were_written(toys, tmp_path):
    out = export(toys, "axolotl", tmp_path / "axolotl", n=2)
    (dataset,) = yaml.safe_load((out / "dataset.yaml").read_text())["datasets"]
    row = read(out / dataset["path"])[0]
    kind = dataset["type"]
    assert kind["no_input_format"].format(instruction="Ask {x}?") == "Ask {x}?\n"
    assert {kind["field_instruction"], kind["field_output"]} == set(row)
    out = export(toys, "llama-factory", tmp_path / "factory", n=2)
    ((name, content),) = json.loads((out / "dataset_info.json").read_text()).items()
    assert name == toys.name
    assert set(content["columns"].values()) == set(read(out / content["file_name"])[0])


def test_mix_writes_lines_and_the_audit_beside_them(toys, tmp_path, model):
    out = tmp_path / "deep" / "mixture.jsonl"
    mixed = mixture(toys, "weather", seed=4)
    audit = write_mixture(mixed, 30, out, model[1])
    prompts = mixed.take(30)
    assert [(r["input"], r["target"]) for r in read(out)] == [(p.input, p.target) for p in prompts]
    content = json.loads((out.parent / "mixture.audit.json").read_text())
    assert content == json.loads(json.dumps(audit.to_dict()))
    assert [side["side"] for side in content["tokens"]] == ["input", "target"]


def test_evaluation_tasks_hold_the_rendered_rows(toys, tmp_path):
    out = export(toys, "lm-eval", tmp_path / "out", tasks=["soup", "bread"])
    name = f"{toys.name}_soup"
    tasks = yaml.safe_load((out / f"{name}.yaml").read_text())["task"]
    assert tasks == [f"{name}_ask-{i}" for i in range(8)]
    rows = read(out / "data/soup/ask-3.jsonl")
    prompts = list(rendering.render(toys, tasks=["soup"], template="ask-3"))
    assert [(r["query"], tuple(r["choices"]), r["gold"]) for r in rows] == [
        (p.input, p.options, p.gold) for p in prompts
    ]


def test_evaluation_tasks_without_rows_are_named(toys, tmp_path):
    shutil.rmtree(toys.root / "rows" / "soup")
    out = export(toys, "lm-eval", tmp_path / "out")
    assert "- soup: task soup: no rows in" in (out / "README.md").read_text()
    with pytest.raises(MissingResultError, match="soup: no rows in"):
        export(toys, "lm-eval", tmp_path / "none", tasks=["soup"])


def test_the_harness_loads_and_scores(toys, tmp_path, model):
    pytest.importorskip("lm_eval", reason="lm_eval is not installed (a test-only extra)")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    out = export(toys, "lm-eval", tmp_path / "out")
    lm = HFLM(pretrained=model[0], tokenizer=model[1], batch_size=8, max_length=512)
    names = [f"{toys.name}_{key}" for key in ("soup", "bread")]
    found = simple_evaluate(
        lm,
        tasks=names,
        task_manager=TaskManager(include_path=str(out), include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )
    for key in ("soup", "bread"):
        assert len(found["group_subtasks"][f"{toys.name}_{key}"]) == 8
    soup = found["results"][f"{toys.name}_soup"]
    parts = [found["results"][f"{toys.name}_soup_ask-{i}"]["acc,none"] for i in range(8)]
    assert soup["acc,none"] == pytest.approx(sum(parts) / 8)
    sample = found["samples"][f"{toys.name}_soup_ask-3"][0]
    prompt = next(rendering.render(toys, tasks=["soup"], template="ask-3"))
    asked = [(prompt.input, f"\n{option}") for option in prompt.options]
    assert [tuple(a) for a in sample["arguments"]] == asked
    assert sample["target"] == prompt.gold
    bread = found["samples"][f"{toys.name}_bread_ask-0"][0]
    assert bread["target"] == ["bread answer 0"]
    assert "exact_match" in bread


def test_trl_reads_prompts_and_completions(toys, tmp_path, model):
    trl = pytest.importorskip("trl", reason="trl is not installed (a test-only extra)")
    datasets = pytest.importorskip("datasets")

    out = export(toys, "trl", tmp_path / "out", held_out="weather", n=16)
    rows = datasets.load_dataset(
        "json", data_files=str(out / "train.jsonl"), cache_dir=str(tmp_path / "cache")
    )["train"]
    trainer = trl.SFTTrainer(
        model=model[0],
        processing_class=model[1],
        train_dataset=rows,
        args=trl.SFTConfig(
            output_dir=str(tmp_path / "run"),
            max_steps=1,
            per_device_train_batch_size=4,
            report_to="none",
            use_cpu=True,
            max_length=None,
        ),
    )
    batch = trainer.data_collator([trainer.train_dataset[0]])
    kept = batch["input_ids"][0][batch["labels"][0] != -100].tolist()
    assert model[1].decode(kept) == rows[0]["completion"] + "<end>"
    assert trainer.train().training_loss > 0


def test_a_failed_export_leaves_the_earlier_one(toys, tmp_path):
    out = export(toys, "lm-eval", tmp_path / "out", tasks=["soup"])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for split in ("train", "eval"):
        write_rows(toys.root, "bread", split, [{"text": "no answer"}])
    for to in ("lm-eval", "trl"):
        with pytest.raises(DataError, match="no column 'answer'"):
            export(toys, to, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [p.name for p in tmp_path.iterdir() if p.name != "toys"] == ["out"]


def test_a_folder_that_no_export_wrote_is_left_alone(toys, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export(toys, "trl", out, n=2)
    for manifest in ("[]", "{}", '{"weights": "ab"}', '{"export": 1, "files": {"a": 1}}'):
        (out / "manifest.json").write_text(manifest)
        with pytest.raises((ParameterError, DataError), match=r"delete|give another"):
            export(toys, "trl", out, n=2)
    (out / "manifest.json").unlink()
    with pytest.raises(ParameterError, match=r"out: holds README\.md, which was not written by"):
        export(toys, "trl", out, n=2)


def test_parts_of_an_export_that_would_share_a_file_are_refused(toys, tmp_path):
    """The group of task `weather` has the name of the group of cluster `weather`."""
    task = toys.tasks["soup"]
    write_rows(toys.root, "weather", "eval", toy_rows("soup", "eval"))
    tasks = {"weather": replace(task, key="weather"), "rain": toys.tasks["rain"]}
    with pytest.raises(DataError, match=r"toys_weather\.yaml: would be written twice"):
        export(replace(toys, tasks=tasks), "lm-eval", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mixture_and_its_audit_come_together(toys, tmp_path):
    out = tmp_path / "m.jsonl"
    mixed = mixture(toys, "weather", seed=0)
    write_mixture(mixed, 5, out)
    before = [out.read_text(), (tmp_path / "m.audit.json").read_text()]

    class Unaudited(Mixture):
        def audit(self, *_):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_mixture(Unaudited(**{f.name: getattr(mixed, f.name) for f in fields(mixed)}), 9, out)
    assert [out.read_text(), (tmp_path / "m.audit.json").read_text()] == before
