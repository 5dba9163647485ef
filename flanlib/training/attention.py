"""Causal attention within the examples of a pack, forward and backward.

A block of queries at a time attends to the keys up to it, in a few matrix
products. Scores and softmax are float32 in any case, and are made again in the
backward pass: nothing is kept for it but the output.

In bfloat16 every new length would have products compiled for it. So there an
example takes along some rows of what follows it: its own rows come before
those and do not see them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from flanlib.models.heads import Heads
from flanlib.models.joined import Buffers

BLOCK = 128  # queries at a time
STEP = 32  # rows of an example in bfloat16 are a multiple of it


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of queries and of the keys that they see, in a pack."""

    rows: slice
    seen: slice
    n_own: int  # rows of the example; those after them only fill up

    @property
    def n_rows(self) -> int:
        """Number of queries."""
        return self.rows.stop - self.rows.start

    @property
    def n_seen(self) -> int:
        """Number of keys."""
        return self.seen.stop - self.seen.start


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
        wide_q, wide_k = (self._copied(n, x, torch.float32) for n, x in (("q", q), ("k", k)))
        into = self.heads.by_place(out)
        for blocks in _examples(lengths, qkv):
            for block in blocks:
                p = self._narrow("p", self._weights(wide_q, wide_k, block), qkv.dtype)
                mixed = self._take("mixed", len(p), p.shape[1], v.shape[2], dtype=qkv.dtype)
                torch.bmm(p, v[:, block.seen], out=mixed)
                # What is too much here the next example fills anew.
                into[:, block.rows].copy_(mixed.view_as(into[:, block.rows]))
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
        wide_q, wide_k, wide_v, wide_g = (self._copied(n, x, full) for n, x in named.items())
        q, g = (self._narrow(n, x, dtype) for n, x in (("near q", wide_q), ("near g", wide_g)))
        shared = self._copied("shared", self.heads.by_place(mixed), full)
        shared = shared.mul_(wide_g).sum(-1, keepdim=True)
        into_q, into_k, into_v = self.heads.split(out)
        n_heads, width = len(k), k.shape[2]
        for blocks in _examples(lengths, qkv):
            longest = blocks[-1].n_seen
            of_k, of_v = (
                self._take(n, n_heads, longest, width, dtype=full).zero_() for n in ("dk", "dv")
            )
            for block in blocks:
                rows, seen = self._rows(block), block.seen
                weights = self._weights(wide_q, wide_k, block)
                weights[:, block.n_own * self.heads.group :] = 0
                p = self._narrow("p", weights, dtype)
                part = self._take("part", n_heads, block.n_seen, width, dtype=dtype)
                of_v[:, : block.n_seen] += torch.bmm(p.transpose(1, 2), g[:, rows], out=part)
                s = self._take("scores", *p.shape, dtype=full)
                torch.bmm(wide_g[:, rows], wide_v[:, seen].transpose(1, 2), out=s)
                s = self._narrow("s", s.sub_(shared[:, rows]).mul_(weights), dtype)
                of_k[:, : block.n_seen] += torch.bmm(s.transpose(1, 2), q[:, rows], out=part)
                of_q = self._take("mixed", *p.shape[:2], width, dtype=dtype)
                torch.bmm(s, k[:, seen], out=of_q)
                place = into_q[:, block.rows]
                torch.mul(of_q.view_as(place), scale, out=place)
            own = slice(blocks[0].rows.start, blocks[-1].rows.start + blocks[-1].n_own)
            for into, found in ((into_k, of_k.mul_(scale)), (into_v, of_v)):
                into[:, own].copy_(found[:, : own.stop - own.start])
        out[sum(lengths) :] = 0

    def _weights(self, q: torch.Tensor, k: torch.Tensor, block: _Block) -> torch.Tensor:
        """Softmax of a block's scores, float32, shape (keys, queries of them, seen)."""
        rows, n = self._rows(block), block.n_rows
        scores = self._take("scores", len(q), rows.stop - rows.start, block.n_seen, dtype=q.dtype)
        given = (q[:, rows], k[:, block.seen].transpose(1, 2))
        torch.baddbmm(scores, *given, beta=0, alpha=self.heads.scale, out=scores)
        scores.view(len(q), n, -1, block.n_seen)[..., -n:] += self.later[:n, :, :n]
        return torch.softmax(scores, -1, out=self._take("weights", *scores.shape, dtype=q.dtype))

    def _rows(self, block: _Block) -> slice:
        return slice(block.rows.start * self.heads.group, block.rows.stop * self.heads.group)

    def _copied(self, name: str, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """By key: (keys, L, group, width) as (keys, L x group, width), contiguous."""
        return self._take(name, *x.shape, dtype=dtype).copy_(x).view(len(x), -1, x.shape[-1])

    def _narrow(self, name: str, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return x if x.dtype == dtype else self._take(name, *x.shape, dtype=dtype).copy_(x)

    def _take(self, name: str, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return self.buffers.take(name, *shape, dtype=dtype)


def _examples(lengths: Sequence[int], qkv: torch.Tensor) -> Iterator[list[_Block]]:
    """The blocks of each example."""
    first, step = 0, STEP if qkv.dtype == torch.bfloat16 else 1
    for length in lengths:
        end = min(first - -length // step * step, len(qkv))
        yield [
            _Block(
                slice(at, min(at + BLOCK, end)),
                slice(first, min(at + BLOCK, end)),
                min(first + length - at, BLOCK),
            )
            for at in range(first, end, BLOCK)
        ]
        first += length
