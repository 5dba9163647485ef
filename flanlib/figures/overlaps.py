"""Evaluation text in pretraining data: what the paper's table says, beside Figure 12's leaks.

Source
------
Wei et al. 2022 (arXiv 2109.01652), appendix: an example overlaps if an n-gram of it is in the
pretraining data; FLAN's score on all examples, with one template, and on those that do not.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from flanlib.figures import lines, style
from flanlib.results import effects, published
from flanlib.results.effects import ALL

GROUP, SHARE, FLAN = "overlap", "overlapping examples", "published FLAN 137B"
ENOUGH = 500  # clean examples; of fewer, a difference says little
NAMED = 2.0  # points, from which on a dataset is named


def rows() -> pd.DataFrame:
    """The paper's table in the columns of a figure's; n: examples behind the value."""
    found = published.contamination()
    share = 100 * (1 - found["n_clean"] / found["n_total"])
    change = found["score_clean"] - found["score_total"]
    less = {"against": FLAN, "x": "clean", "against_x": "all"}
    parts = [
        found[["dataset"]].assign(statistic=statistic, value=value, n=n, **of)
        for statistic, value, n, of in (
            (SHARE, share, found["n_total"], dict.fromkeys(less, "")),
            (effects.DIFFERENCE, change, found["n_clean"], less),
        )
    ]
    about = {"group": GROUP, "arm": FLAN, "cluster": ALL, "seeds": 0}
    table = pd.concat(parts).assign(low=np.nan, high=np.nan, source="published, verified", **about)
    return table[effects.COLUMNS]


def draw(table: pd.DataFrame, ax: Axes) -> Axes:
    """Change of the score without the examples that overlap, against how many do."""
    share, change = _parts(table)
    ax.axhline(0, color=lines.GREY, lw=0.9)
    look = {"marker": "o", "ls": "", "ms": 4.6, "mfc": style.INK, "mec": "white", "mew": 0.5}
    ax.plot(share["value"], change["value"], **look)
    for name, row in change[change["value"].abs() > NAMED].iterrows():
        at, words = (share.loc[name, "value"], row["value"]), f"{name}, n = {row['n']:.0f}"
        style.beside(ax, words, at, (-5, 0), ha="right", va="center")
    ax.set(xlim=(-3, 103), xticks=range(0, 101, 25), ylabel="score, clean − all, points")
    ax.set_xlabel("evaluation examples that\noverlap, percent")
    ax.grid(axis="both")
    return ax


def words(table: pd.DataFrame) -> list[str]:
    """The paper's table in a sentence; nothing where it is not shown."""
    share, change = _parts(table)
    if share.empty:
        return []
    enough = change.loc[change["n"] >= ENOUGH, "value"].abs()
    return [
        f"Published: FLAN 137B on {len(share)} evaluation sets; {share['value'].min():.1f} to"
        f" {share['value'].max():.1f} percent of a set's examples share an n-gram with the"
        f" pretraining data; where {ENOUGH} or more are left clean ({len(enough)} sets), their score"
        f" differs from that of all by {enough.max():.1f} points at most. Overlap is with pretraining"
        " data; leaks are text shared with tuning data."
    ]


def _parts(table: pd.DataFrame) -> list[pd.DataFrame]:
    share = effects.series(table, FLAN, GROUP, statistic=SHARE)
    change = effects.series(table, FLAN, GROUP, against=FLAN)
    return [part.set_index("dataset") for part in (share, change)]
