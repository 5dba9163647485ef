"""Loading, quantising, adapting: the numbers are bitsandbytes' own."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import bitsandbytes as bnb
import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file, save_file

from flanlib.core.config import Recipe
from flanlib.core.errors import DataError, ParameterError
from flanlib.models import language_model, rehearsal, weights
from flanlib.models.encode import Encoded
from flanlib.training import packing

RECIPE = Recipe(rank=4, alpha=8, prompt_tokens=5)
IDS = torch.tensor([[9, 40, 77, 12, 60, 33]])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return rehearsal.random_neox(tmp_path_factory.mktemp("models") / "tiny", seed=4)


@pytest.fixture
def no_memory(monkeypatch):
    """So little memory is left, for a while, that 4-bit weights stay in 4 bits."""

    @contextmanager
    def held():
        with monkeypatch.context() as patch:
            none = SimpleNamespace(available=0)
            psutil = SimpleNamespace(virtual_memory=lambda: none)
            patch.setattr(language_model, "psutil", psutil)
            yield

    return held


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    return saved(base, tmp_path_factory.mktemp("adapters") / "lora", "tuned")


def saved(base, folder, arm, under=None):
    """An adapter with weights that do something, saved."""
    net = language_model.attach(language_model.load(base, adapter=under)[0], RECIPE, 1, arm)
    torch.manual_seed(8)
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(std=0.3)
    net.save_pretrained(folder)
    return folder


def logits(net) -> torch.Tensor:
    with torch.no_grad():
        return net(input_ids=IDS, use_cache=False).logits


def test_plain_weights_are_those_on_disk(base):
    net, _ = language_model.load(base, quantization="none")
    on_disk = load_file(base / "model.safetensors")
    name = "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"
    assert torch.equal(net.state_dict()[name], on_disk[name])
    assert not net.training and not any(p.requires_grad for p in net.parameters())


def test_quantised_weights_are_what_bitsandbytes_gives(base):
    net, _ = language_model.load(base)
    for name, value in load_file(base / "model.safetensors").items():
        if not name.endswith("weight") or "layers" not in name or "norm" in name:
            continue
        packed, state = bnb.functional.quantize_4bit(
            value, blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        assert state.nested
        assert torch.equal(net.state_dict()[name], bnb.functional.dequantize_4bit(packed, state))
        assert not torch.equal(net.state_dict()[name], value)


def test_unfolding_gives_bitsandbytes_own_forward_pass(base, no_memory):
    unfolded, _ = language_model.load(base)
    with no_memory():
        folded, _ = language_model.load(base)
    kinds = {type(m) for m in folded.modules()}
    assert bnb.nn.Linear4bit in kinds
    assert bnb.nn.Linear4bit not in {type(m) for m in unfolded.modules()}
    before = folded.gpt_neox.layers[0].attention.dense.weight.data.clone()
    assert torch.equal(logits(unfolded), logits(folded))
    assert torch.equal(folded.gpt_neox.layers[0].attention.dense.weight.data, before)


def test_unfolding_gives_the_same_gradients(base, no_memory):
    def run():
        net = language_model.attach(language_model.load(base)[0], RECIPE, 1)
        with packing.isolating(net):
            packing.loss_sum(net, packing.pack([Encoded([5, 9, 40], [17, 3])], 0)).backward()
        return {n: p.grad for n, p in net.named_parameters() if p.requires_grad}

    unfolded = run()
    with no_memory():
        folded = run()
    assert unfolded.keys() == folded.keys()
    assert all(torch.allclose(unfolded[n], folded[n], atol=1e-6) for n in folded)


def test_head_and_embeddings_are_neither_quantised_nor_adapted(base):
    net = language_model.attach(language_model.load(base)[0], RECIPE, 1)
    trained = [n for n, p in net.named_parameters() if p.requires_grad]
    assert trained and all(".layers." in n and "lora_" in n for n in trained)
    per_layer = {n.split(".layers.0.")[1].split(".lora_")[0] for n in trained if ".layers.0." in n}
    assert per_layer == {
        "attention.query_key_value",
        "attention.dense",
        "mlp.dense_h_to_4h",
        "mlp.dense_4h_to_h",
    }
    on_disk = load_file(base / "model.safetensors")
    assert torch.equal(
        net.get_base_model().get_input_embeddings().weight, on_disk["gpt_neox.embed_in.weight"]
    )


def test_seed_decides_the_adapter_whatever_was_drawn_before(base):
    def start(seed: int) -> torch.Tensor:
        net = language_model.attach(language_model.load(base)[0], RECIPE, seed)
        torch.rand(7)
        return next(p for n, p in net.named_parameters() if "lora_A" in n).detach()

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


def test_adapter_loads_here_and_with_peft_alone(base, adapter):
    ours, _ = language_model.load(base, quantization="none", adapter=adapter)
    theirs = AutoPeftModelForCausalLM.from_pretrained(adapter).eval()
    assert torch.equal(logits(ours), logits(theirs))
    assert not torch.equal(logits(ours), logits(language_model.load(base, quantization="none")[0]))
    assert not ours.training and not any(p.requires_grad for p in ours.parameters())


def test_soft_prompt_lies_over_base_and_over_tuned(base, adapter, tmp_path):
    over_base = saved(base, tmp_path / "base", "prompt-tuned")
    over_tuned = saved(base, tmp_path / "tuned", "prompt-tuned", under=adapter)
    net, _ = language_model.load(base, adapter=[adapter, over_tuned])
    assert net.get_prompt(batch_size=1).shape == (1, 5, 64)
    alone, _ = language_model.load(base, adapter=over_base)
    assert any("lora" in n for n, _ in net.named_parameters())
    assert not any("lora" in n for n, _ in alone.named_parameters())
    assert not torch.equal(logits(net), logits(alone))


def test_soft_prompt_leaves_all_else_alone(base, adapter):
    net = language_model.attach(
        language_model.load(base, adapter=adapter)[0], RECIPE, 1, "prompt-tuned"
    )
    trained = [n for n, p in net.named_parameters() if p.requires_grad]
    assert trained == ["prompt_encoder.default.embedding.weight"]
    words = net.get_base_model().get_input_embeddings().weight
    (start,) = net.get_prompt(batch_size=1)
    assert all((words == vector).all(1).any() for vector in start)


def test_full_fine_tuning_frees_everything_but_not_four_bits(base, no_memory):
    net = language_model.attach(
        language_model.load(base, quantization="none")[0], RECIPE, 1, "finetuned"
    )
    assert all(p.requires_grad and p.dtype == torch.float32 for p in net.parameters())
    with no_memory():
        folded, _ = language_model.load(base)
    with pytest.raises(ParameterError, match="quantization none"):
        language_model.attach(folded, RECIPE, 1, "finetuned")


def test_lora_on_an_adapter_is_refused(base, adapter):
    with pytest.raises(ParameterError, match="has an adapter"):
        language_model.attach(language_model.load(base, adapter=adapter)[0], RECIPE, 1)


def test_pad_is_never_the_end_token(base, tmp_path):
    tokenizer = rehearsal.byte_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    folder = rehearsal.random_neox(tmp_path / "m")
    tokenizer.save_pretrained(folder)
    found = language_model.load_tokenizer(folder)
    assert found.pad_token == "<|padding|>" and found.pad_token_id != found.eos_token_id


def test_names_below_models_come_first(base, monkeypatch, tmp_path):
    monkeypatch.setenv("FLANLIB_MODELS", str(base.parent))
    assert weights.locate("tiny") == (str(base), None)
    assert weights.locate("EleutherAI/pythia-70m@step1000") == ("EleutherAI/pythia-70m", "step1000")
    with pytest.raises(DataError, match="'small': no such folder; there are tiny, smollm2-135m"):
        weights.locate("small")


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_unreadable_model_is_named(tmp_path, damage):
    folder = rehearsal.random_neox(tmp_path / "m")
    (folder / damage).write_bytes(b"\x07{" + (folder / damage).read_bytes()[:100])
    with pytest.raises(DataError, match=f"{folder}.*cannot read it"):
        language_model.load(folder)


def test_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no config\.json"):
        language_model.load(tmp_path)


def test_adapter_of_another_shape_is_named(base, adapter, tmp_path):
    with pytest.raises(DataError, match=r"no adapter_config\.json"):
        language_model.load(base, adapter=tmp_path)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file(
        {n: t[:, :3].contiguous() for n, t in tensors.items()}, wrong / "adapter_model.safetensors"
    )
    with pytest.raises(DataError, match=f"{wrong}: cannot be laid over gpt_neox"):
        language_model.load(base, adapter=wrong)


def test_rehearsal_model_is_a_function_of_its_seed(tmp_path):
    one, same, other = (
        load_file(rehearsal.random_neox(tmp_path / str(i), seed) / "model.safetensors")
        for i, seed in enumerate((1, 1, 2))
    )
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert not all(torch.equal(one[n], other[n]) for n in one)
    text = "Grüße\n→ ok"
    tokenizer = language_model.load_tokenizer(tmp_path / "0")
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_context_is_the_models(base):
    net, _ = language_model.load(base)
    assert language_model.context(net) == 2048
    assert json.loads((base / "config.json").read_text())["max_position_embeddings"] == 2048
    assert isinstance(language_model.attach(net, RECIPE, 1), PeftModel)
