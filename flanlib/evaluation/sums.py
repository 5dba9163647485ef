"""Sums over examples: what each contributes to a metric, and the mean as a metric of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task

Finish = Callable[[np.ndarray], np.ndarray]


@dataclass
class Counts:
    """Per (template, example): a vector of counts, and a score by itself.

    Attributes
    ----------
    finish
        Sums over examples, shape (..., K), to percent.
    vectors
        float64 arrays, shape (K,), summed before `finish`.
    each
        Percent of the example alone; for sums like BLEU, its best reading.
    """

    finish: Finish
    vectors: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    each: dict[tuple[str, str], float] = field(default_factory=dict)
    signature: str = ""


def means(
    task: Task, shares: Mapping[tuple[str, str], float | None], signature: str = ""
) -> Counts:
    """Means over examples, as counts.

    Parameters
    ----------
    shares
        Template and example -> share between 0 and 1. None does not count: its
        example scores the mean.

    Raises
    ------
    DataError
        If no share counts.
    """
    counted = [share for share in shares.values() if share is not None]
    if not counted:
        raise DataError(f"task {task.key}: the metric counts none of the examples ({signature})")
    mean = float(np.mean(counted))
    return Counts(
        mean_of_sums,
        {key: np.zeros(2) if s is None else np.array([s, 1.0]) for key, s in shares.items()},
        {key: 100 * (mean if s is None else s) for key, s in shares.items()},
        signature,
    )


def mean_of_sums(sums: np.ndarray) -> np.ndarray:
    """Percent of what was summed: shares, and how many of them count.

    Parameters
    ----------
    sums
        Over examples, shape (..., 2).
    """
    right, counted = sums[..., 0], sums[..., 1]
    return np.divide(100 * right, counted, out=np.full_like(right, np.nan), where=counted > 0)
