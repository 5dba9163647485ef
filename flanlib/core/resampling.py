"""The bootstrap: which groups of examples each draw takes, and a 95 % interval of draws.

One resampling for all intervals: of a score just measured, of records, of differences.
"""

from collections.abc import Sequence

import numpy as np

from flanlib.core.config import digest

DRAWS = 2000
ENDS = (2.5, 97.5)


def generator(name: str) -> np.random.Generator:
    """Random numbers of a name's own, the same everywhere."""
    return np.random.default_rng(int(digest(name), 16))


def of_groups(task: str, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """How often each draw takes each group of a task's examples.

    Parameters
    ----------
    task
        Its key; the same task has the same draws for all arms and measures.
    groups
        Of each example, in order; those of one group are drawn together.

    Returns
    -------
    int64 array, shape (examples,): number of each one's group; int64 array,
    shape (DRAWS, groups).
    """
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    even = np.full(len(numbers), 1 / len(numbers))
    return codes, generator(task).multinomial(len(numbers), even, size=DRAWS)


def of_seeds(seeds: Sequence[int]) -> np.ndarray:
    """Which tuning seeds each draw takes: the same for all arms and clusters that have these.

    One tuned model answers for several clusters, so that its luck is theirs
    in common.

    Returns
    -------
    int64 array, shape (DRAWS, number of seeds): places in `seeds`.
    """
    picks = generator(f"seeds {sorted(seeds)}")
    return picks.integers(len(seeds), size=(DRAWS, len(seeds)))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Ends of the 95 % percentile interval of draws, shape (DRAWS,); NaN of NaN."""
    low, high = np.percentile(draws, ENDS)
    return float(low), float(high)
