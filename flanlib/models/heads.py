"""Queries, keys and values side by side in a row, and how positions turn them."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Heads:
    """How queries, keys and values stand side by side in a row.

    Attributes
    ----------
    n_queries, n_keys
        Heads of each kind; queries share keys in equal groups.
    width
        Numbers in a head.
    """

    n_queries: int
    n_keys: int
    width: int

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return self.width**-0.5

    @property
    def n_turned(self) -> int:
        """Columns of queries and keys, which positions turn."""
        return (self.n_queries + self.n_keys) * self.width

    def split(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, shape (keys, L, group, width), and keys and values, (keys, L, width).

        `rows` has the shape (L, (queries + 2 keys) x width).
        """
        sizes = (self.n_queries * self.width, self.n_keys * self.width, self.n_keys * self.width)
        q, k, v = rows.split(sizes, 1)
        k, v = (x.unflatten(1, (self.n_keys, self.width)).transpose(0, 1) for x in (k, v))
        return self.by_place(q), k, v

    @property
    def group(self) -> int:
        """Query heads that share a key."""
        return self.n_queries // self.n_keys

    def by_place(self, rows: torch.Tensor) -> torch.Tensor:
        """Query heads of a key, place by place, shape (keys, L, group, width); see `grouped`."""
        return self.grouped(rows).transpose(1, 2)

    def grouped(self, rows: torch.Tensor) -> torch.Tensor:
        """Query heads in groups that share a key, shape (keys, group, L, width).

        `rows` has the shape (L, at least queries x width).
        """
        rows = rows[:, : self.n_queries * self.width]
        return rows.unflatten(1, (self.n_keys, -1, self.width)).permute(1, 2, 0, 3)

    def turned(self, rows: torch.Tensor) -> torch.Tensor:
        """Queries and keys as pairs of halves, shape (L, heads, 2, width / 2).

        `rows` has the shape (L, (queries + 2 keys) x width).
        """
        return rows[:, : self.n_turned].unflatten(1, (-1, 2, self.width // 2))


def rotate(
    heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, scratch: torch.Tensor
) -> None:
    """Turn both halves of each head by the place's angles, in place.

    Parameters
    ----------
    heads
        Shape (T, heads, 2, width / 2).
    cos, sin
        Shape (T, 1, width / 2).
    scratch
        Shape (T, heads x width / 2), overwritten.
    """
    a, b = heads[:, :, 0], heads[:, :, 1]
    kept = torch.mul(a, sin, out=scratch.view(a.shape))
    a.mul_(cos).addcmul_(b, sin, value=-1)
    b.mul_(cos).add_(kept)
