"""Whether numbers computed again are those on record."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flanlib.errors import RunError
from flanlib.results import Record
from flanlib.studies import estimates

NUMERICS = 2.0  # percent points by which two machines may differ without any tuning
SPREADS = 3.0 * 2**0.5  # a difference of two seeds varies by the root of two more


def compare(recorded: Sequence[Record], fresh: Sequence[Record]) -> pd.DataFrame:
    """Recomputed beside recorded values, per cluster and arm.

    Parameters
    ----------
    recorded, fresh
        Records before and now; a cell that is not in both is left out.

    Returns
    -------
    Columns cluster, arm, recorded, recomputed, difference, allowed, agrees;
    percent and percent points, tuned models first. Allowed are three standard deviations of a
    difference between two seeds (pooled over the clusters on record), and
    never less than numerics may differ. Values from other examples never
    agree.
    """
    again = {r.key: r for r in fresh}
    pairs = [(r, again[r.key]) for r in recorded if r.key in again]
    spread = seed_spread(recorded)
    rows = []
    parts = estimates.by(pairs, lambda p: (p[0].cluster, estimates.arm(p[0])))
    for (cluster, arm), members in sorted(parts.items(), key=lambda part: part[0][1] != "tuned"):
        old, new = (float(np.mean([pair[i].value for pair in members])) for i in (0, 1))
        allowed = max(NUMERICS, SPREADS * spread if arm == "tuned" else 0.0)
        same = all(a.data == b.data and a.phrasing == b.phrasing for a, b in members)
        agrees = same and abs(new - old) <= allowed
        rows.append((cluster, arm, old, new, new - old, allowed, agrees))
    names = ["cluster", "arm", "recorded", "recomputed", "difference", "allowed", "agrees"]
    return pd.DataFrame(rows, columns=names)


def require(verdict: pd.DataFrame) -> None:
    """Raise `RunError` naming each value that does not agree."""
    wrong = verdict[~verdict["agrees"].astype(bool)]
    if len(wrong):
        lines = [
            f"  {row.cluster}, {row.arm}: recorded {row.recorded:.1f}, recomputed"
            f" {row.recomputed:.1f}, allowed {row.allowed:.1f}"
            for row in wrong.itertuples()
        ]
        raise RunError(
            f"{len(wrong)} of {len(verdict)} recomputed values do not agree with the records:\n"
            + "\n".join(lines)
            + "\nrestore data/results with git, or look for what changed since those commits"
        )


def seed_spread(records: Sequence[Record]) -> float:
    """Standard deviation of a cluster's tuned mean between seeds, percent."""
    variances = []
    tuned = [r for r in records if estimates.arm(r) == "tuned"]
    for members in estimates.by(whole_seeds(tuned), lambda r: r.cluster).values():
        means = [
            np.mean([r.value for r in same])
            for same in estimates.by(members, lambda r: r.factors.seed).values()
        ]
        if len(means) > 1:
            variances.append(np.var(means, ddof=1))
    return float(np.sqrt(np.mean(variances))) if variances else 0.0


def whole_seeds(records: Sequence[Record]) -> list[Record]:
    """Records without seeds that lack a task of their cluster and arm."""
    kept = []
    for members in estimates.by(records, lambda r: (r.cluster, estimates.arm(r))).values():
        tasks = {r.task for r in members}
        for same in estimates.by(members, lambda r: r.factors.seed).values():
            kept += same if {r.task for r in same} == tasks else []
    return kept
