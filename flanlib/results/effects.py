"""Numbers of a figure: what each is of, in columns, and how one is selected.

A row of a figure's table holds one number. `statistic` says what was
estimated, `arm` and `x` of which model and at which place of the axis. A
difference has what was taken away in `against` and `against_x`. Names are
compared as they are and never taken apart.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

import pandas as pd

from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import DataError, MissingResultError
from flanlib.results.schema import Record

ALL = "all"  # the mean over clusters
SCORE, DIFFERENCE, SPREAD = "score", "difference", "spread over templates"
BEST = "score of the best dev template"
KEYS = ("group", "statistic", "arm", "against", "x", "against_x", "cluster", "dataset")
NUMBERS = ("value", "low", "high", "n", "seeds")
COLUMNS = [*KEYS, *NUMBERS, "source"]


class Estimand(NamedTuple):
    """What a number is of, apart from the questions asked.

    Attributes
    ----------
    arm, x
        The series, and the place on its axis.
    statistic
        What was estimated.
    against, against_x
        What was taken away; empty unless this is a difference.
    """

    arm: str
    x: str = ""
    statistic: str = SCORE
    against: str = ""
    against_x: str = ""

    def minus(self, other: "Estimand") -> "Estimand":
        """The difference of two; `other` is taken away."""
        return Estimand(self.arm, self.x, DIFFERENCE, other.arm, other.x)


def arm(record: Record) -> str:
    """The name a figure gives to a record's way of being made and asked.

    `tuned`, `base`, `base-no-options`, `base-cloze`, `base-chat`; other settings are
    spelled out behind, so that no two ways share a name.
    """
    factors, scoring = record.factors, record.scoring
    name = factors.arm
    if scoring.form != "instruction":
        name += f"-{scoring.form}"
    if not scoring.show_options and scoring.form != "cloze":
        name += "-no-options"
    if scoring.chat:
        name += "-chat"
    if factors.arm != "base" and factors.form != "instruction":
        name += f" form={factors.form}"
    plain: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
        (factors, Factors(), ("clusters", "tasks", "n_templates", "n_examples", "under")),
        (scoring, Scoring(), ("choice", "shots", "reversed_options")),
    )
    for settings, usual, keys in plain:
        for key in keys:
            if (value := getattr(settings, key)) != getattr(usual, key):
                shown = "+".join(value) if isinstance(value, tuple) else value
                name += f" {key}={shown}"
    return name


def named(records: Iterable[Record]) -> list[tuple[Estimand, Record]]:
    """Records, each with its way of being made and asked; see `arm`."""
    return [(Estimand(arm(record)), record) for record in records]


def series(
    table: pd.DataFrame,
    arm: str,
    group: str | None = None,
    *,
    statistic: str = "",
    against: str = "",
) -> pd.DataFrame:
    """The rows of one arm's scores, or of another statistic or a difference of it.

    Parameters
    ----------
    group
        None takes every group.
    """
    statistic = statistic or (DIFFERENCE if against else SCORE)
    names = {"arm": arm, "statistic": statistic, "against": against, "group": group}
    for key, name in names.items():
        table = table if name is None else table[table[key] == name]
    return table


def pick(
    table: pd.DataFrame,
    arm: str,
    x: str = "",
    cluster: str = ALL,
    dataset: str = "",
    group: str = "",
    *,
    statistic: str = "",
    against: str = "",
    against_x: str | None = None,
    optional: bool = False,
    where: str = "this table",
) -> Any:
    """The one row of a table that holds a number, as a named tuple.

    Parameters
    ----------
    against_x
        Where two differences have all else in common; None takes any.
    optional
        Whether the number may be absent, which gives None.
    where
        What the table is called in messages.

    Raises
    ------
    MissingResultError
        If no row has these names, with the nearest that have a value.
    DataError
        If several rows have.
    """
    statistic = statistic or (DIFFERENCE if against else SCORE)
    names = (group, statistic, arm, against, x, against_x, cluster, dataset)
    wanted = {key: name for key, name in zip(KEYS, names, strict=True) if name is not None}
    rows = series(table, arm, group, statistic=statistic, against=against)
    for key in ("x", "against_x", "cluster", "dataset"):
        rows = rows if key not in wanted else rows[rows[key] == wanted[key]]
    rows = rows.dropna(subset=["value"])
    if len(rows) > 1:
        raise DataError(f"{where}: {len(rows)} values of {_told(wanted)}; draw the figure again")
    if rows.empty and not optional:
        raise MissingResultError(
            f"{where}: no value of {_told(wanted)}; the nearest: {_nearest(table, wanted)}; draw the"
            " figure again with `flanlib figures`, or mend the name"
        )
    return next(rows.itertuples(), None)


def _told(names: dict[str, Any]) -> str:
    return ", ".join(f"{key} {name!r}" for key, name in names.items() if name)


def _nearest(table: pd.DataFrame, wanted: dict[str, str]) -> str:
    """Up to three numbers of a table whose names are most like those wanted."""
    known = table.dropna(subset=["value"])[list(wanted)].drop_duplicates().to_dict("records")
    return "; ".join(get_close_matches(_told(wanted), map(_told, known), 3, 0)) or "none"
