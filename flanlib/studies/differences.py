"""Values and differences of the points of one figure."""

import copy
from collections.abc import Sequence

import numpy as np
import pandas as pd

from flanlib.results import estimates
from flanlib.results.schema import Record
from flanlib.studies.plans import Label, Point


def table(points: Sequence[tuple[Point, list[Record]]], marks: dict) -> pd.DataFrame:
    """Values and differences of the points of one group.

    Points that are the same runs under two names are estimated once.

    Parameters
    ----------
    points
        Points of one group, each with its records.
    marks
        Data digest -> group of each example, from `store.groups`.
    """
    first: dict[tuple, str] = {}
    names: dict[Label, str] = {}
    naming: dict[int, str] = {}
    copies: list[Record] = []  # a run may stand in several points
    for point, mine in points:
        name = "\t".join(point.label)
        names[point.label] = first.setdefault(tuple(sorted(r.key for r in mine)), name)
        if names[point.label] == name:
            own = [copy.copy(record) for record in mine]
            copies += own
            naming |= {id(record): name for record in own}
    pairs = {
        (point.label, other): (names[point.label], names[other])
        for point, _ in points
        for other in point.against
    }
    gains = {f"{new}\t-\t{old}": (new, old) for new, old in pairs.values()}
    found = estimates.table(copies, marks, gains, lambda record: naming[id(record)])
    labels = list(names.items())
    labels += [(_difference(new, old), f"{a}\t-\t{b}") for (new, old), (a, b) in pairs.items()]
    rows = [found[found["arm"] == name].assign(arm=label[0], x=label[1]) for label, name in labels]
    rows += [_spread(point, mine) for point, mine in points]
    return pd.concat([*rows, estimates.chance(copies).assign(x="")], ignore_index=True)


def _difference(new: Label, old: Label) -> Label:
    """What a difference is called: two arms at one x, or two x of one arm."""
    if new[0] == old[0]:
        return f"{new[0]}, {new[1]} - {old[1]}", new[1]
    return f"{new[0]} - {old[0]}", new[1]


def _spread(point: Point, records: Sequence[Record]) -> pd.DataFrame:
    """Standard deviation of a task's score over templates: means per cluster and of all."""
    rows = [
        (r.cluster, r.factors.seed, float(np.std(list(r.templates.values()), ddof=1)), r.n)
        for r in records
        if len(r.templates) > 1
    ]
    frame = pd.DataFrame(rows, columns=["cluster", "seed", "value", "n"])
    found = frame.groupby("cluster", sort=False, as_index=False).agg(
        value=("value", "mean"), n=("n", "sum"), seeds=("seed", "nunique")
    )
    found["n"] //= found["seeds"]
    whole = {
        "cluster": estimates.ALL,
        "value": found["value"].mean(),
        "n": found["n"].sum(),
        "seeds": found["seeds"].min(),
    }
    if len(found) > 1:
        found = pd.concat([found, pd.DataFrame([whole])], ignore_index=True)
    return found.assign(
        dataset="",
        arm=f"{point.arm}, spread over templates",
        x=point.x,
        low=np.nan,
        high=np.nan,
        seeds=0 if point.arm == "base" else found["seeds"],
    )
