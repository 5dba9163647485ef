"""The written-out step gives autograd's loss and gradients, in both types."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

from flanlib.core import devices
from flanlib.core.config import Recipe
from flanlib.core.errors import RunError
from flanlib.models import language_model, llama
from flanlib.models.encode import Encoded
from flanlib.models.heads import Heads
from flanlib.training import attention, fused, packing

SIZES = {
    "vocab_size": 300,
    "hidden_size": llama.NARROWEST,
    "head_dim": 16,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config, "mistral": MistralConfig}


def tuned(kind="llama", dtype=torch.float32, recipe=None, **changes):
    """A small random model with an adapter that has learnt something."""
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(CONFIGS[kind](**{**SIZES, **changes}))
    for name, parameter in net.named_parameters():
        if "norm" in name or "bias" in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    net = language_model.attach(net.to(dtype).requires_grad_(False), recipe or Recipe(rank=4), 1)
    for name, parameter in net.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn_like(parameter)
    return net


def packed(*sizes, seed=3):
    """One pack of random examples with (prompt, target) tokens."""
    draw = torch.Generator().manual_seed(seed)
    ids = [[torch.randint(0, 300, (n,), generator=draw).tolist() for n in pair] for pair in sizes]
    return packing.pack([Encoded(*pair) for pair in ids], 2)


def by_autograd(net, pack, scale):
    """Loss and gradients as PEFT and autograd have them."""
    half = packing.bare(net).dtype == torch.bfloat16
    with packing.isolating(net), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        loss = packing.loss_sum(net, pack) * scale
    loss.backward()
    return loss.item(), taken(net)


def taken(net):
    """Gradients by name, removed from the parameters."""
    found = {n: p.grad for n, p in net.named_parameters() if p.requires_grad}
    net.zero_grad()
    return found


def gap(found, wanted):
    """Largest relative distance between two sets of gradients."""
    return max(((found[n] - wanted[n]).norm() / (wanted[n].norm() + 1e-12)).item() for n in wanted)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", CONFIGS)
def test_loss_and_gradients_are_autograds(kind, tied):
    net, pack = tuned(kind, tie_word_embeddings=tied), packed((5, 1), (40, 7), (300, 2), (3, 12))
    loss, wanted = by_autograd(net, pack, 1 / 7)
    assert fused.fits(net)
    found = fused.Step(net).run(pack, 1 / 7)
    assert found == pytest.approx(loss, rel=1e-6)
    assert gap(taken(net), wanted) < 1e-5


@pytest.mark.parametrize("changes", [{"attention_bias": True, "mlp_bias": True}, {"head_dim": 32}])
def test_biases_and_other_widths_of_heads(changes):
    net, pack = tuned(**changes), packed((9, 3), (20, 2))
    loss, wanted = by_autograd(net, pack, 1.0)
    assert fused.Step(net).run(pack, 1.0) == pytest.approx(loss, rel=1e-6)
    assert gap(taken(net), wanted) < 1e-5


def test_bfloat16_is_as_near_to_float32_as_autograd_is():
    pack = packed((30, 4), (150, 6), (12, 1))
    loss, wanted = by_autograd(tuned(), pack, 0.1)
    half = tuned(dtype=torch.bfloat16)
    theirs, autograds = by_autograd(half, pack, 0.1)
    ours = fused.Step(half).run(pack, 0.1)
    assert abs(ours - loss) <= max(abs(theirs - loss), 1e-3 * loss)
    assert gap(taken(half), wanted) <= 1.1 * gap(autograds, wanted)


def test_gradients_add_up_over_packs_and_buffers_are_reused():
    net = tuned()
    step = fused.Step(net)
    first, second = packed((50, 6), (4, 4)), packed((7, 2), seed=4)
    step.run(first, 1.0)
    alone = taken(net)
    step.run(second, 1.0)
    alone = {n: alone[n] + grad for n, grad in taken(net).items()}
    held = {key: t.data_ptr() for key, t in step.body.buffers.held.items()}
    step.run(first, 1.0)
    step.run(second, 1.0)
    assert gap(taken(net), alone) < 1e-6
    assert {key: t.data_ptr() for key, t in step.body.buffers.held.items()} == held


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("changed", [0, 1])
def test_no_example_sees_another(dtype, changed):
    """An example's loss stays to the last bit when the other one is another."""
    step = fused.Step(tuned(dtype=dtype))
    pack, other = packed((20, 3), (9, 2)), packed((20, 3), (9, 2), seed=8)
    ids = [pack.input_ids.split(pack.lengths, 1), other.input_ids.split(pack.lengths, 1)]
    mixed = torch.cat([ids[n == changed][n] for n in (0, 1)], 1)
    at = slice(4, None) if changed == 0 else slice(4)
    found = []
    for tokens in (pack.input_ids, mixed):
        given = pack.position_ids, pack.lengths, pack.where[at], pack.targets[at]
        found.append((step.run(packing.Pack(tokens, *given), 1.0), taken(step.body.core)))
    assert not torch.equal(pack.input_ids, mixed)
    assert found[0][0] == found[1][0]
    assert all(torch.equal(grad, found[1][1][name]) for name, grad in found[0][1].items())


class Shapes(TorchDispatchMode):
    """Notes the shapes of matrix products in bfloat16."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "mm" in str(function) and args[0].dtype == torch.bfloat16:
            given = [(tuple(x.shape), x.stride()) for x in args if isinstance(x, torch.Tensor)]
            self.seen.add((str(function), *given))
        return function(*args, **(kwargs or {}))


def test_packs_of_every_size_have_products_of_few_shapes():
    """In bfloat16 each shape is compiled, and what was compiled stays in memory."""
    draw = random.Random(2)
    step = fused.Step(tuned(dtype=torch.bfloat16))
    sizes = [[(draw.randrange(1, 200), draw.randrange(1, 9)) for _ in range(3)] for _ in range(40)]
    with Shapes() as shapes:
        for one in sizes:
            step.run(packed(*one), 1.0)
    assert len({sum(map(sum, one)) for one in sizes}) > 30
    assert len(shapes.seen) < 300  # 1,600 where each size has products of its own


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident size is read there")
def test_memory_does_not_grow_with_steps():
    draw = random.Random(3)
    step = fused.Step(tuned(dtype=torch.bfloat16))
    sizes = [[(draw.randrange(20, 150), 3) for _ in range(4)] for _ in range(60)]
    held = []
    for one in sizes:
        step.run(packed(*one), 1.0)
        held.append(devices.resident_gib())
    assert held[-1] - held[20] < 0.03


def test_weights_are_there_once_and_the_model_still_runs():
    net, ids = tuned(), torch.arange(12)[None]
    before = net(ids).logits
    step = fused.Step(net)
    assert torch.equal(net(ids).logits, before)
    base = packing.bare(net).base_model.layers[0].mlp.up_proj.get_base_layer()
    held = step.body.layers[0].gate_up.weight
    assert base.weight.untyped_storage().data_ptr() == held.untyped_storage().data_ptr()


def test_an_example_longer_than_the_window_is_refused():
    step = fused.Step(tuned("mistral", sliding_window=32))
    step.run(packed((20, 3)), 1.0)
    with pytest.raises(RunError, match="sliding window of 32"):
        step.run(packed((40, 3)), 1.0)


def test_what_does_not_fit_is_left_to_autograd():
    assert not fused.fits(tuned(recipe=Recipe(rank=4, dropout=0.1)))
    soft = language_model.attach(
        packing.bare(tuned()).requires_grad_(False), Recipe(), 1, "prompt-tuned"
    )
    assert not fused.fits(soft)
    assert not fused.fits(tuned(hidden_act="gelu"))
    assert fused.fits(tuned()) and not fused.fits(tuned(hidden_size=llama.NARROWEST - 8))


@pytest.mark.parametrize("length", [1, 127, 128, 129, 300])
def test_attention_backward_is_autograds(length):
    heads = Heads(6, 2, 16)
    draw = torch.Generator().manual_seed(length)
    qkv = torch.randn(length + 5, 160, generator=draw, requires_grad=True)
    q, k, v = heads.split(qkv[5:])
    q = q.transpose(1, 2)
    k, v = (x[:, None].expand_as(q) for x in (k, v))
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    grad = torch.randn(length + 5, 96, generator=draw)
    (wanted * heads.grouped(grad[5:])).sum().backward()
    mixed, out = torch.empty(length + 5, 96), torch.empty(length + 5, 160)
    with torch.no_grad():
        attend = attention.Attention(heads)
        attend.forward(qkv, [5, length], mixed)
        attend.backward(grad, qkv, [5, length], mixed, out)
    assert torch.allclose(heads.grouped(mixed[5:]), wanted, atol=1e-5)
    assert torch.allclose(out[5:], qkv.grad[5:], atol=2e-5)


def attended(qkv, grad, lengths):
    """Attention's output and the gradients of queries, keys and values, as float32."""
    attend, mixed, out = attention.Attention(HEADS), torch.empty_like(grad), torch.empty_like(qkv)
    attend.forward(qkv, lengths, mixed)
    attend.backward(grad, qkv, lengths, mixed, out)
    return [x.float() for x in (mixed, *out.split([96, 32, 32], 1))]


HEADS = Heads(6, 2, 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_of_many_examples_is_that_of_each(dtype):
    """More than run together, of lengths that share all blocks, some, or none."""
    lengths = [300, 5, 129, 260, 128, 300, 40, 1, 391]
    draw, starts = torch.Generator().manual_seed(4), np.cumsum([0, *lengths])
    qkv, grad = (torch.randn(starts[-1], w, generator=draw).to(dtype) for w in (160, 96))
    together, limit = attended(qkv, grad, lengths), 1e-6 if dtype == torch.float32 else 1e-3
    for first, n in zip(starts, lengths, strict=False):
        rows = slice(first, first + n)
        for found, alone in zip(together, attended(qkv[rows], grad[rows], [n]), strict=True):
            assert (found[rows] - alone).norm() <= limit * alone.norm()


@pytest.mark.parametrize("length", [1, 31, 33, 127, 129, 300])
def test_attention_in_bfloat16_errs_by_its_rounding_and_isolates(length):
    draw = torch.Generator().manual_seed(length)
    lengths, n = [5, length, 40], length + 48  # three rows are of no example
    qkv, grad = (torch.randn(n, width, generator=draw).bfloat16() for width in (160, 96))
    wanted, found = (
        attended(*given, lengths) for given in ((qkv.float(), grad.float()), (qkv, grad))
    )
    for ours, true in zip(found, wanted, strict=True):
        assert (ours - true).norm() < 0.01 * true.norm() and not ours[-3:].any()
    for rows in (qkv, grad):
        rows[-43:] = torch.randn(43, rows.shape[1], generator=draw)  # the last example is another
    for ours, before in zip(attended(qkv, grad, lengths), found, strict=True):
        assert torch.equal(ours[:-43], before[:-43]) and not torch.equal(ours, before)
