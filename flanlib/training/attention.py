"""Causal attention within the examples of a pack, forward and backward.

Both are torch's fused kernels, example by example. The backward one is given
float32 in any case: in bfloat16 it takes twice as long, and errs more.

In bfloat16 every new length would have products compiled for it. So there an
example takes along, forward, some rows of what follows it: its own rows come
before those and do not see them.
"""

from collections.abc import Iterator, Sequence

import torch

from flanlib.models.heads import Heads

STEP = 32  # rows of an example in bfloat16 are a multiple of it
_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


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
    """
    for (own, _), logsum in zip(_stretches(lengths, qkv), logsums, strict=True):
        q, k, v = (x.float() for x in heads.split(qkv[own]))
        k, v = (x[:, None].expand_as(q) for x in (k, v))
        after, made = (heads.grouped(rows[own]).float() for rows in (grad, mixed))
        given = (after, q, k, v, made, logsum[:, :, : q.shape[2]].contiguous())
        of_q, of_k, of_v = _FUSED_BACKWARD(*given, 0.0, True, scale=heads.scale)
        into_q, into_k, into_v = heads.split(out[own])
        into_q.copy_(of_q)
        into_k.copy_(of_k.sum(1))
        into_v.copy_(of_v.sum(1))
    out[sum(lengths) :] = 0


def _stretches(lengths: Sequence[int], qkv: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Rows of each example, and those that are computed for it."""
    first, step = 0, STEP if qkv.dtype == torch.bfloat16 else 1
    for length in lengths:
        last = min(first - -length // step * step, len(qkv))
        yield slice(first, first + length), slice(first, last)
        first += length
