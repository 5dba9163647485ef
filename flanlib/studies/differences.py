"""Values and differences of the points of one figure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flanlib.results import effects, estimates
from flanlib.results.effects import SPREAD, Estimand
from flanlib.results.schema import Record
from flanlib.studies.plans import Point


def table(points: Sequence[tuple[Point, list[Record]]], marks: dict) -> pd.DataFrame:
    """Values, differences and spreads of the points of one group, and chance.

    Parameters
    ----------
    points
        Points of one group, each with its records.
    marks
        Data digest -> group of each example, from `store.groups`.
    """
    labelled = [(Estimand(*point.label), record) for point, mine in points for record in mine]
    pairs = [
        (Estimand(*point.label), Estimand(*other)) for point, _ in points for other in point.against
    ]
    found = estimates.table(labelled, marks, pairs)
    spreads = [_spread(point, mine) for point, mine in points]
    return pd.concat(
        [found, *spreads, estimates.chance(record for _, record in labelled)], ignore_index=True
    )


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
        "cluster": effects.ALL,
        "value": found["value"].mean(),
        "n": found["n"].sum(),
        "seeds": found["seeds"].min(),
    }
    if len(found) > 1:
        found = pd.concat([found, pd.DataFrame([whole])], ignore_index=True)
    return found.assign(
        statistic=SPREAD,
        arm=point.arm,
        x=point.x,
        **dict.fromkeys(("against", "against_x", "dataset"), ""),
        low=np.nan,
        high=np.nan,
        seeds=0 if point.arm == "base" else found["seeds"],
    )
