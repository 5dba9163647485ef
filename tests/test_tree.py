"""Trees by hand, and attention along them against attention path by path."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from flanlib.core.errors import RunError
from flanlib.evaluation.tree import Calls, Tree, calls, tree_attention

SHARED = [0, 2, 1, 0]
PATHS = [np.array(p) for p in ([1, 2, 3], [1, 2, 4, 5], [1, 6], [7])]


def random_tree(seed):
    """Paths that leave each other anywhere, one longer than a run."""
    rng = np.random.default_rng(seed)
    paths, shared = [rng.integers(0, 9, 300)], [0]
    for size in rng.integers(1, 90, 12).tolist():
        n = int(rng.integers(0, len(paths[-1])))
        paths.append(np.concatenate([paths[-1][:n], 10 + rng.integers(0, 9, size)]))
        shared.append(n)
    return Tree.of(paths, shared)


def attend(tree, q, k, v, places=None, together=False):
    found = calls(tree, places, q, together=together)
    return tree_attention(torch.nn.Module(), q, k, v, None, tree_calls=Calls(found, found, 1))[0][0]


def test_a_tree_by_hand():
    tree = Tree.of(PATHS, SHARED)
    assert tree.ids.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert tree.depths.tolist() == [0, 1, 2, 2, 3, 1, 0]
    assert tree.ends.tolist() == [6, 5, 3, 5, 5, 6, 7]
    assert [n.tolist() for n in tree.nodes] == [[0, 1, 2], [0, 1, 3, 4], [0, 5], [6]]
    assert tree.keys(3, 5).tolist() == [0, 1, 3, 4] and tree.keys(6, 7).tolist() == [6]


@pytest.mark.parametrize("call_pairs", [0, 3, 3_000, 10**9])
def test_stretches_cover_every_place_once(call_pairs):
    tree = random_tree(1)
    found = tree.stretches(call_pairs)
    assert [a for a, _ in found] == [0, *(b for _, b in found[:-1])]
    assert found[-1][1] == len(tree.ids) and all(a < b for a, b in found)
    assert (len(found) == 1) == (call_pairs == 10**9)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_attention_along_a_tree_is_attention_along_its_paths(seed, together):
    tree = random_tree(seed)
    torch.manual_seed(seed)
    q = torch.randn(1, 4, len(tree.ids), 8)
    k, v = torch.randn(2, 1, 2, len(tree.ids), 8)
    found = attend(tree, q, k, v, together=together)
    places = np.sort(np.random.default_rng(seed).permutation(len(tree.ids))[:40])
    some = attend(tree, q, k, v, places, together)
    assert torch.allclose(some[places], found[places], atol=1e-6)
    for at in tree.nodes:
        keys, values = (x[:, :, at].repeat_interleave(2, 1) for x in (k, v))
        wanted = scaled_dot_product_attention(q[:, :, at], keys, values, is_causal=True)
        assert torch.allclose(found[at], wanted[0].transpose(0, 1), atol=1e-6)


def test_masks_grow_with_the_tree_and_not_with_its_square():
    paths = [np.array([n, *range(100, 199)]) for n in range(40)]
    tree = Tree.of(paths, [0] * 40)
    q = torch.zeros(1, 1, 4_000, 8)
    assert all(call.mask is None for call in calls(tree, None, q, together=False))
    masks = [call.mask for call in calls(tree, None, q, together=True)]
    assert sum(mask.numel() for mask in masks if mask is not None) < 4_000**2 / 20


def test_attention_that_would_differ_is_refused():
    tree = Tree.of(PATHS, SHARED)
    q = torch.zeros(1, 1, 7, 8)
    given = {"tree_calls": Calls([], [], 1)}
    with pytest.raises(RunError, match="softcap"):
        tree_attention(torch.nn.Module(), q, q, q, None, softcap=30.0, **given)
    with pytest.raises(RunError, match="does not hand the tree"):
        tree_attention(torch.nn.Module(), q, q, q, None)
    assert attend(tree, q, q, q).shape == (7, 1, 8)
