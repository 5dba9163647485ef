"""Causal attention within the examples of a pack, forward and backward.

A block of queries at a time attends to the keys up to it, in a few matrix
products; blocks of like size run together. Scores and softmax are float32 in
any case, and are made again in the backward pass: nothing is kept for it but
the output.

In bfloat16 every new size would have products compiled for it. So there an
example takes along some rows of what follows it: its own rows come before
those and do not see them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from flanlib.models.heads import Heads
from flanlib.models.joined import Buffers

BLOCK = 128  # queries of an example at a time
STEP = 32  # rows of an example in bfloat16 are a multiple of it
TOGETHER = 4  # examples side by side, at most


@dataclass(frozen=True, slots=True)
class _Example:
    """Rows in a pack: the first, how many are its own, and how many it takes."""

    first: int
    n_own: int
    n_rows: int

    def own(self, rows: slice) -> int:
        """How many of these rows, counted from its first, are its own."""
        return max(0, min(rows.stop, self.n_own) - rows.start)


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of some examples of a group.

    Attributes
    ----------
    examples
        By their place in the group.
    rows
        Within each of them; keys are those from 0 to the last.
    """

    examples: slice
    rows: slice


class Attention:
    """Attention of a model's heads, in buffers that last."""

    def __init__(self, heads: Heads) -> None:
        self.heads, self.buffers = heads, Buffers()
        self.later = torch.full((BLOCK, BLOCK), -torch.inf).triu_(1)[:, None]

    def forward(self, qkv: torch.Tensor, lengths: Sequence[int], out: torch.Tensor) -> None:
        """Attention of every example.

        Parameters
        ----------
        qkv
            Shape (T, (queries + 2 keys) x width).
        lengths
            Tokens of each example; rows of no example come last.
        out
            Shape (T, at least queries x width); the first columns are filled,
            with zeros in rows of no example.
        """
        q, k, v = self.heads.split(qkv)
        into = self.heads.by_place(out)
        for group in _groups(lengths, qkv):
            wide_q, wide_k = (
                self._stacked(n, x, group, torch.float32) for n, x in (("q", q), ("k", k))
            )
            near_v = self._stacked("near v", v, group, qkv.dtype)
            for block in _blocks(group):
                p = self._narrow("p", self._weights(wide_q, wide_k, block), qkv.dtype)
                seen = self._take("mixed", *p.shape[:2], v.shape[2], dtype=qkv.dtype)
                torch.bmm(p, self._keys(near_v, block), out=seen)
                self._spread(seen, group, block, into)
        out[sum(lengths) :] = 0

    def backward(
        self,
        grad: torch.Tensor,
        qkv: torch.Tensor,
        lengths: Sequence[int],
        mixed: torch.Tensor,
        out: torch.Tensor,
    ) -> None:
        """Gradient of queries, keys and values.

        Parameters
        ----------
        grad
            Of the attention's output, shape (T, at least queries x width).
        qkv, lengths
            As given to `forward`.
        mixed
            As `forward` left it.
        out
            Like `qkv`, filled.
        """
        full, dtype, scale = torch.float32, qkv.dtype, self.heads.scale
        q, k, v = self.heads.split(qkv)
        named = {"q": q, "k": k, "v": v, "g": self.heads.by_place(grad)}
        mixed = self.heads.by_place(mixed)
        into_q, into_k, into_v = self.heads.split(out)
        for group in _groups(lengths, qkv):
            wide_q, wide_k, wide_v, wide_g = (
                self._stacked(n, x, group, full) for n, x in named.items()
            )
            near_q, near_k, near_g = (
                self._narrow(n, x, dtype)
                for n, x in (("near q", wide_q), ("near k", wide_k), ("near g", wide_g))
            )
            shared = self._stacked("shared", mixed, group, full)
            shared = shared.mul_(wide_g).sum(-1, keepdim=True)
            of_k, of_v = (
                self._take(n, *k.shape, dtype=full).zero_()
                for n, k in (("dk", wide_k), ("dv", wide_v))
            )
            for block in _blocks(group):
                weights = self._weights(wide_q, wide_k, block)
                each = weights.unflatten(0, (-1, len(k)))
                for rows, one in zip(each, group[block.examples], strict=True):
                    rows[:, one.own(block.rows) * self.heads.group :] = 0
                p = self._narrow("p", weights, dtype)
                part = self._take("part", len(p), p.shape[2], k.shape[2], dtype=dtype)
                torch.bmm(p.transpose(1, 2), self._queries(near_g, block), out=part)
                self._keys(of_v, block).add_(part)
                s = self._take("scores", *p.shape, dtype=full)
                torch.bmm(
                    self._queries(wide_g, block), self._keys(wide_v, block).transpose(1, 2), out=s
                )
                s = self._narrow("s", s.sub_(self._queries(shared, block)).mul_(weights), dtype)
                torch.bmm(s.transpose(1, 2), self._queries(near_q, block), out=part)
                self._keys(of_k, block).add_(part)
                of_q = self._take("mixed", *p.shape[:2], k.shape[2], dtype=dtype)
                torch.bmm(s, self._keys(near_k, block), out=of_q)
                self._spread(of_q.mul_(scale), group, block, into_q)
            whole = _Block(slice(0, len(group)), slice(0, group[0].n_rows))
            for into, found in ((into_k, of_k.mul_(scale)), (into_v, of_v)):
                self._spread(found, group, whole, into[:, :, None])
        out[sum(lengths) :] = 0

    def _weights(self, q: torch.Tensor, k: torch.Tensor, block: _Block) -> torch.Tensor:
        """Softmax of a block's scores, float32, shape (B x keys, queries of them, seen)."""
        q, k = self._queries(q, block), self._keys(k, block)
        shape, n = (*q.shape[:2], k.shape[1]), block.rows.stop - block.rows.start
        scores = self._take("scores", *shape, dtype=q.dtype)
        torch.baddbmm(scores, q, k.transpose(1, 2), beta=0, alpha=self.heads.scale, out=scores)
        scores.unflatten(1, (n, -1))[..., -n:] += self.later[:n, :, :n]
        return torch.softmax(scores, -1, out=self._take("weights", *shape, dtype=q.dtype))

    def _queries(self, x: torch.Tensor, block: _Block) -> torch.Tensor:
        """A block's queries, (B x keys, queries of them, width), of a stacked `x`."""
        n, rows = self.heads.group, block.rows
        return x[self._heads(block), rows.start * n : rows.stop * n]

    def _keys(self, x: torch.Tensor, block: _Block) -> torch.Tensor:
        """What a block sees, (B x keys, seen, width), of a stacked `x`."""
        return x[self._heads(block), : block.rows.stop]

    def _heads(self, block: _Block) -> slice:
        n = self.heads.n_keys
        return slice(block.examples.start * n, block.examples.stop * n)

    def _stacked(
        self, name: str, x: torch.Tensor, group: list[_Example], dtype: torch.dtype
    ) -> torch.Tensor:
        """From (keys, T, ..., width), a group's (B x keys, rows x ..., width), contiguous."""
        found = self._take(name, len(group), len(x), group[0].n_rows, *x.shape[2:], dtype=dtype)
        for into, one in zip(found, group, strict=True):
            into[:, : one.n_rows].copy_(x[:, one.first : one.first + one.n_rows])
        return found.view(len(group) * len(x), -1, x.shape[-1])

    def _spread(
        self, found: torch.Tensor, group: list[_Example], block: _Block, into: torch.Tensor
    ) -> None:
        """Copy own rows of a block, (B x keys, rows x ..., width), `into` (keys, T, ..., width)."""
        n_rows = block.rows.stop - block.rows.start
        found = found.view(-1, len(into), n_rows, *into.shape[2:])
        for rows, one in zip(found, group[block.examples], strict=True):
            first, n = one.first + block.rows.start, one.own(block.rows)
            into[:, first : first + n].copy_(rows[:, :n])

    def _narrow(self, name: str, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return x if x.dtype == dtype else self._take(name, *x.shape, dtype=dtype).copy_(x)

    def _take(self, name: str, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return self.buffers.take(name, *shape, dtype=dtype)


def _groups(lengths: Sequence[int], qkv: torch.Tensor) -> Iterator[list[_Example]]:
    """Examples of a pack, the longest first."""
    found, first, step = [], 0, STEP if qkv.dtype == torch.bfloat16 else 1
    for length in lengths:
        found.append(_Example(first, length, min(-(-length // step) * step, len(qkv) - first)))
        first += length
    found.sort(key=lambda one: -one.n_rows)
    for at in range(0, len(found), TOGETHER):
        yield found[at : at + TOGETHER]


def _blocks(group: list[_Example]) -> Iterator[_Block]:
    """The blocks of a group's examples, those of like size together."""
    for first in range(0, group[0].n_rows, BLOCK):
        stops = [min(first + BLOCK, one.n_rows) for one in group if one.n_rows > first]
        at = 0
        for stop, alike in groupby(stops):
            n = len(list(alike))
            yield _Block(slice(at, at + n), slice(first, stop))
            at += n
