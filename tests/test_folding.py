"""Folded LoRA layers give PEFT's values and gradients."""

import pytest
import torch

from flanlib.core.config import Recipe
from flanlib.models import language_model, rehearsal
from flanlib.models.encode import Encoded
from flanlib.training import packing
from flanlib.training.folding import Folded, folding

EXAMPLES = [Encoded([5, 9, 40, 33, 70], [17, 3]), Encoded([8, 8], [90])]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return rehearsal.random_neox(tmp_path_factory.mktemp("models") / "tiny", seed=4)


def adapted(base, **given):
    net = language_model.attach(language_model.load(base)[0], Recipe(rank=4, alpha=8, **given), 1)
    torch.manual_seed(5)
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(std=0.1)
    return net


def gradients(net, fold: bool):
    from contextlib import nullcontext

    with packing.isolating(net), folding(net) if fold else nullcontext():
        loss = packing.loss_sum(net, packing.pack(EXAMPLES, 0))
        loss.backward()
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.requires_grad}
    net.zero_grad()
    return loss.item(), found


def used(net) -> set[str]:
    """Names of the autograd nodes a pass makes."""
    seen, left = set(), [packing.loss_sum(net, packing.pack(EXAMPLES, 0)).grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [n for n, _ in node.next_functions]
    return {type(node).__name__ for node in seen}


def test_values_and_gradients_are_pefts(base):
    net = adapted(base)
    plain, expected = gradients(net, fold=False)
    folded, found = gradients(net, fold=True)
    assert folded == pytest.approx(plain, abs=1e-5)
    assert all(torch.allclose(found[n], expected[n], atol=1e-5) for n in expected)
    assert any(g.abs().max() > 1e-2 for g in expected.values())


def test_derivatives_agree_with_differences():
    torch.manual_seed(0)
    draw = {"dtype": torch.float64, "requires_grad": True}
    x, a, b = torch.randn(2, 3, 5, **draw), torch.randn(2, 5, **draw), torch.randn(4, 2, **draw)
    weight, bias = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *v: Folded.apply(v[0], weight, bias, *v[1:], 0.7), (x, a, b)
    )


def test_only_layers_that_may_be_are_folded(base):
    plain, dropping = adapted(base), adapted(base, dropout=0.2)
    with packing.isolating(plain), folding(plain):
        assert "FoldedBackward" in used(plain)
    with packing.isolating(dropping), folding(dropping):
        assert "FoldedBackward" not in used(dropping)


def test_layers_are_pefts_again_afterwards(base):
    net = adapted(base)
    with pytest.raises(KeyError), folding(net):
        raise KeyError
    with packing.isolating(net):
        assert "FoldedBackward" not in used(net)


def test_base_weights_are_not_touched(base):
    net = adapted(base)
    before = {n: p.clone() for n, p in net.named_parameters()}
    gradients(net, fold=True)
    assert all(torch.equal(before[n], p) for n, p in net.named_parameters())
