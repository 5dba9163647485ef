"""Predicted memory beside counted memory, and refusals with advice."""

import random
from dataclasses import replace

import pytest
import torch
from test_tune import prompts
from transformers import GPTNeoXConfig, LlamaConfig

from flanlib.core import devices
from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import DataError, RunError
from flanlib.models import language_model, rehearsal
from flanlib.models.encode import Encoded
from flanlib.training import memory, packing, tune

SMALL = {
    "vocab_size": 500,
    "hidden_size": 64,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "max_position_embeddings": 512,
}
CONFIGS = {
    "gpt_neox": GPTNeoXConfig(**SMALL, hidden_dropout=0.0),
    "llama": LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=True),
}
RECIPE = Recipe(max_input_tokens=198, max_target_tokens=50, pack_tokens=1000, rank=8)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Folders with a configuration and no weights."""
    folder = tmp_path_factory.mktemp("shapes")
    for name, config in CONFIGS.items():
        config.save_pretrained(folder / name)
    for size in ("1.4b", "6.9b"):
        shape = rehearsal.SHAPES[size]
        GPTNeoXConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            max_position_embeddings=2048,
        ).save_pretrained(folder / size)
    return folder


def counted(config, recipe: Recipe, arm: str) -> tuple[int, int]:
    """Trained parameters, and bytes autograd really keeps of one full pack."""
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_config(config, dtype=torch.float32).requires_grad_(False)
    net = language_model.attach(net, recipe, 1, arm)
    draw = random.Random(0)
    tokens, targets = memory.longest_pack(recipe)
    n = targets // 25
    examples = [
        Encoded([draw.randrange(500) for _ in range(tokens // n - 24)], [5] * 24) for _ in range(n)
    ]
    own = {p.untyped_storage()._cdata for p in net.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with packing.isolating(net), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        packing.loss_sum(net, packing.pack(examples, 0))
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    return trained, sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("arm", ["tuned", "finetuned"])
def test_predicted_is_near_counted(shapes, name, arm):
    found = memory.plan(Factors(model=str(shapes / name), arm=arm), RECIPE, device="cpu")
    trained, kept = counted(CONFIGS[name], RECIPE, arm)
    assert found.n_trainable == trained
    predicted = found.parts["activations"] / memory.MARGIN * devices.GIB
    assert predicted == pytest.approx(kept, rel=0.15, abs=2e6)


def test_parameters_are_those_of_pythia(shapes):
    sizes = {"1.4b": 1_414_647_808, "6.9b": 6_857_302_016}
    for name, n in sizes.items():
        found = memory.plan(Factors(model=str(shapes / name)), Recipe(), device="cpu")
        assert found.n_parameters == n


def test_defaults_at_the_largest_pythia_shapes_fit_24_gib(shapes):
    factors = Factors(model=str(shapes / "6.9b"))
    found = memory.plan(factors, Recipe(), device="cuda", available_gib=24)
    assert found.fits and found.advice == "" and 4 < found.peak_gib < 12
    memory.check(found)


def test_four_bits_take_a_quarter_of_two_bytes(shapes):
    factors = Factors(model=str(shapes / "6.9b"))
    four, plain = (
        memory.plan(factors, Recipe(quantization=q), device="cuda", available_gib=24).parts[
            "weights"
        ]
        for q in ("nf4", "none")
    )
    assert 3 < plain / four < 4


@pytest.mark.parametrize("name", CONFIGS)
def test_arithmetic_is_that_of_the_linear_layers(shapes, name):
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModel

    body = AutoModel.from_config(CONFIGS[name])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        body(torch.zeros(1, 40, dtype=torch.long))
    counts = counter.get_flop_counts()["Global"]
    products = sum(n for op, n in counts.items() if str(op).endswith(("mm",)))
    ways = {
        (a, d): memory.plan(Factors(model=str(shapes / name), arm=a), RECIPE, device=d)
        for a in ("tuned", "finetuned")
        for d in ("cpu", "cuda")
        if d == "cpu" or torch.cuda.is_available()
    }
    assert ways["tuned", "cpu"].flop_per_token == 2 * products / 40
    assert ways["finetuned", "cpu"].flop_per_token == 3 * products / 40


def test_hours_follow_from_arithmetic_and_are_told_for_a_gpu(shapes):
    factors = Factors(model=str(shapes / "6.9b"))
    found = memory.plan(factors, Recipe(), device="cuda", available_gib=24)
    assert found.hours is None and "hours" not in "\n".join(found.lines())
    found = replace(found, tokens_per_step=1e4, n_steps=1000)
    layers = 12 * 4096**2 * 32  # QKV, output, and a feed-forward of four times the width
    assert found.flop_per_token == 6 * layers
    assert found.hours == pytest.approx(6 * layers * 1e7 / 1e14 / 3600)
    assert "an assumption" in "\n".join(found.lines())
    assert replace(found, device="cpu").hours is None


@pytest.mark.parametrize(
    ("factors", "recipe", "room", "advice"),
    [
        ({}, {"quantization": "none"}, 9, "quantization nf4 would need"),
        ({"arm": "finetuned"}, {}, 24, "arm tuned would need"),
        ({}, {"pack_tokens": 16_384, "max_input_tokens": 14_000}, 7, "pack_tokens 1024, max_input"),
        ({}, {}, 1, "use a smaller model"),
    ],
)
def test_what_will_not_fit_is_refused_with_advice(shapes, factors, recipe, room, advice):
    found = memory.plan(
        Factors(model=str(shapes / "6.9b"), **factors),
        Recipe(**recipe),
        device="cuda",
        available_gib=room,
    )
    assert not found.fits
    with pytest.raises(RunError, match=rf"tuning needs .* GiB left; {advice}"):
        memory.check(found)


def test_tune_refuses_before_it_loads(tmp_path):
    base = rehearsal.random_neox(tmp_path / "m")
    (base / "tokenizer.json").write_text("{")  # shows when the model is loaded
    given = {"out": tmp_path / "o", "mixture": prompts(), "progress": None}
    with pytest.raises(RunError, match="tuning needs"):
        tune.tune(Factors(model=str(base)), Recipe(), available_gib=0.001, **given)
    with pytest.raises(DataError, match="cannot read it"):
        tune.tune(Factors(model=str(base)), Recipe(), **given)


def test_plan_tells_parameters_tokens_and_memory(tmp_path):
    base, source = rehearsal.random_neox(tmp_path / "m"), prompts()
    recipe = replace(RECIPE, examples_per_step=20)
    found = memory.plan(Factors(model=str(base)), recipe, prompts=source)
    longest = RECIPE.max_target_tokens
    used = [len(p.input) + 1 + min(longest, len(p.target)) + 1 for p in source]
    assert found.tokens_per_step == pytest.approx(sum(used))
    text = "\n".join(found.lines())
    assert "trained           16,384" in text and "tokens per step" in text
    assert "peak on " in text and "GiB of" in text


def test_the_peak_counts_from_where_it_was_forgotten():
    whole = bytearray(400 * 2**20)  # written to, so that the process holds it
    before = devices.peak_memory_gib("cpu")
    del whole
    devices.forget_peak("cpu")
    after = devices.peak_memory_gib("cpu")
    if after == before:
        pytest.skip("this machine does not let a process forget its peak")
    assert before - after > 0.3
    assert after == pytest.approx(devices.resident_gib(), abs=0.2)
