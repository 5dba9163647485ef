"""Token paths laid flat as one prefix tree, and attention along its branches.

Sorted paths share their longest prefixes with their neighbours, so writing
each down after what it shares with the one before lists the tree depth first.
There token j is an ancestor of token i when j <= i < end[j], with end[j] the
first place after j's subtree, and any stretch of places attends to nothing
but the ancestors of its first place and to itself. Attention runs stretch by
stretch: a mask is as large as one stretch, never the square of the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from flanlib.core.errors import RunError
from flanlib.models.heads import Heads
from flanlib.models.llama import Attend

Index = torch.Tensor | tuple[None, slice]

ATTENTION = "flanlib_tree"
RUN = 128  # places after which a long run may be split
CALL_PAIRS, CALL_PAIRS_TOGETHER = 3_000, 16_000  # query-key pairs that cost as much as a call
LIKE = 64  # sizes that differ by less are padded to share a call
CHANGES = ("softcap", "s_aux", "sliding_window", "position_bias")


@dataclass(frozen=True, slots=True)
class Tree:
    """Paths through a prefix tree, each token written once, depth first.

    Attributes
    ----------
    ids
        int64, shape (T,): the tokens, depth first.
    depths
        int64, shape (T,): tokens above each one.
    ends
        int64, shape (T,): first place after each one's subtree.
    starts
        Places where a path leaves the one before it.
    nodes
        Places of each path's tokens.
    """

    ids: np.ndarray
    depths: np.ndarray
    ends: np.ndarray
    starts: list[int]
    nodes: list[np.ndarray]

    @classmethod
    def of(cls, paths: Sequence[np.ndarray], shared: Sequence[int]) -> "Tree":
        """Lay out sorted paths.

        Parameters
        ----------
        paths
            Token ids, int64, shape (N,) each; sorted.
        shared
            Tokens that each path shares with the one before it, 0 for the first.
        """
        own = [len(path) - n for path, n in zip(paths, shared, strict=True)]
        ids, depths, ends = (np.empty(sum(own), dtype=np.int64) for _ in range(3))
        starts, nodes = [], []
        place, before = 0, np.empty(0, dtype=np.int64)
        for path, n, new in zip(paths, shared, own, strict=True):
            ends[before[n:]] = place
            here = np.concatenate([before[:n], np.arange(place, place + new)])
            ids[place : place + new] = path[n:]
            depths[place : place + new] = np.arange(n, len(path))
            starts.append(place)
            nodes.append(here)
            place, before = place + new, here
        ends[before] = place
        return cls(ids, depths, ends, starts, nodes)

    def stretches(self, call_pairs: int) -> list[tuple[int, int]]:
        """Cut the places where that saves more query-key pairs than a call costs, `call_pairs`.

        Returns
        -------
        First place and the one after the last, of each stretch.
        """
        edges = [*self.starts, len(self.ids)]
        runs = [at for a, b in pairwise(edges) for at in range(a, b, RUN)]
        found, first = [], 0
        for a, b in zip(runs, [*runs[1:], len(self.ids)], strict=True):
            joined, before, new = b - first, a - first, b - a
            above, depth = self.depths[first], self.depths[a]
            apart = before * (before + above) + new * (new + depth) + call_pairs
            if before and joined * (joined + above) > apart:
                found.append((first, a))
                first = a
        return [*found, (first, len(self.ids))]

    def keys(self, first: int, last: int) -> np.ndarray:
        """What a stretch attends to: ancestors of its first place, and itself.

        Parameters
        ----------
        first, last
            The stretch's first place, and the one after its last.

        Returns
        -------
        int64, shape (K,), sorted.
        """
        return np.concatenate([np.flatnonzero(self.ends[:first] > first), np.arange(first, last)])


@dataclass(frozen=True, slots=True)
class Call:
    """One call of attention: B stretches, Q queries and K keys each.

    Attributes
    ----------
    queries, keys
        Index into (T, ...) that gives (B, Q, ...) and (B, K, ...).
    mask
        Additive, shape (B, 1, Q, K); None for causal.
    """

    queries: Index
    keys: Index
    mask: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Calls:
    """What each layer calls.

    Attributes
    ----------
    layers
        Calls of every layer but the last.
    last
        Calls of the last one, which may need some places only.
    n_layers
        Layers of the model, the last included.
    """

    layers: list[Call]
    last: list[Call]
    n_layers: int


def calls(
    tree: Tree, places: np.ndarray | None, like: torch.Tensor, *, together: bool
) -> list[Call]:
    """Attention of a tree in few calls with few masked pairs.

    Parameters
    ----------
    places
        Where attention is wanted, sorted; None for everywhere.
    together
        Whether stretches of like size share a call, as suits a GPU.
    """
    groups: dict[object, list] = {}
    stretches = tree.stretches(CALL_PAIRS_TOGETHER if together else CALL_PAIRS)
    for number, (first, last) in enumerate(stretches):
        queries, keys = np.arange(first, last), tree.keys(first, last)
        if places is not None:
            queries = places[slice(*np.searchsorted(places, (first, last)))]
        size = (len(queries) // LIKE, len(keys) // LIKE) if together else number
        if len(queries):
            groups.setdefault(size, []).append((queries, keys))
    return [_call(tree, group, like) for group in groups.values()]


def _call(tree: Tree, group: list[tuple[np.ndarray, np.ndarray]], like: torch.Tensor) -> Call:
    # A stretch too short repeats its last query, whose answer is the same, and hides a key.
    queries = _rectangle([(q, q[-1]) for q, _ in group])
    keys = _rectangle([(k, -1) for _, k in group])
    mask = None
    if not np.array_equal(queries, keys) or (tree.ends[keys] <= keys[:, -1:]).any():
        at, of = queries[:, :, None], keys[:, None, :]
        sees = (of >= 0) & (of <= at) & (at < tree.ends[of])
        mask = _additive(torch.from_numpy(sees)[:, None].to(like.device), like)
    return Call(_index(queries, like.device), _index(keys, like.device), mask)


def _rectangle(rows: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Rows, each filled up with a value of its own."""
    found = np.empty((len(rows), max(len(row) for row, _ in rows)), dtype=np.int64)
    for n, (row, value) in enumerate(rows):
        found[n, : len(row)], found[n, len(row) :] = row, value
    return found


def _additive(sees: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    hidden = torch.full((), torch.finfo(like.dtype).min, dtype=like.dtype, device=like.device)
    return torch.where(sees, hidden.new_zeros(()), hidden)


def _index(places: np.ndarray, device: torch.device) -> Index:
    """Places (B, N) as an index; a slice, which copies nothing, where it can be."""
    first = int(places[0, 0])
    if len(places) == 1 and places[0, -1] - first == places.shape[1] - 1:
        return None, slice(first, first + places.shape[1])
    return torch.from_numpy(places).to(device)


def tree_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    tree_calls: Calls | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention of each token to its ancestors.

    Parameters
    ----------
    query, key, value
        Shape (1, heads, T, head width); keys may have fewer heads.
    tree_calls
        What to compute; has to be given.

    Returns
    -------
    Shape (1, T, heads, head width), zeros where it is not wanted; no weights.

    Raises
    ------
    RunError
        If the calls did not reach this layer, or the layer wants something
        that would change the numbers.
    """
    if tree_calls is None:
        raise RunError("this architecture does not hand the tree to its attention")
    if changes := [name for name in CHANGES if kwargs.get(name) is not None]:
        raise RunError(f"attention with {', '.join(changes)} cannot run along a tree")
    if (groups := query.shape[1] // key.shape[1]) > 1:
        key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    found = v.new_zeros(v.shape)
    is_last = getattr(module, "layer_idx", None) == tree_calls.n_layers - 1
    for call in tree_calls.last if is_last else tree_calls.layers:
        seen = scaled_dot_product_attention(
            *(x.transpose(1, 2) for x in (q[call.queries], k[call.keys], v[call.keys])),
            attn_mask=call.mask,
            is_causal=call.mask is None,
            scale=scaling,
        )
        found[call.queries] = seen.transpose(1, 2)
    return found[None], None


AttentionInterface.register(ATTENTION, tree_attention)


def along(
    heads: Heads, tree: Tree, places: np.ndarray, like: torch.Tensor, n_layers: int
) -> Attend:
    """Attention along a tree of written-out layers; the last of `n_layers` at `places` alone."""
    layers, last = (calls(tree, which, like, together=False) for which in (None, places))

    def attend(number: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
        others = qkv[:, heads.n_queries * heads.width :]
        for call in last if number == n_layers - 1 else layers:
            q, out = (heads.grouped(x[call.queries][0]) for x in (qkv, mixed))
            k, v = others[call.keys][0].unflatten(1, (2, heads.n_keys, heads.width)).unbind(1)
            k, v = (x.transpose(0, 1)[:, None].expand(*q.shape[:2], -1, -1) for x in (k, v))
            seen = scaled_dot_product_attention(
                q, k, v, attn_mask=call.mask, is_causal=call.mask is None, scale=heads.scale
            )
            if isinstance(call.queries, tuple):
                out.copy_(seen)
            else:
                flat = seen.permute(2, 0, 1, 3).flatten(1)
                mixed[call.queries[0], : flat.shape[1]] = flat

    return attend
