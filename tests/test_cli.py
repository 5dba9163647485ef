"""The command line: quick help, honest exit codes, and every verb on small inputs."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pets import collection
from toy_collection import toy_catalogue

from flanlib.commands import arguments, cli
from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import DataError, LeakageError, MissingResultError, ParameterError

VERBS = list(cli.ORDER)


@pytest.fixture
def toys(tmp_path):
    folder = tmp_path / "toys"
    folder.mkdir()
    toy_catalogue(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from flanlib.models import rehearsal

    return rehearsal.random_neox(tmp_path_factory.mktemp("models") / "tiny", seed=2)


def run(capsys, *words, **given):
    status = cli.main([str(word) for word in words], **given)
    out, err = capsys.readouterr()
    return status, out, err


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _spent(code):
    """What a program did, and the processor seconds that it took, the least of three runs."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return done, min(taken)


def test_help_is_fast_and_imports_nothing_heavy():
    code = (
        "import sys; from flanlib.commands.cli import main; main(['--help']);"
        "heavy = {'torch', 'transformers', 'pandas', 'numpy', 'pydantic'} & set(sys.modules);"
        "sys.exit(','.join(heavy) or 0)"
    )
    done, taken = _spent(code)
    _, plain = _spent("import argparse, ast, importlib.metadata")
    assert done.returncode == 0, done.stderr
    assert taken < 6 * plain + 0.1
    assert all(verb in done.stdout for verb in VERBS)


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "flanlib", "--version"], capture_output=True)
    assert done.returncode == 0 and done.stdout.strip()


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_means(verb):
    module, summary = cli.verbs()[verb]
    found = arguments.arguments(cli._find(module, verb))
    assert summary.endswith(".") and len(summary) <= 80
    assert [a.name for a in found if not a.help] == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(ParameterError, 2), (MissingResultError, 3), (DataError, 1), (LeakageError, 1)],
)
def test_errors_have_their_exit_status_and_one_line(error, status, capsys):
    def fail(words):
        assert words == ["list"]
        raise error("task rte: what was found; what to do")

    found, out, err = run(capsys, "list", act=fail)
    assert (found, out, err) == (status, "", "flanlib: task rte: what was found; what to do\n")
    with pytest.raises(error):
        cli.main(["list", "--debug"], fail)


@pytest.mark.parametrize(
    "words",
    [
        ["lsit"],
        ["list", "--colection", "flan"],
        ["list", "--count", "both"],
        ["tune", "--out", "x", "--steps", "0"],
        ["tune", "--out", "x", "--steps", "many"],
        ["tune"],
        ["list", "--collect", "flan"],
        ["mix", "--collection", "flan", "--held-out", "nile"],
        [],
    ],
)
def test_wrong_usage_is_2(words, capsys):
    status, out, err = run(capsys, *words)
    assert status == 2 and not out and err


def test_missing_rows_are_3_and_say_how_to_get_them(capsys):
    status, _, err = run(
        capsys, "render", "--collection", "flan", "--task", "cb", "--rows", "/none"
    )
    assert status == 3 and "/none" in err


def test_options_are_the_fields_of_factors_and_recipe():
    found = {a.name: a for a in arguments.arguments(cli._find("verbs_study", "tune"))}
    for kind in (Factors, Recipe):
        for name, field in kind.__dataclass_fields__.items():
            assert found[name].default == field.default
    assert found["clusters"].several and not found["steps"].several


def test_list_flan_counts_as_the_paper_does(capsys):
    status, out, _ = run(capsys, "list", "--collection", "flan", "--format", "json")
    found = json.loads(out)
    datasets = [d for cluster in found["clusters"] for d in cluster["datasets"]]
    assert status == 0 and len(found["clusters"]) == 12 and len(datasets) == 62
    assert all(d["n_templates"] == len(d["templates"]) == 10 for d in datasets)
    assert all(d["n_inverted"] <= 3 for d in datasets)
    _, out, _ = run(capsys, "list", "--collection", "flan", "--count", "code", "--format", "json")
    tasks = [t["key"] for cluster in json.loads(out)["clusters"] for t in cluster["tasks"]]
    assert len(tasks) == len(set(tasks)) > 62


def test_list_without_a_collection_names_them(capsys):
    _, out, _ = run(capsys, "list")
    assert "micro" in out and "flan" in out


def test_render_writes_prompts_and_checks(toys, capsys):
    status, out, err = run(
        capsys, "render", "--collection", toys, "--tasks", "rain,soup", "--limit", "2"
    )
    found = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and len(found) == 2 * 2 * 10 and "40 prompts" in err
    assert found[0]["options"] == ["no", "yes"]
    status, out, _ = run(capsys, "render", "--collection", toys, "--check", "--format", "json")
    assert status == 0 and json.loads(out)["n_problems"] == 0
    status, _, err = run(capsys, "render", "--collection", toys, "--check", "--form", "none")
    assert status == 2 and "--form" in err


def test_an_option_given_twice_adds_up(toys, capsys):
    start = ["render", "--collection", toys, "--limit", "2"]
    _, once, _ = run(capsys, *start, "--tasks", "rain", "soup")
    _, twice, _ = run(capsys, *start, "--tasks", "rain", "--tasks", "soup")
    assert once == twice and len(once.splitlines()) == 2 * 2 * 10


def test_mix_writes_a_mixture_and_its_audit(toys, tmp_path, capsys):
    out = tmp_path / "made" / "mixture.jsonl"
    words = ["mix", "--collection", toys, "--held-out", "weather", "--seed", 3, "--n", 25]
    status, shown, _ = run(capsys, *words, "--out", out)
    found = lines(out)
    assert status == 0 and len(found) == 25
    assert not {"rain", "stars"} & {line["task"] for line in found}
    audit = json.loads(out.with_suffix(".audit.json").read_text())
    assert audit["shared_texts"] == 0 and "held out: weather" in shown
    status, shown, err = run(capsys, *words)
    assert [json.loads(line) for line in shown.splitlines()] == found and "weather" in err


def test_a_failed_mix_leaves_no_file(toys, tmp_path, capsys):
    path = Path(toys) / "templates" / "bread.yaml"
    path.write_text(path.read_text().replace("Way 7: {{ text }}?", "{{ text.split('-')[1] }}?"))
    status, _, err = run(capsys, "mix", "--collection", toys, "--out", tmp_path / "m.jsonl")
    assert status == 1 and "writing" in err and "ask-7" in err
    assert not list(tmp_path.glob("*m.*"))


def test_audit_names_substitutions_and_what_is_missing(toys, capsys):
    shutil.rmtree(Path(toys) / "rows" / "rain")
    status, out, _ = run(capsys, "audit", "--collection", toys, "--texts")
    assert status == 3 and "weather" in out and "rain" in out
    status, out, _ = run(capsys, "audit", "--collection", "micro", "--format", "json")
    found = json.loads(out)
    assert status == 0 and len(found["splits"]) == 10
    assert all(not line["shared_datasets"] for line in found["splits"])


def test_fetch_of_generated_rows_has_nothing_to_do(capsys):
    status, out, _ = run(capsys, "fetch", "--collection", "micro", "--task", "rte")
    assert status == 0 and json.loads(out) == {"rte": None}


def test_tune_then_score_the_adapter(toys, tiny, tmp_path, capsys):
    out = tmp_path / "adapter"
    words = [
        "tune",
        "--collection",
        toys,
        "--held-out",
        "weather",
        "--model",
        tiny,
        "--out",
        out,
    ]
    small = ["--steps", 2, "--examples-per-step", 2, "--rank", 2, "--seed", 5]
    status, shown, _ = run(capsys, *words, *small)
    assert status == 0 and json.loads(shown)["steps"] == 2
    assert (out / "adapter_model.safetensors").is_file()
    scored = tmp_path / "scores"
    words = ["score", "--model", tiny, "--adapter", out, "--collection", toys, "--out", scored]
    status, shown, _ = run(
        capsys, *words, "--tasks", "rain", "bread", "--max-examples", 2, "--max-new-tokens", 3
    )
    assert status == 0 and [line["task"] for line in json.loads(shown)] == ["rain", "bread"]
    assert {line["asked"]["quantization"] for line in lines(scored / "results.jsonl")} == {"nf4"}
    assert len(list(scored.glob("*/*.parquet"))) == 2


def test_dry_run_predicts_and_refuses_what_will_not_fit(toys, tiny, capsys):
    words = ["tune", "--collection", toys, "--held-out", "weather", "--model", tiny, "--dry-run"]
    status, out, _ = run(capsys, *words, "--rank", 2)
    assert status == 0 and "tokens per step" in out and "GiB" in out
    assert ("by a trial" in out) == ("peak on cpu" in out)
    status, out, err = run(capsys, *words, "--available-gib", "0.0001")
    assert status == 1 and "tuning needs" in err and "GiB" in out
    status, _, err = run(capsys, *words[:-1])
    assert status == 2 and "--out" in err


def test_scoring_again_reads_what_is_there(toys, tiny, tmp_path, capsys):
    words = [
        "score",
        "--model",
        tiny,
        "--collection",
        toys,
        "--tasks",
        "rain",
        "--max-examples",
        2,
    ]
    _, first, _ = run(capsys, *words, "--out", tmp_path / "s")
    (shard,) = (tmp_path / "s").glob("*/*.parquet")
    before = shard.stat()
    status, second, _ = run(capsys, *words, "--out", tmp_path / "s")
    after = shard.stat()
    assert status == 0 and first == second
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_score_ready_made_prompts_equals_a_plain_forward_pass(tiny, tmp_path, capsys):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = [
        {"id": "a", "input": "Is it raining?", "options": ["yes", "no, not now"], "gold": 1},
        {"id": 7, "input": "Zwölf", "options": ["x", "yy", "zzz"], "gold": 0},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in asked))
    status, shown, _ = run(
        capsys,
        *("score", "--model", tiny, "--prompts", path, "--option-prefix", "\n"),
        *("--out", tmp_path / "out"),
    )
    lm, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    right = 0
    for line, found in zip(asked, lines(tmp_path / "out" / "scores.jsonl"), strict=True):
        sums = []
        for option in line["options"]:
            prompt = tokenizer(line["input"], add_special_tokens=False)["input_ids"]
            target = tokenizer("\n" + option, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = lm(torch.tensor([prompt + target])).logits[0].double()
            logs = torch.log_softmax(logits[len(prompt) - 1 : -1], -1)
            sums.append(logs[range(len(target)), target].sum().item())
        assert found["id"] == line["id"]
        assert found["ll"] == pytest.approx(sums, abs=1e-4)
        assert found["n_bytes"] == [len(option) + 1 for option in line["options"]]
        right += sums.index(max(sums)) == line["gold"]
    assert status == 0 and json.loads(shown)["accuracy"] == pytest.approx(50 * right)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": 1, "input": "a"}', "no 'options'"),
        ('{"id": 1, "input": "", "options": ["a"]}', "input is ''"),
        ('{"id": 1, "input": "a", "options": "yes"}', "options is 'yes'"),
        ('{"id": 1, "input": "a", "options": ["a", "b"], "gold": 2}', "gold is 2"),
        ("[1]", "a list"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_prompt_names_file_and_line(line, message, tiny, tmp_path, capsys):
    good = '{"id": 0, "input": "a", "options": ["b", "c"]}\n'
    path = tmp_path / "prompts.jsonl"
    path.write_text(good + line + "\n")
    status, _, err = run(
        capsys, "score", "--model", tiny, "--prompts", path, "--out", tmp_path / "out"
    )
    assert status == 1 and "prompts.jsonl:2" in err and message in err


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "sead=3"],
        ["--set", "cluster"],
        ["--only", "fig99"],
        ["--profile", "nano"],
        ["--held-out", "nile"],
        ["--profile", "rehearsal"],
    ],
)
def test_run_refuses_before_a_kernel_starts(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FLANLIB_BUILD", str(tmp_path))
    status, _, err = run(capsys, "run", *words)
    assert status == 2 and err
    assert not (tmp_path / "notebooks").exists()  # it is made for the copy that a kernel fills


def test_doctor_reports_and_advises():
    out = command("doctor", HF_HUB_OFFLINE="1").stdout.decode()
    for name in ("python", "libraries", "device", "nf4", "hub", "cache", "disk", "models"):
        assert name in out
    assert "offline" in out and out.splitlines()[-1].startswith("Next: ")
    (each,) = re.findall(r"\d+ runs? at a time with (\d+) threads?", out)
    assert re.search(rf"time +ok +with {each} threads?: micro, ", out), "as the policy has it"


def test_a_hub_problem_is_never_needed():
    from flanlib.commands import doctor

    for url in ("mirror.example", "file:///etc/hosts", "http://a b"):
        ok, text = doctor._answers(url)
        assert not ok and f"HF_ENDPOINT is {url!r}" in text
    assert not doctor.LOOKS[doctor._hub] and not doctor.LOOKS[doctor._cache]


def test_doctor_counts_tasks_that_have_rows(tmp_path, monkeypatch):
    from flanlib.commands import doctor

    monkeypatch.setenv("FLANLIB_CACHE", str(tmp_path))
    (tmp_path / "rows" / "flan" / "rte").mkdir(parents=True)
    assert not doctor._cache()[0] and "0 tasks fetched" in doctor._cache()[1]
    (tmp_path / "rows" / "flan" / "rte" / "train.jsonl").write_text("{}\n")
    assert doctor._cache()[0] and "1 tasks fetched" in doctor._cache()[1]


def test_devices_are_told_without_linux(tmp_path):
    """As on macOS, which has no /proc and no affinity."""
    from types import SimpleNamespace

    from flanlib.core import devices, threads

    nowhere = tmp_path / "proc"
    devices.forget_peak("cpu", nowhere)
    assert threads.cores(SimpleNamespace()) >= 1
    assert devices.peak_memory_gib("cpu", nowhere) == round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30, 3
    )
    assert devices.available_gib("cpu") > devices.resident_gib()


def command(*words, **environment):
    """The command in a process of its own, as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "flanlib", *words],
        capture_output=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_data_is_utf8_and_messages_are_written_in_any_locale(environment, tmp_path, monkeypatch):
    folder = tmp_path / "töys"
    folder.mkdir()
    toy_catalogue(folder)
    done = command("list", "--collection", str(folder), "--format", "json", **environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["collection"] == "töys"
    done = command("render", "--task", "Ünï", **environment)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("list > /dev/full", 1),
        ("render --task rte > /dev/full", 1),
        ("list >&-", 2),
        ("list 2>&-", 0),
        ("list --format json | true", 0),
    ],
)
def test_an_output_that_takes_nothing_is_told_in_one_line(words, status):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m flanlib {words}"], capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == (status > 0) and "Traceback" not in done.stderr
    if status:
        assert "standard output" in done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FLANLIB_ROOT": "/no/such"}, "FLANLIB_ROOT: /no/such has no folder data/"),
        ({"FLANLIB_BUILD": __file__}, "is no folder"),
        ({"FLANLIB_CACHE": __file__ + "/x"}, f"FLANLIB_CACHE: {__file__} is no folder"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "abc"}, "HF_"),
    ],
)
def test_surroundings_that_cannot_be_are_told_in_one_line(environment, message):
    done = command("list", **environment)
    told = done.stderr.decode()
    assert done.returncode == 2 and told.count("\n") == 1 and message in told


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (RecursionError("maximum recursion depth exceeded"), "unexpected RecursionError"),
        (ValueError("x" * 9_000 + "\n" * 50), "unexpected ValueError; --debug shows where"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "unexpected UnicodeEncodeError"),
        (AssertionError(), "unexpected AssertionError"),
        (OSError(28, "No space left on device", "a/b"), "a/b: No space left on device"),
        (DataError("\n".join("abcdefghijkl")), "more lines"),
    ],
)
def test_whatever_happens_is_told_in_a_few_lines(error, message, capsys):
    def fail(words):
        raise error

    status, out, err = run(capsys, "list", act=fail)
    assert status == 1 and not out and message in err
    assert len(err) < 700 and err.count("\n") <= 10
    with pytest.raises(type(error)):
        cli.main(["list", "--debug"], fail)


def test_a_mixture_has_as_many_examples_as_it_draws_from(toys, capsys):
    words = ["mix", "--collection", toys, "--held-out", "weather", "--n-examples", 2]
    status, out, err = run(capsys, *words)
    n = len(out.splitlines())
    assert status == 0 and f"{n} examples of {n // 2} tasks; writing {n}" in err


@pytest.fixture
def unreadable(tmp_path):
    """A folder that goes for a model until one tries to load it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{")
    return tmp_path / "model"


def test_names_are_checked_before_a_model_is_loaded(toys, unreadable, tmp_path, capsys):
    words = ["score", "--model", unreadable, "--collection", toys, "--out", tmp_path / "x"]
    status, _, err = run(capsys, *words, "--tasks", "rainn")
    assert status == 2 and "did you mean 'rain'" in err
    status, _, err = run(capsys, *words, "--tasks", "rain")
    assert status == 1 and str(unreadable) in err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--tasks", "vets", "--rows", "nowhere"], 3, "nowhere: no such folder of rows"),
        (["--prompts", "nowhere.jsonl"], 3, "nowhere.jsonl: no such file of prompts"),
        (["--prompts", "x", "--choice", "token"], 2, "--choice has no meaning with --prompts"),
        (["--prompts", "x", "--tasks", "vets"], 2, "--tasks has no meaning with --prompts"),
        (["--prompts", "x", "--shots", "2"], 2, "--shots has no meaning with --prompts"),
        (["--prompts", "x", "--no-show-options"], 2, "--show-options has no meaning with"),
        (["--option-prefix", " "], 2, "--option-prefix has no meaning without --prompts"),
    ],
)
def test_what_cannot_be_scored_is_told_before_a_model_is_loaded(
    words, status, said, unreadable, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    pets = ["--collection", str(collection(tmp_path / "pets").root)] * ("--prompts" not in words)
    found, _, err = run(capsys, "score", "--model", unreadable, *pets, "--out", "o", *words)
    assert found == status and err.count("\n") == 1 and said in err


@pytest.mark.parametrize("verb", ["mix", "render"])
def test_a_file_is_not_named_like_a_folder(verb, toys, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, verb, "--collection", toys, "--out", "new/")
    assert status == 2 and "--out: 'new/' is not the name of a file" in err
    assert not (tmp_path / "new").exists()


def test_mixtures_of_like_names_keep_their_audits(toys, tmp_path, capsys):
    for n, name in ((3, "a.v1"), (4, "a.v2"), (5, "a.jsonl")):
        run(capsys, "mix", "--collection", toys, "--limit", n, "--out", tmp_path / name)
    audits = ("a.v1.audit.json", "a.v2.audit.json", "a.audit.json")
    found = [json.loads((tmp_path / name).read_text())["tasks"][0]["n"] for name in audits]
    assert found == [3, 4, 5]


def test_the_version_option_is_suggested(capsys):
    status, _, err = run(capsys, "--versoin")
    assert status == 2 and "did you mean '--version'" in err


@pytest.mark.parametrize("verb", ["mix", "tune"])
def test_a_study_without_rows_is_told_shortly(verb, tmp_path, capsys):
    model = ["--model", "micro-300k", "--out", tmp_path / "out"] * (verb == "tune")
    words = [verb, "--collection", "flan", "--held-out", "nli", "--rows", tmp_path, *model]
    status, _, err = run(capsys, *words)
    assert status == 3 and len(err) < 500 and "copa: no rows in" in err and "more" in err


def test_an_export_without_rows_is_told_shortly(capsys, tmp_path):
    words = ["export", "--collection", "flan", "--to", "lm-eval", "--out", tmp_path / "out"]
    status, _, err = run(capsys, *words, "--rows", tmp_path)
    assert status == 3 and len(err) < 1_300 and "and 69 more" in err


@pytest.fixture
def manual(tmp_path):
    """A collection whose rows each user has to obtain."""
    task = """
  - {{key: {0}, title: {0}, dataset: {0}, cluster: {1}, kind: rank, metric: accuracy,
     options: [bad, good], columns: {{fields: [text], label: label}},
     source: {{route: manual, obtain: your own, splits: {{train: train, eval: test}}}}}}"""
    (tmp_path / "pets" / "templates").mkdir(parents=True)
    (tmp_path / "pets" / "catalogue.yaml").write_text(
        "title: Pets\nclusters:\n"
        "  - {key: nli, title: Moods, domain: NLU}\n  - {key: habits, title: H, domain: NLU}\n"
        f"tasks:{task.format('vets', 'nli')}{task.format('food', 'habits')}\n"
    )
    for name in ("vets", "food"):
        (tmp_path / "pets" / "templates" / f"{name}.yaml").write_text(
            f'dataset: {name}\nname: {name}\nfields: [text]\nplain: "{{{{ text }}}}"\n'
            'templates:\n  - {id: ask, input: "{{ text }}?"}\n'
        )
    return str(tmp_path / "pets")


@pytest.mark.parametrize(
    "words",
    [
        ["score", "--model", "micro-300k", "--out", "x"],
        *(["figures", "--only", f"fig{n}"] for n in (1, 2, 5, 6, 7, 8, 9, 10, 11, 12)),
        ["grid"],
    ],
)
def test_without_any_rows_the_reason_is_told(words, manual, tmp_path, capsys):
    status, out, err = run(capsys, *words, "--collection", manual, "--rows", tmp_path)
    assert (status, out) == (3, ""), err
    assert "no rows in" in err and len(err) < 1_300 and "unexpected" not in err


def test_an_unknown_model_is_told_before_rows_are_read_or_a_kernel_starts(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("FLANLIB_BUILD", str(tmp_path / "build"))
    for words in (
        ["mix", "--model", "micro2m", "--rows", tmp_path / "none"],
        ["tune", "--model", "micro2m", "--rows", tmp_path / "none", "--out", "x"],
        ["run", "--model", "micro2m"],
    ):
        status, _, err = run(capsys, *words)
        assert status == 1 and "did you mean 'micro-2m'" in err, err
    assert not (tmp_path / "build" / "notebooks").exists()


def test_a_root_without_collections_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    done = command("list", FLANLIB_ROOT=str(tmp_path))
    assert done.returncode == 3 and b"no collection in it" in done.stderr
