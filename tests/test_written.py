"""Layers written out read as the model itself does, with and without an adapter."""

import numpy as np
import pytest
import torch
from test_fused import tuned

from flanlib.core.config import Recipe
from flanlib.evaluation import backbone
from flanlib.evaluation.likelihood import Item, likelihoods
from flanlib.models import language_model
from flanlib.training import packing


def items(seed=0, n=6):
    """Prompts that share beginnings, with options of several lengths."""
    draw = np.random.default_rng(seed)
    shared = draw.integers(0, 300, 150).tolist()
    found = []
    for number in range(n):
        prompt = shared[: int(draw.integers(1, 150))] + draw.integers(0, 300, number).tolist()
        options = [draw.integers(0, 300, int(k)).tolist() for k in draw.integers(1, 9, 3)]
        found.append(Item(prompt, options, f"row {number}"))
    return found


def alone(lm, asked):
    """Log-likelihoods by the model's own forward pass, one continuation at a time."""
    found = []
    for item in asked:
        for option in item.options:
            ids = torch.tensor([item.prompt_ids + option])
            with torch.no_grad():
                scores = lm(ids).logits[0].double().log_softmax(-1)
            at = range(len(item.prompt_ids) - 1, ids.shape[1] - 1)
            found.append(scores[list(at), option].sum().item())
    return np.array(found)


def written(lm, asked):
    """Log-likelihoods by flanlib; the layers have to be written out."""
    found = np.concatenate(likelihoods(lm, asked))
    assert backbone.backbone(lm).way == "written"
    return found


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_log_likelihoods_are_the_models_own(kind):
    lm = tuned(kind).eval()
    wanted = alone(lm, items())
    assert np.allclose(written(lm, items()), wanted, atol=1e-4)
    plain = packing.bare(lm.unload())
    assert np.allclose(written(plain, items()), alone(plain, items()), atol=1e-4)


def test_what_changes_in_the_model_is_seen():
    lm, asked = tuned().eval(), items()
    first = written(lm, asked)
    for name, parameter in lm.named_parameters():
        if "lora_B" in name:
            parameter.data *= -2
    second = written(lm, asked)
    assert np.abs(second - first).max() > 1e-2
    assert np.allclose(second, alone(lm, asked), atol=1e-4)
    with torch.no_grad():  # a weight is set in place, another is replaced
        layer = packing.bare(lm).base_model.layers[1]
        layer.mlp.up_proj.get_base_layer().weight.mul_(1.5)
        down = layer.mlp.down_proj.get_base_layer()
        down.weight = torch.nn.Parameter(down.weight * 0.5, requires_grad=False)
    third = written(lm, asked)
    assert np.abs(third - second).max() > 1e-2
    assert np.allclose(third, alone(lm, asked), atol=1e-4)


def test_a_base_that_was_scored_can_be_tuned():
    base = packing.bare(tuned().unload()).eval()
    before = written(base, items())
    lm = language_model.attach(base, Recipe(rank=4), 1).eval()
    assert np.allclose(written(lm, items()), before, atol=1e-5)  # B is zero at first
    lm.train()
    lm(torch.arange(9)[None], labels=torch.arange(9)[None]).loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in lm.parameters())


def test_an_adapter_that_is_switched_off_is_not_read():
    lm = tuned().eval()
    with lm.disable_adapter():
        wanted = alone(lm, items())
        assert np.allclose(np.concatenate(likelihoods(lm, items())), wanted, atol=1e-4)


def test_bfloat16_is_as_near_to_float32_as_the_models_own():
    asked = items(n=60)
    exact = alone(tuned().eval(), asked)
    half = tuned(dtype=torch.bfloat16).eval()
    theirs, ours = (np.abs(found(half, asked) - exact) for found in (alone, written))
    # The largest of so many roundings is chance, and another one on another processor.
    for typical in (np.mean, lambda x: np.sqrt(np.mean(x**2)), lambda x: np.quantile(x, 0.95)):
        assert typical(ours) < 1.15 * typical(theirs)
