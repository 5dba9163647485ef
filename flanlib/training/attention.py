"""Causal attention within the examples of a pack, forward and backward.

Forward is torch's fused kernel, example by example. Its backward pass is slow
for short examples in bfloat16, so that is written out: blocks of queries
against the keys before them, a few matrix products each, scores and softmax
in float32.

In bfloat16 every new length would have products compiled for it. So there an
example takes along some rows of what follows it: its own rows come before
those and do not see them, and gradients there are zero.
"""

from collections.abc import Iterator, Sequence

import torch

from flanlib.models.heads import Heads
from flanlib.models.joined import Buffers

BLOCK = 128  # queries at a time
STEP = 32  # rows of an example in bfloat16 are a multiple of it
_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def forward(
    heads: Heads, qkv: torch.Tensor, lengths: Sequence[int], out: torch.Tensor
) -> list[torch.Tensor]:
    """Attention of every example.

    Parameters
    ----------
    qkv
        Shape (T, (queries + 2 keys) x width).
    lengths
        Tokens of each example; rows of no example come last.
    out
        Shape (T, at least queries x width); the first columns are filled, with
        zeros in rows of no example.

    Returns
    -------
    Per example, the log of the summed weights, float32, shape (keys, group, at least L).
    """
    found = []
    for _, wide in _stretches(lengths, qkv):
        q, k, v = heads.split(qkv[wide])
        k, v = (x[:, None].expand_as(q) for x in (k, v))
        mixed, logsum = _FUSED(q, k, v, 0.0, True, scale=heads.scale)
        heads.grouped(out[wide]).copy_(mixed)  # what is too much here the next one fills anew
        found.append(logsum)
    out[sum(lengths) :] = 0
    return found


def backward(
    heads: Heads,
    grad: torch.Tensor,
    qkv: torch.Tensor,
    lengths: Sequence[int],
    mixed: torch.Tensor,
    logsums: Sequence[torch.Tensor],
    out: torch.Tensor,
    buffers: Buffers,
) -> None:
    """Gradient of queries, keys and values.

    Parameters
    ----------
    grad
        Of the attention's output, shape (T, at least queries x width).
    qkv, lengths
        As given to `forward`.
    mixed, logsums
        As `forward` left and returned them.
    out
        Like `qkv`, filled.
    buffers
        Keep what is computed on the way.
    """
    for (rows, wide), logsum in zip(_stretches(lengths, qkv), logsums, strict=True):
        given = heads.grouped(grad[wide]), *heads.split(qkv[wide])
        given = (*given, heads.grouped(mixed[wide]), logsum, out[wide], buffers)
        _example(heads, rows.stop - rows.start, *given)
    out[sum(lengths) :] = 0


def _stretches(lengths: Sequence[int], qkv: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Rows of each example, and those that are computed for it."""
    first, step = 0, STEP if qkv.dtype == torch.bfloat16 else 1
    for length in lengths:
        last = min(first - -length // step * step, len(qkv))
        yield slice(first, first + length), slice(first, last)
        first += length


def _example(heads: Heads, own: int, grad, q, k, v, mixed, logsum, out, buffers: Buffers) -> None:
    """Gradients of one example, a block of queries at a time; zeros beyond its `own` rows."""
    n_keys, group, length, width = q.shape
    dtype, full = q.dtype, torch.float32

    def take(name: str, *shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
        return buffers.take(name, *shape, dtype=dtype)

    k_wide = take("k", n_keys, length, width, dtype=full).copy_(k)
    k, v = (take(n, n_keys, length, width).copy_(x) for n, x in (("key", k), ("value", v)))
    grad_k, grad_v = (take(n, n_keys, length, width, dtype=full).zero_() for n in ("dk", "dv"))
    into_q, into_k, into_v = heads.split(out)
    for first in range(0, length, BLOCK):
        last = min(first + BLOCK, length)
        block, n = slice(first, last), last - first
        rows = (n_keys, group * n)
        queries = take("q", n_keys, group, n, width, dtype=full).copy_(q[:, :, block])
        queries *= heads.scale
        grads = take("g", n_keys, group, n, width).copy_(grad[:, :, block])
        grads[:, :, max(0, own - first) :] = 0
        shared = (grads.float() * mixed[:, :, block]).sum(-1, keepdim=True)
        weights = take("w", *rows, last, dtype=full)
        torch.bmm(queries.view(*rows, width), k_wide[:, :last].transpose(1, 2), out=weights)
        by_query = weights.view(n_keys, group, n, last)
        by_query.sub_(logsum[:, :, block, None]).exp_()
        by_query[..., first:].tril_()
        narrow = take("p", *rows, last).copy_(weights)
        grads = grads.view(*rows, width)
        part = take("part", n_keys, last, width)
        grad_v[:, :last] += torch.bmm(narrow.transpose(1, 2), grads, out=part)
        scores = take("s", *rows, last)
        torch.bmm(grads, v[:, :last].transpose(1, 2), out=scores)
        scores.view_as(by_query).sub_(shared)
        scores *= narrow
        of_q = torch.bmm(scores, k[:, :last], out=take("dq", *rows, width))
        torch.mul(of_q.view(n_keys, group, n, width), heads.scale, out=into_q[:, :, block])
        near = take("near", *rows, width).copy_(queries.view(*rows, width))
        grad_k[:, :last] += torch.bmm(scores.transpose(1, 2), near, out=part)
    into_k.copy_(grad_k)
    into_v.copy_(grad_v)
