"""Rank correlation of what was measured with what was published, dataset by dataset."""

from collections.abc import Sequence

import numpy as np

from flanlib.core.resampling import DRAWS, generator
from flanlib.results.estimates import Estimate

FEWEST = 4  # datasets; of fewer, ranks say nothing


def spearman(
    measured: Sequence[Estimate], published: Sequence[float], blocks: Sequence[str] = ()
) -> Estimate:
    """Spearman's rank correlation, with draws over datasets, examples and seeds.

    A draw resamples the datasets, and takes of each the measured value of the same draw of its
    examples and tuning seeds, so that the interval holds both. Measuring errors pull a rank
    correlation towards 0, in the value and once more in its draws. Published values are taken as
    they are.

    Parameters
    ----------
    measured
        One a dataset.
    published
        The other value of each.
    blocks
        What is resampled instead of datasets, such as the cluster of each.

    Returns
    -------
    From -1 to 1; n: datasets. NaN where ranks do not differ, or of fewer than `FEWEST`.
    """
    values, others = np.array([m.value for m in measured]), np.array(published, dtype=float)
    if len(values) < FEWEST:
        return Estimate(np.nan, np.full(DRAWS, np.nan), len(values), 0)
    names = np.array(blocks if len(blocks) else range(len(values)))
    members = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    picks = generator("rank correlation").integers(len(members), size=(DRAWS, len(members)))
    draws = np.array([m.draws for m in measured])
    found = np.empty(DRAWS)
    for n, pick in enumerate(picks):
        places = np.concatenate([members[k] for k in pick])
        found[n] = _correlation(draws[places, n], others[places])
    found = found[~np.isnan(found)]
    seeds = min(m.seeds for m in measured)
    whole = found if len(found) else np.full(DRAWS, np.nan)
    return Estimate(_correlation(values, others), whole, len(values), seeds)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    from scipy import stats

    ranks = stats.rankdata([one, other], axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    scale = np.sqrt((ranks**2).sum(axis=1).prod())
    return float(ranks.prod(axis=0).sum() / scale) if scale else float("nan")
