"""Numbers of tracked figures, picked by what they are of.

A number that a document tells has one path: record, figure's CSV,
`effects.pick`, page. A number that is not there is an error, as is a choice of several.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from flanlib.core import paths, storage
from flanlib.core.errors import DataError, MissingResultError
from flanlib.figures import lines
from flanlib.results import effects
from flanlib.results.effects import KEYS, NUMBERS


@dataclass(frozen=True, kw_only=True)
class Value:
    """One number of a table, in percent or percentage points.

    Attributes
    ----------
    low, high
        Ends of the 95 % interval; NaN where there is none.
    n
        Examples behind it.
    seeds
        Tuning seeds behind it; 0 where nothing was tuned.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    seeds: int = 0

    @property
    def side(self) -> str:
        """Where the interval of a difference lies: `higher`, `lower` or `undecided`."""
        return lines.verdict(self)

    @property
    def turned(self) -> "Value":
        """The difference taken the other way round, such as a loss."""
        return Value(value=-self.value, low=-self.high, high=-self.low, n=self.n, seeds=self.seeds)


def plain(found: Value) -> str:
    """A value with its interval.

    Examples
    --------
    >>> plain(Value(value=63.61, low=61.58, high=65.62)), plain(Value(value=44.0))
    ('63.6 [61.6, 65.6]', '44.0')
    """
    return lines.spelled(found).replace("-", "−")


def signed(found: Value, digits: int = 1) -> str:
    """A difference with its interval, to so many `digits`; a minus is a minus sign.

    Examples
    --------
    >>> signed(Value(value=-7.3, low=-10.7, high=-3.5))
    '−7.3 [−10.7, −3.5]'
    """
    return lines.spelled(found, signed=True, digits=digits).replace("-", "−")


def value_of(row: Any) -> Value:
    """The number of a table's row."""
    n, seeds = (0 if math.isnan(count) else int(count) for count in (row.n, row.seeds))
    return Value(value=row.value, low=row.low, high=row.high, n=n, seeds=seeds)


@dataclass(frozen=True)
class Tables:
    """The tracked tables of one profile's figures.

    Attributes
    ----------
    profile
        Such as `micro`; its tables lie in figures/<profile>/.
    """

    profile: str

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return paths.FIGURES / self.profile

    def __call__(self, figure: str, arm: str, **wanted: str) -> Value:
        """The value of a figure, such as `fig8`; see `effects.pick` for what it raises.

        Parameters
        ----------
        arm
            As its table has it.
        wanted
            What else the row has.
        """
        path = self.path(figure)
        where = f"figures/{self.profile}/{path.name}"
        return value_of(effects.pick(read(path), arm, where=where, **wanted))

    def path(self, figure: str) -> Path:
        """The CSV of a figure; `MissingResultError` if it is not there."""
        found = sorted(self.folder.glob(f"{figure}_*.csv"))
        if len(found) != 1:
            raise MissingResultError(
                f"figures/{self.profile}: {len(found)} tables begin with {figure}_, one is needed;"
                f" draw it with `flanlib figures --profile {self.profile} --only {figure}`"
            )
        return found[0]

    def has(self, figure: str) -> bool:
        """Whether a figure is on record."""
        return any(self.folder.glob(f"{figure}_*.csv"))


@cache
def _table(path: Path, changed: int) -> pd.DataFrame:
    del changed  # a part of the key: a file drawn again is read again
    kinds = dict.fromkeys([*KEYS, "source"], str) | dict.fromkeys(NUMBERS, float)
    absent = {name: ["", "nan"] for name in NUMBERS}
    return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=absent)


def read(path: Path) -> pd.DataFrame:
    """A figure's CSV: names as text, numbers as numbers, NaN where there is none.

    Raises
    ------
    DataError
        If it is no table of a figure.
    """
    try:
        table = _table(path, path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:100]
        raise DataError(f"{path}: cannot be read ({why}); draw it with `flanlib figures`") from None
    if missing := [k for k in (*KEYS, *NUMBERS) if k not in table]:
        raise DataError(f"{path}: has no column {missing[0]}; draw it with `flanlib figures`")
    return table


def probe(model: str, name: str) -> float:
    """What a model of `data/models` got right of one kind of probes, such as `who`, percent.

    Raises
    ------
    MissingResultError
        If it is not there.
    """
    path = paths.MODELS / model / "pretraining.json"
    content: Any = storage.read_json(path, "restore it with git")
    try:
        return float(content["probes"][name])
    except KeyError as error:
        raise MissingResultError(
            f"{path.parent.name}/{path.name}: no probe is called {error}; mend the template"
        ) from None


def remedy(name: str, cluster: str, arm: str) -> Value:
    """A value of `data/benchmarks/remedies.json`.

    Parameters
    ----------
    name
        What was changed, such as `writing alone`.
    arm
        Such as `remedy - usual`.

    Raises
    ------
    MissingResultError
        If it is not there.
    """
    path = paths.BENCHMARKS / "remedies.json"
    content = storage.read_json(path, "restore it with git")
    try:
        row = content["remedies"][name]["scores"][cluster][arm]
    except KeyError as error:
        raise MissingResultError(
            f"{path.name}: {name}, {cluster}, {arm}: nothing is called {error}; mend the template"
        ) from None
    return Value(
        value=row["value"],
        low=row["low"],
        high=row["high"],
        n=row["n"],
        seeds=content["remedies"][name]["seeds"],
    )
