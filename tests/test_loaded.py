"""What was loaded is what was asked for: checkpoints, adapters, tokenizers, settings."""

import json
import os
import pickle
import shutil
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_models import FAMILIES, byte_tokenizer, random_model

from flanlib.commands import cli
from flanlib.core import devices, quiet
from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import DataError, FlanlibError, ParameterError, RunError
from flanlib.models import adapters, language_model, loading, rehearsal, weights
from flanlib.training import checkpoint, result

RECIPE = Recipe(rank=4, alpha=8, prompt_tokens=5, quantization="none")
LAYOUTS = ("llama", "gpt_neox", "gpt2")
WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
SLOW = r"(?:(.|.)+)+[1-9]"  # takes ages where it does not match
IDS = torch.tensor([[9, 40, 77, 12, 60, 33]])


def written(folder, family="llama", **changes):
    """A model of a family, saved; llama and gpt2 tie head and embeddings."""
    changes.setdefault("tie_word_embeddings", family != "gpt_neox")
    random_model(family, **changes).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    at = tmp_path_factory.mktemp("saved")
    return {family: written(at / family, family) for family in LAYOUTS}


@pytest.fixture
def llama(saved, tmp_path):
    return shutil.copytree(saved["llama"], tmp_path / "llama")


def rewrite(folder, change, name=WEIGHTS):
    """Let `change` alter the tensors of a file, in place or by what it returns."""
    found = load_file(folder / name)
    found = change(found) or found
    save_file({n: t.contiguous() for n, t in found.items()}, folder / name, {"format": "pt"})


def edit(file, **changes):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changes}))


def refused(folder, *words, **options):
    """The one line that says why a folder is not loaded."""
    with pytest.raises(FlanlibError) as caught:
        language_model.load(folder, **{"quantization": "none", **options})
    text = str(caught.value)
    assert "\n" not in text and len(text) < 900, text
    for word in words:
        assert word in text, text
    return text


DAMAGES = {
    "missing": lambda found, name: found.pop(name),
    "unexpected": lambda found, name: found.update({f"old.{name}": found.pop(name)}),
    "misshapen": lambda found, name: found.update({name: found[name][..., :-1]}),
}


@pytest.mark.parametrize("family", LAYOUTS)
def test_any_one_tensor_of_a_checkpoint_matters(saved, tmp_path_factory, family):
    folder = shutil.copytree(saved[family], tmp_path_factory.mktemp("sweep") / family)
    whole = load_file(folder / WEIGHTS)

    @settings(max_examples=20, deadline=None)
    @given(st.sampled_from(sorted(whole)), st.sampled_from(sorted(DAMAGES)))
    def sweep(name, kind):
        found = dict(whole)
        DAMAGES[kind](found, name)
        save_file({n: t.contiguous() for n, t in found.items()}, folder / WEIGHTS)
        with pytest.raises(DataError) as caught:
            loading.causal_lm(folder)
        text, own = str(caught.value), {"embed_out.weight": "lm_head.weight"}.get(name, name)
        assert own in text and f"1 {'missing' if kind == 'unexpected' else kind} (" in text
        if kind == "unexpected" and family == "llama":
            assert f"1 unexpected (old.{name}); the file's names carry 'old.'" in text

    sweep()
    save_file(whole, folder / WEIGHTS)
    loading.causal_lm(folder)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.language_model."])
def test_prefixes_are_recognised(llama, prefix, quantization):
    def change(found):
        return {
            prefix + n.removeprefix("model." * prefix.count("language")): t
            for n, t in found.items()
        }

    rewrite(llama, change)
    said = refused(llama, "20 missing", "20 unexpected", quantization=quantization)
    assert repr(prefix.removeprefix("model.")) in said


def test_old_constants_are_allowed(saved, tmp_path):
    carried = {
        "llama": ["model.layers.0.self_attn.rotary_emb.inv_freq"],
        "gpt2": ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"],
        "gpt_neox": [
            "gpt_neox.layers.0.attention.bias",
            "gpt_neox.layers.0.attention.masked_bias",
            "gpt_neox.layers.0.attention.rotary_emb.inv_freq",
        ],
    }
    for family, names in carried.items():
        folder = shutil.copytree(saved[family], tmp_path / family)
        before = language_model.load(folder, quantization="none")[0](input_ids=IDS).logits
        rewrite(folder, lambda found, names=names: found.update({n: torch.ones(1) for n in names}))
        assert torch.equal(
            language_model.load(folder, quantization="none")[0](input_ids=IDS).logits, before
        )


@pytest.mark.parametrize("layers", [1, 3, 99])
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_layers_are_those_of_the_configuration(llama, layers, quantization):
    edit(llama / "config.json", num_hidden_layers=layers)
    kind = "unexpected" if layers == 1 else "missing"
    refused(llama, f"{9 * abs(layers - 2)} {kind} (model.layers.", quantization=quantization)


def test_heads(llama, saved, tmp_path):
    shutil.copytree(llama, tmp_path / "classifier")
    rewrite(
        tmp_path / "classifier", lambda found: found.update({"score.weight": torch.ones(2, 32)})
    )
    refused(tmp_path / "classifier", "1 unexpected (score.weight)", "head for another task")
    edit(llama / "config.json", tie_word_embeddings=False)
    refused(llama, "1 missing (lm_head.weight)", "the head was not saved")


def test_a_head_that_contradicts_the_tie(llama):
    embedding = load_file(llama / WEIGHTS)["model.embed_tokens.weight"]
    rewrite(llama, lambda found: found.update({"lm_head.weight": embedding + 0}))
    language_model.load(llama, quantization="none")
    rewrite(llama, lambda found: found.update({"lm_head.weight": embedding * 2}))
    refused(llama, "lm_head.weight differs from model.embed_tokens.weight", "tie_word_embeddings")


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_are_finite_numbers(llama, bad, quantization):
    name = "model.layers.1.mlp.up_proj.weight"
    rewrite(llama, lambda found: found[name].view(-1)[5:6].fill_(bad) and None)
    refused(llama, "1 weights hold numbers that are not finite", name, quantization=quantization)


def test_shards(saved, tmp_path):
    lm = language_model.load(saved["llama"], quantization="none")[0]
    folder = tmp_path / "shards"
    lm.save_pretrained(folder, max_shard_size="20KB")
    byte_tokenizer().save_pretrained(folder)
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2 and weights.files(folder) == shards
    assert torch.equal(
        language_model.load(folder, quantization="none")[0](input_ids=IDS).logits,
        lm(input_ids=IDS).logits,
    )
    before = weights.fingerprint(folder)
    name = next(iter(load_file(shards[1])))
    rewrite(folder, lambda found: found.pop(name) is None, shards[1].name)
    refused(folder, f"1 missing ({name})")
    assert weights.fingerprint(folder) != before
    shards[1].unlink()
    refused(folder, f"1 of {len(shards)} files with weights are missing", shards[1].name)
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "../llama/model.safetensors"}}')
    refused(folder, "is no file of this folder")
    index.write_text("[]")
    refused(folder, "holds a list, not a dict")


def test_fingerprint_counts_what_is_loaded(llama):
    before = weights.fingerprint(llama)
    torch.save({"a": 1}, llama / "training_args.bin")
    assert weights.fingerprint(llama) == before
    rewrite(llama, lambda found: {n: t * 2 for n, t in found.items()})
    assert weights.fingerprint(llama) != before
    (llama / WEIGHTS).unlink()
    with pytest.raises(DataError, match="holds no weights"):
        weights.fingerprint(llama)


def test_weights_that_lie_there_twice(llama):
    found = load_file(llama / WEIGHTS)
    torch.save(found, llama / "pytorch_model.bin")
    language_model.load(llama, quantization="none")
    name = "model.norm.weight"
    torch.save({**found, name: found[name] + 1}, llama / "pytorch_model.bin")
    refused(llama, "1 differ of 20", name, "pytorch_model.bin", "delete the one")


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn, torch.int32])
@pytest.mark.parametrize("name", [WEIGHTS, "pytorch_model.bin"])
def test_weights_mean_themselves(llama, kind, name):
    found = load_file(llama / WEIGHTS)
    found["model.norm.weight"] = found["model.norm.weight"].to(kind)
    (llama / WEIGHTS).unlink()
    save = save_file if name == WEIGHTS else torch.save
    save(found, llama / name)
    refused(llama, name, "1 of 20 weights are stored as", "model.norm.weight", "BF16")


def test_a_head_of_zeros(llama):
    rewrite(llama, lambda found: {n: torch.zeros_like(t) for n, t in found.items()})
    refused(llama, "all weights of its head are 0")


def test_an_index_beside_one_file(llama):
    name = "model-00001-of-00001.safetensors"
    names = dict.fromkeys(load_file(shutil.copy(llama / WEIGHTS, llama / name)), name)
    (llama / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": names}))
    language_model.load(llama, quantization="none")
    rewrite(llama, lambda found: {n: 2 * t for n, t in found.items()}, name)
    refused(llama, "hold different weights")


def test_pickles_run_nothing(llama, tmp_path):
    found = load_file(llama / WEIGHTS)
    (llama / WEIGHTS).unlink()
    torch.save(found, llama / "pytorch_model.bin")
    language_model.load(llama, quantization="none")
    torch.save({**found, "x": Hostile(tmp_path / "ran")}, llama / "pytorch_model.bin")
    refused(llama, "cannot read it")
    (llama / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    refused(llama, "cannot read it")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantization_config"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "8bit"),
        ({"_attn_implementation": "evil/kernel"}, "evil/kernel"),
        ({"attn_implementation": {"": "evil/kernel@main:run"}}, "evil/kernel"),
        ({"text_config": {"_attn_implementation": "flash|evil/kernel"}}, "evil/kernel"),
        ({"_experts_implementation": "evil/kernel"}, "evil/kernel"),
        ({"transformers_weights": "other.safetensors"}, "transformers_weights"),
    ],
)
def test_settings_that_bring_in_other_code_or_weights(llama, changes, said):
    edit(llama / "config.json", **changes)
    refused(llama, "config.json", said)
    with pytest.raises(DataError, match=r"config\.json"):
        loading.config_of(llama)


def test_attention_is_ours_whatever_the_configuration_says(llama):
    edit(
        llama / "config.json",
        _attn_implementation="flash_attention_2",
        auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
    )
    (llama / "evil.py").write_text("raise SystemExit('ran')")
    assert language_model.load(llama, quantization="none")[0].config._attn_implementation == "sdpa"
    assert loading.config_of(llama)._attn_implementation is None


def test_a_model_folder_holds_no_adapter(llama, lora):
    shutil.copy(lora / "adapter_config.json", llama)
    refused(llama, "holds an adapter beside the model")


# Tokenizers


def test_tokenizer_of_another_model(llama):
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["quokka"])
    tokenizer.save_pretrained(llama)
    refused(llama, "1 tokens beyond the model's 258", "'quokka', 258")


def test_end_token_beyond_the_embeddings(llama):
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"eos_token": "<end>", "pad_token": "<fill>"})
    tokenizer.save_pretrained(llama)
    refused(llama, "2 tokens beyond", "'<end>', 258")


def test_no_token_to_spare(llama):
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(llama)
    content = json.loads((llama / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["_"] = vocabulary.pop("<pad>")
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] != "<pad>"]
    (llama / "tokenizer.json").write_text(json.dumps(content))
    found = language_model.load_tokenizer(llama)
    assert found.pad_token is None and found.eos_token == "<eos>"
    text = "snow!_"
    assert found.decode(found(text)["input_ids"], skip_special_tokens=True) == text


# Adapters


def adapter(base, folder, arm="tuned", under=None, name=None, scale=0.3):
    """An adapter with weights that do something, saved as tune does."""
    net = language_model.attach(
        language_model.load(base, quantization="none", adapter=under)[0], RECIPE, 1, arm
    )
    torch.manual_seed(8)
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(std=scale)
    adapters.save(net, folder, name or str(base))
    return folder


def note(folder, over, under=None, **changes):
    """A run.json with what loading looks at."""
    told = {
        "base": str(over),
        "base_digest": weights.fingerprint(over, under),
        "adapters": [str(under)] if under else [],
        "quantization": "none",
        "recipe": {"rank": 4, "alpha": 8, "prompt_tokens": 5},
    }
    (folder / "run.json").write_text(json.dumps({**told, **changes}))


@pytest.fixture(scope="module")
def kept(saved, tmp_path_factory):
    at = tmp_path_factory.mktemp("adapters")
    lora = adapter(saved["llama"], at / "lora")
    return lora, adapter(saved["llama"], at / "soft", "prompt-tuned")


@pytest.fixture
def lora(kept, tmp_path):
    return shutil.copytree(kept[0], tmp_path / "lora")


@pytest.fixture
def soft(kept, tmp_path):
    return shutil.copytree(kept[1], tmp_path / "soft")


def test_any_one_tensor_of_an_adapter_matters(saved, kept, tmp_path_factory):
    folder = shutil.copytree(kept[0], tmp_path_factory.mktemp("sweep") / "lora")
    whole = load_file(folder / ADAPTER)

    @settings(max_examples=25, deadline=None)
    @given(st.sampled_from(sorted(whole)), st.sampled_from(sorted(DAMAGES)))
    def sweep(name, kind):
        found = dict(whole)
        DAMAGES[kind](found, name)
        save_file({n: t.contiguous() for n, t in found.items()}, folder / ADAPTER)
        refused(
            saved["llama"],
            "cannot be laid over llama",
            name,
            f"1 {'missing' if kind == 'unexpected' else kind} (",
            adapter=folder,
        )

    sweep()


def test_adapters_that_do_not_fit(saved, lora, tmp_path):
    def fits_nothing(found):
        return {
            n.replace("model.layers", "model.language_model.layers"): t for n, t in found.items()
        }

    rewrite(lora, fits_nothing, ADAPTER)
    refused(saved["llama"], "28 missing", "28 unexpected", "'language_model.'", adapter=lora)
    rewrite(lora, lambda _: {"a": torch.ones(1)}, ADAPTER)
    refused(saved["llama"], "28 missing", "1 unexpected (a)", adapter=lora)
    save_file({}, lora / ADAPTER)
    refused(saved["llama"], "28 missing", adapter=lora)
    (lora / ADAPTER).write_bytes(b"\x07" * 40)
    refused(saved["llama"], ADAPTER, "cannot be read as weights", adapter=lora)
    (lora / ADAPTER).unlink()
    refused(saved["llama"], "holds no weights", adapter=lora)


def test_a_module_left_out_whole(saved, lora):
    rewrite(lora, lambda found: {n: t for n, t in found.items() if ".1.mlp.up" not in n}, ADAPTER)
    refused(saved["llama"], "2 missing (", "layers.1.mlp.up_proj", adapter=lora)


def test_adapter_over_another_family(saved, lora):
    edit(lora / "adapter_config.json", base_model_name_or_path="gpt_neox")
    refused(saved["gpt_neox"], "cannot be laid over gpt_neox", adapter=lora)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": None}, "peft_type is None"),
        ({"peft_type": ["LORA"]}, "peft_type is ['LORA']"),
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'; allowed are LORA and PROMPT_TUNING"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"r": 0}, "r is 0"),
        ({"r": 8}, "misshapen"),
        ({"r": 10**30}, "cannot be laid over"),
        ({"lora_alpha": 0}, "lora_alpha is 0"),
        ({"lora_alpha": float("inf")}, "lora_alpha is inf"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan"),
        ({"lora_alpha": "8"}, "lora_alpha is '8'"),
        ({"alpha_pattern": {"q_proj": 0}}, "alpha_pattern of q_proj is 0"),
        ({"alpha_pattern": [1]}, "alpha_pattern is [1]"),
        ({"rank_pattern": {"q_proj": 2}}, "4 misshapen ("),
        ({"target_modules": SLOW}, "takes longer"),
        ({"exclude_modules": SLOW}, "takes longer"),
        ({"rank_pattern": {SLOW: 4}}, "takes longer"),
        ({"alpha_pattern": {SLOW: 4}}, "takes longer"),
        ({"modules_to_save": ["(.*)*(.*)*="]}, "modules_to_save"),
        ({"layers_pattern": "(.*)*="}, "layers_pattern"),
        ({"target_modules": "q_proj("}, "is no pattern"),
        ({"target_modules": ["no_such"]}, "cannot be laid over"),
        ({"target_modules": ["q_proj"]}, "unexpected"),
        ({"init_lora_weights": "pissa"}, "changes the base"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"something_new": True}, "something_new is True"),
    ],
)
def test_settings_of_adapters(saved, lora, changes, said):
    edit(lora / "adapter_config.json", **changes)
    refused(saved["llama"], str(lora), said, adapter=lora)


@pytest.mark.parametrize("content", ["{broken", "null", "[]", '"x"', "{}", "\xff"])
def test_settings_that_are_none(saved, lora, content):
    (lora / "adapter_config.json").write_text(content, encoding="latin-1")
    refused(saved["llama"], "adapter_config.json", adapter=lora)


def test_an_adapter_that_does_nothing(saved, lora, tmp_path, capsys):
    """Refused as damaged, unless it is whole and a run of ours left it so."""
    rewrite(lora, lambda found: {n: t * ("lora_A" in n) for n, t in found.items()}, ADAPTER)
    refused(saved["llama"], "does nothing", adapter=lora)
    note(lora, saved["llama"])
    refused(saved["llama"], "does nothing", adapter=lora)
    whole = tmp_path / "whole"
    checkpoint.whole(whole, lambda staging: shutil.copytree(lora, staging, dirs_exist_ok=True))
    laid = language_model.load(saved["llama"], quantization="none", adapter=whole)[0]
    assert capsys.readouterr().err.count("does nothing, as its run left it") == 1
    plain = language_model.load(saved["llama"], quantization="none")[0]
    assert torch.equal(laid(input_ids=IDS).logits, plain(input_ids=IDS).logits)
    listed = json.loads((whole / "manifest.json").read_text())
    listed.pop("run.json")
    (whole / "manifest.json").write_text(json.dumps(listed))
    refused(saved["llama"], "does not list run.json", adapter=whole)


@pytest.mark.parametrize(
    "changes", [{"use_rslora": True}, {"alpha_pattern": {"q_proj": 80}}, {"use_dora": True}]
)
def test_a_run_of_ours_has_no_settings_that_tune_never_sets(saved, lora, changes):
    note(lora, saved["llama"])
    edit(lora / "adapter_config.json", **changes)
    refused(saved["llama"], f"{next(iter(changes))} is", "never sets", adapter=lora)


def test_a_base_of_the_same_weights_reads_and_computes_the_same(saved, llama, lora):
    note(lora, saved["llama"])
    language_model.load(llama, quantization="none", adapter=lora)
    edit(llama / "config.json", rms_norm_eps=0.1)
    refused(llama, "has the same weights, and another rms_norm_eps", adapter=lora)
    shutil.copy(saved["llama"] / "config.json", llama)
    content = json.loads((llama / "tokenizer.json").read_text())
    words = content["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (llama / "tokenizer.json").write_text(json.dumps(content))
    refused(llama, "has the same weights, and another vocabulary", adapter=lora)


def test_patterns_mean_what_peft_means_by_them(saved, tmp_path):
    """An adapter of PEFT's own, patterns and all, gives what PEFT gives."""
    from peft import PeftModel

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=6,
        init_lora_weights=False,
        use_rslora=True,
        target_modules=r".*\.(q_proj|up_proj)",
        rank_pattern={"layers.1.self_attn.q_proj": 2},
        alpha_pattern={r"up_pro.": 3},
        exclude_modules=["model.layers.0.mlp.up_proj"],
        modules_to_save=["norm"],
    )
    net = get_peft_model(language_model.load(saved["llama"], quantization="none")[0], config)
    net.save_pretrained(tmp_path)
    base = language_model.load(saved["llama"], quantization="none")[0]
    theirs = PeftModel.from_pretrained(base, tmp_path).eval()(input_ids=IDS).logits
    ours, _ = language_model.load(saved["llama"], quantization="none", adapter=tmp_path)
    assert torch.equal(ours(input_ids=IDS).logits, theirs)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_virtual_tokens": 4}, "(5, 32), not (4, 32)"),
        ({"num_virtual_tokens": 6}, "(5, 32), not (6, 32)"),
        ({"num_virtual_tokens": 0}, "num_virtual_tokens is 0"),
        ({"token_dim": 16}, "token_dim is 16"),
        ({"num_transformer_submodules": 2}, "num_transformer_submodules is 2"),
    ],
)
def test_soft_prompts(saved, soft, changes, said):
    language_model.load(saved["llama"], quantization="none", adapter=soft)
    edit(soft / "adapter_config.json", **changes)
    refused(saved["llama"], said, adapter=soft)


def test_soft_prompts_of_another_shape(saved, soft, tmp_path):
    other = written(tmp_path / "wide", hidden_size=64)
    edit(soft / "adapter_config.json", base_model_name_or_path="")
    refused(other, "token_dim is 32, and this model has 64", adapter=soft)
    rewrite(soft, lambda found: {"prompt_embeddings": torch.ones(5, 16)}, ADAPTER)
    refused(saved["llama"], "(5, 16), not (5, 32)", adapter=soft)
    rewrite(soft, lambda found: {"prompt": torch.ones(5, 32)}, ADAPTER)
    refused(saved["llama"], "1 missing (prompt_embeddings)", adapter=soft)
    rewrite(soft, lambda found: {"prompt_embeddings": torch.full((5, 32), torch.nan)}, ADAPTER)
    refused(saved["llama"], "no finite numbers in prompt_embeddings", adapter=soft)


def test_only_one_soft_prompt_and_on_top(saved, lora, soft):
    language_model.load(saved["llama"], quantization="none", adapter=[lora, soft])
    refused(saved["llama"], "over it lies no other", adapter=[soft, soft])
    refused(saved["llama"], "only a soft prompt", adapter=[soft, lora])


def test_the_base_is_the_one_that_was_tuned_on(saved, llama, lora):
    note(lora, saved["llama"])
    language_model.load(saved["llama"], quantization="none", adapter=lora)
    language_model.load(
        llama, quantization="none", adapter=lora
    )  # a copy elsewhere is the same base
    rewrite(llama, lambda found: {n: t + 0.01 for n, t in found.items()})
    refused(llama, f"was tuned on {saved['llama']}", "--model", adapter=lora)
    note(lora, llama, base_digest=weights.fingerprint(saved["llama"]))
    refused(saved["llama"], f"was tuned on {llama}", adapter=lora)


def test_a_soft_prompt_lies_over_what_it_was_learned_on(saved, lora, soft, tmp_path):
    note(soft, saved["llama"], under=lora)
    language_model.load(saved["llama"], quantization="none", adapter=[lora, soft])
    refused(saved["llama"], str(lora), adapter=soft)
    other = shutil.copytree(lora, tmp_path / "other")
    rewrite(other, lambda found: {n: t * 2 for n, t in found.items()}, ADAPTER)
    refused(saved["llama"], str(lora), str(other), adapter=[other, soft])


def test_base_known_by_name_alone(saved, llama, lora, capsys):
    rewrite(llama, lambda found: {n: t + 0.01 for n, t in found.items()})
    refused(llama, str(saved["llama"]), "other weights", adapter=lora)
    edit(lora / "adapter_config.json", base_model_name_or_path="owner/alpaca")
    language_model.load(llama, quantization="none", adapter=lora)
    assert "was made on owner/alpaca; whether" in capsys.readouterr().err
    edit(lora / "adapter_config.json", base_model_name_or_path="owner/llama")
    language_model.load(llama, quantization="none", adapter=lora)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantization": "evil"}, "quantization is 'evil', not nf4 or none"),
        ({"quantization": ["nf4"]}, "quantization is"),
        ({"base_digest": None}, "base_digest"),
        ({"base": 3}, "base"),
        ({"recipe": {"rank": 4, "alpha": 99}}, "lora_alpha is 8, and run.json has alpha 99"),
        ({"recipe": None}, "run.json has rank None"),
    ],
)
def test_runs_that_contradict_their_adapter(saved, lora, changes, said):
    note(lora, saved["llama"], **changes)
    refused(saved["llama"], said, adapter=lora)


def test_manifest_is_held_against_the_files(saved, lora, tmp_path):
    def write(staging):
        for file in lora.iterdir():
            shutil.copy(file, staging)

    whole = tmp_path / "whole"
    checkpoint.whole(whole, write)
    (whole / "README.md").write_text("my own words")
    language_model.load(saved["llama"], quantization="none", adapter=whole)
    listed, told = ((whole / name).read_text() for name in ("manifest.json", "adapter_config.json"))
    edit(whole / "adapter_config.json", lora_alpha=16)
    refused(saved["llama"], "adapter_config.json: is damaged", adapter=whole)
    (whole / "adapter_config.json").write_text(told)
    for content in ("{", "[]", "{}", '{"adapter_config.json": 3}'):
        (whole / "manifest.json").write_text(content)
        refused(saved["llama"], "manifest.json", adapter=whole)
    (whole / "manifest.json").write_text(listed)
    data = bytearray((whole / ADAPTER).read_bytes())
    data[-5] ^= 1
    (whole / ADAPTER).write_bytes(data)
    refused(saved["llama"], f"{ADAPTER}: is damaged", adapter=whole)


def test_a_saved_adapter_tells_nothing_of_the_machine(saved, tmp_path):
    folder = adapter(saved["llama"], tmp_path / "a", name="owner/llama")
    text = (folder / "adapter_config.json").read_text()
    found = json.loads(text)
    assert found["base_model_name_or_path"] == "owner/llama" and str(tmp_path) not in text
    assert found["target_modules"] == sorted(found["target_modules"])
    language_model.load(saved["llama"], quantization="none", adapter=folder)


def test_a_pinned_hub_base_is_name_and_revision(saved, tmp_path):
    folder = adapter(saved["llama"], tmp_path / "a", name="owner/model@step7")
    found = json.loads((folder / "adapter_config.json").read_text())
    assert (found["base_model_name_or_path"], found["revision"]) == ("owner/model", "step7")


# Devices and numbers


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dtype": "zap"}, "dtype: 'zap' is not float32, bfloat16 or float16"),
        ({"dtype": "int8"}, "dtype: 'int8'"),
        ({"dtype": "float8_e4m3fn"}, "dtype"),
        ({"dtype": torch.int64}, "dtype: 'int64'"),
        ({"device": "zap"}, "device: 'zap' is not cpu, cuda or cuda:N"),
        ({"device": "meta"}, "device: 'meta'"),
        ({"device": "cuda:x"}, "device: 'cuda:x'"),
        ({"device": "cuda:-1"}, "device: 'cuda:-1'"),
        pytest.param(
            *({"device": "cuda"}, "no CUDA device here; give cpu"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        ({"device": "cuda:99"}, "here; give cpu"),
        ({"quantization": "int8"}, "quantization: 'int8' is not nf4 or none"),
    ],
)
def test_devices_and_numbers_are_checked_first(given, said, tmp_path):
    with pytest.raises(ParameterError) as caught:
        language_model.load(tmp_path / "no-model", **given)
    assert said in str(caught.value)


@pytest.mark.parametrize("option", [["--dtype", "zap"], ["--device", "zap"]])
@pytest.mark.parametrize("verb", ["score", "tune"])
def test_commands_end_with_status_2(verb, option, tmp_path, capsys):
    words = [verb, "--model", "micro-300k", "--out", str(tmp_path / "out"), *option]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert option[0][2:] in said and "zap" in said
    assert not list(tmp_path.iterdir())


def test_dtype_may_be_given_either_way():
    assert devices.checked("cpu", torch.bfloat16) == devices.checked("cpu", "bfloat16")
    assert devices.checked("cpu") == (torch.device("cpu"), torch.float32)


# What is said aloud


def test_only_listed_warnings_stay_unsaid(capsys):
    import logging

    before = logging.getLogger("transformers").handlers
    with quiet.quiet():
        warnings.warn("this is\nnot what you asked for", stacklevel=1)
        warnings.warn("an old name", FutureWarning, stacklevel=1)
        warnings.warn("You are trying to modify a model with PEFT for a second time", stacklevel=1)
        for _ in range(3):
            logging.getLogger("transformers.some").warning("weights were drawn")
        logging.getLogger("transformers.some").info("a remark")
    assert logging.getLogger("transformers").handlers == before
    assert capsys.readouterr().err.splitlines() == [
        "UserWarning: this is not what you asked for",
        "transformers: weights were drawn",
    ]


def test_usual_loading_says_nothing(saved, lora, soft, capsys):
    quiet._told.clear()
    language_model.load(saved["llama"], adapter=[lora, soft])
    language_model.load(rehearsal.random_neox(lora.parent / "neox"))
    for family in LAYOUTS:
        net, _ = language_model.load(saved[family])
        language_model.attach(net, RECIPE, 1)
    assert capsys.readouterr() == ("", "")


# Runs


def test_a_run_is_read_with_its_types(tmp_path):
    made = result.TuneResult(
        out=tmp_path,
        run_id="0" * 12,
        factors=Factors(),
        recipe=RECIPE,
        base="micro-2m",
        base_digest="0" * 12,
        quantization="nf4",
        adapters=[],
        mixture={"digest": "0"},
        n_trainable=1,
        progress={"losses": [1.0], "wall_s": 2.5},
        peak_memory_gib=0.5,
        device="cpu",
        dtype="float32",
        versions={},
        started="2026-01-01T00:00:00+00:00",
    )
    made.write(tmp_path)
    assert result.TuneResult.read(tmp_path) == made
    assert "2.5" not in (tmp_path / "run.json").read_text()
    edit(tmp_path / "run.json", quantization="evil")
    with pytest.raises(RunError, match=r"quantization: .*found 'evil'"):
        result.TuneResult.read(tmp_path)
    (tmp_path / "clock.json").write_text("[]")
    with pytest.raises(RunError, match=r"clock\.json"):
        result.TuneResult.read(tmp_path)


def test_every_family_is_loaded_whole(tmp_path):
    for family in FAMILIES:
        if family != "bloom":  # has no sdpa attention
            language_model.load(written(tmp_path / family, family, tie_word_embeddings=True))
