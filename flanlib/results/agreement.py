"""Whether numbers computed again are those on record.

An untuned model gives the same numbers everywhere, to rounding. A model tuned
again on another kind of processor differs as another seed would, so that its
value is held against the spread of the recorded seeds by a t test: the
difference of two values has twice the variance of one. Three seeds alone tell
little of a cluster's variance, which is therefore shrunk towards the mean
variance of the other clusters, as in a moderated t test (Smyth 2004). The seed
that is compared has no part in it: an altered record would hide itself.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flanlib.core import naming
from flanlib.core.errors import RunError
from flanlib.results import effects, estimates
from flanlib.results.schema import Record

ROUNDING = 0.01  # percentage points by which untuned values may differ
NUMERICS = 2.0  # and tuned ones, where one seed is all that is on record
LEVEL = 0.05  # chance that any of the clusters compared is accused wrongly, at most
PRIOR = 8.0  # degrees of freedom that the other clusters' mean variance counts as, at most


def compare(
    recorded: Sequence[Record], fresh: Sequence[Record], others: Sequence[Record] = ()
) -> pd.DataFrame:
    """Recomputed beside recorded values, per cluster and arm.

    Parameters
    ----------
    recorded, fresh
        Records before and now; a cell that is not in both is left out.
    others
        Records of further clusters, for the spread between seeds.

    Returns
    -------
    Columns cluster, arm, recorded, recomputed, difference, allowed, agrees;
    percent and percentage points, tuned models first. Allowed is `ROUNDING` for
    untuned models, and for tuned ones the end of the two-sided t test, at
    `LEVEL` for all clusters compared together (Bonferroni). Values from other
    examples or templates never agree.
    """
    again = {r.key: r for r in fresh}
    pairs = [(r, again[r.key]) for r in recorded if r.key in again]
    known = list({r.key: r for r in (*recorded, *others)}.values())
    rows = []
    parts = estimates.by(pairs, lambda p: (p[0].cluster, effects.arm(p[0])))
    n_tests = sum(arm == "tuned" for _, arm in parts)
    for (cluster, arm), members in sorted(parts.items(), key=lambda part: part[0][1] != "tuned"):
        old, new = (float(np.mean([pair[i].value for pair in members])) for i in (0, 1))
        seeds = {pair[0].factors.seed for pair in members}
        limit = allowed(known, cluster, seeds, n_tests) if arm == "tuned" else ROUNDING
        same = all(a.data == b.data and a.phrasing == b.phrasing for a, b in members)
        agrees = same and abs(new - old) <= limit
        rows.append((cluster, arm, old, new, new - old, limit, agrees))
    names = ["cluster", "arm", "recorded", "recomputed", "difference", "allowed", "agrees"]
    return pd.DataFrame(rows, columns=names)


def require(verdict: pd.DataFrame) -> None:
    """Raise `RunError` naming each value that does not agree."""
    wrong = verdict[~verdict["agrees"].astype(bool)]
    if len(wrong):
        lines = [
            f"- {row.cluster}, {row.arm}: recorded {row.recorded:.1f}, recomputed"
            f" {row.recomputed:.1f}, allowed {row.allowed:.2g}"
            for row in wrong.itertuples()
        ]
        raise RunError(
            f"{len(wrong)} of {len(verdict)} recomputed values do not agree with the records:\n"
            + naming.few(lines, 7, "\n")
            + "\nrestore data/results with git, or look for what changed since those commits"
        )


def allowed(records: Sequence[Record], cluster: str, compared: set[int], n_tests: int = 1) -> float:
    """How far a cluster's tuned value may lie from the recorded one, percentage points.

    Parameters
    ----------
    records
        Of all clusters and seeds.
    compared
        Seeds that are compared, and have no part in the spread.
    n_tests
        Clusters compared together.
    """
    from scipy import stats

    means = {
        key: [mean for seed, mean in by_seed.items() if seed not in compared]
        for key, by_seed in seed_means(records).items()
    }
    spread = {key: (np.var(m, ddof=1), len(m) - 1) for key, m in means.items() if len(m) > 1}
    own, df = spread.pop(cluster, (0.0, 0))
    total = sum(n for _, n in spread.values())
    prior = sum(v * n for v, n in spread.values()) / total if total else 0.0
    weight = min(PRIOR, total)
    if not weight + df:
        return NUMERICS
    variance = (weight * prior + df * own) / (weight + df)
    quantile = stats.t.ppf(1 - LEVEL / (2 * max(n_tests, 1)), weight + df)
    return max(ROUNDING, float(quantile * np.sqrt(2 * variance)))


def seed_means(records: Sequence[Record]) -> dict[str, dict[int, float]]:
    """Cluster -> seed -> mean of the tuned model's tasks, percent; of whole seeds alone."""
    tuned = [r for r in records if effects.arm(r) == "tuned"]
    return {
        cluster: {
            seed: float(np.mean([r.value for r in same]))
            for seed, same in estimates.by(members, lambda r: r.factors.seed).items()
        }
        for cluster, members in estimates.by(whole_seeds(tuned), lambda r: r.cluster).items()
    }


def whole_seeds(records: Sequence[Record]) -> list[Record]:
    """Records without seeds that lack a task of their cluster and arm."""
    kept = []
    for members in estimates.by(records, lambda r: (r.cluster, effects.arm(r))).values():
        tasks = {r.task for r in members}
        for same in estimates.by(members, lambda r: r.factors.seed).values():
            kept += same if {r.task for r in same} == tasks else []
    return kept
