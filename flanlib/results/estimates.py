"""Means over datasets and clusters, and gains, with 95 % intervals.

One bootstrap for every figure: examples are resampled by their group (the
passage or entity they share), the same draw for every arm, and tuning seeds
are resampled too. Gains are therefore paired, and a cluster's interval holds
what a new draw of entities and of seeds would change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from flanlib.core.config import Factors, Scoring, digest
from flanlib.core.errors import DataError, MissingResultError
from flanlib.results.schema import Record

DRAWS = 2000
ENDS = (2.5, 97.5)
COLUMNS = ("cluster", "dataset", "arm", "value", "low", "high", "n", "seeds")
ALL = "all"


@dataclass(frozen=True)
class Estimate:
    """A mean and its bootstrap draws.

    Attributes
    ----------
    value
        Percent.
    draws
        float64 array, shape (DRAWS,), percent.
    n
        Examples behind it.
    seeds
        Tuning seeds behind it; 0 where nothing was tuned.
    """

    value: float
    draws: np.ndarray = field(repr=False)
    n: int
    seeds: int

    def minus(self, other: "Estimate") -> "Estimate":
        """The paired difference, in percent points.

        Parameters
        ----------
        other
            Of the same draws; it is taken away.
        """
        return Estimate(
            self.value - other.value,
            self.draws - other.draws,
            min(self.n, other.n),
            max(self.seeds, other.seeds),
        )

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval; NaN when one group is all there is."""
        low, high = np.percentile(self.draws, ENDS)
        return float(low), float(high)


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
        (scoring, Scoring(), ("choice", "shots", "turned")),
    )
    for settings, usual, keys in plain:
        for key in keys:
            if (value := getattr(settings, key)) != getattr(usual, key):
                shown = "+".join(value) if isinstance(value, tuple) else value
                name += f" {key}={shown}"
    return name


def table(
    records: Iterable[Record],
    groups: Mapping[str, Sequence[str]],
    gains: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    naming: Callable[[Record], str] | None = None,
) -> pd.DataFrame:
    """Arms and gains per dataset, per cluster and over all clusters.

    Parameters
    ----------
    records
        Of one model and collection.
    groups
        Data digest -> group of each example, from `store.groups`.
    gains
        Name of a difference -> (arm, arm that is taken from it).
    naming
        Tells arms apart; `arm` where nothing else is given.

    Returns
    -------
    Columns cluster, dataset, arm, value, low, high, n, seeds; dataset is
    empty for a cluster's mean over its datasets, and cluster is `all` for
    the mean over clusters. Percent, gains in percent points.

    Raises
    ------
    MissingResultError
        If the tasks of a cluster were not all scored with the same seeds.
    DataError
        If the arms of a task were scored on different examples.
    """
    rows: list[dict] = []
    whole: dict[str, list[Estimate]] = {}
    for cluster, found in by_dataset(records, groups, gains, naming).items():
        for dataset, arms in found.items():
            rows += [_row(cluster, dataset, name, e) for name, e in arms.items()]
        for name, estimate in found[""].items():
            whole.setdefault(name, []).append(estimate)
    n_clusters = max(map(len, whole.values()), default=0)
    complete = {name: found for name, found in whole.items() if len(found) == n_clusters}
    if n_clusters > 1:
        rows += [_row(ALL, "", name, mean(found)) for name, found in complete.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_dataset(
    records: Iterable[Record],
    groups: Mapping[str, Sequence[str]],
    gains: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    naming: Callable[[Record], str] | None = None,
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """What `table` is made of, with its draws: cluster -> dataset (empty: mean) -> arm.

    Parameters
    ----------
    records, groups, gains, naming
        As `table` has them.
    """
    every = {}
    for cluster, members in by(records, lambda r: r.cluster).items():
        every[cluster] = found = _cluster(cluster, members, groups, naming or arm)
        for arms in found.values():
            for name, (new, old) in gains.items():
                if new in arms and old in arms:
                    arms[name] = arms[new].minus(arms[old])
    return every


def chance(records: Iterable[Record]) -> pd.DataFrame:
    """What guessing gets, in the columns of `table`; arm `chance`."""
    rows = []
    for cluster, members in by(records, lambda r: r.cluster).items():
        found = {}
        for dataset, parts in by(members, lambda r: r.dataset).items():
            tasks = {r.task: r for r in parts}.values()
            value = float(np.mean([r.chance for r in tasks]))
            found[dataset] = _exact(value, sum(r.n for r in tasks))
        rows += [_row(cluster, dataset, "chance", e) for dataset, e in found.items()]
        rows.append(_row(cluster, "", "chance", mean(list(found.values()))))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ordered(table: pd.DataFrame, clusters: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    """A table with its rows by cluster, dataset and arm, means last.

    Parameters
    ----------
    table
        As `table` gives it.
    clusters, arms
        In their order; others come behind.
    """
    rank = {key: n for n, key in enumerate([*clusters, ALL])}
    places = {key: n for n, key in enumerate(arms)}
    keyed = table.assign(
        _cluster=table["cluster"].map(rank),
        _whole=table["dataset"] == "",
        _arm=table["arm"].map(places).fillna(len(places)),
    )
    found = keyed.sort_values(["_cluster", "_whole", "dataset", "_arm", "arm"], kind="stable")
    return found.drop(columns=["_cluster", "_whole", "_arm"]).reset_index(drop=True)


def mean(parts: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of estimates whose draws are independent or paired."""
    return Estimate(
        float(np.mean([p.value for p in parts])),
        np.mean([p.draws for p in parts], axis=0),
        sum(p.n for p in parts),
        min(p.seeds for p in parts),
    )


def _cluster(
    cluster: str, records: Sequence[Record], groups, naming
) -> dict[str, dict[str, Estimate]]:
    """Dataset (empty: the cluster) -> arm -> estimate, arms in all datasets."""
    seeds = _seeds(cluster, records, naming)
    chosen = {name: seed_draws(of_arm) for name, of_arm in seeds.items()}
    tasks: dict[str, dict[str, Estimate]] = {}
    dataset_of: dict[str, list[str]] = {}
    for task, members in by(records, lambda r: r.task).items():
        dataset_of.setdefault(members[0].dataset, []).append(task)
        tasks[task] = _task(task, members, groups, chosen, naming)
    found = {
        dataset: _mean_arms([tasks[task] for task in parts])
        for dataset, parts in dataset_of.items()
    }
    return {**found, "": _mean_arms(list(found.values()))}


def _task(task: str, records: Sequence[Record], groups, chosen, naming) -> dict[str, Estimate]:
    marks = {r.data for r in records}
    if len(marks) != 1:
        raise DataError(
            f"task {task}: arms were scored on different examples (digests {sorted(marks)});"
            " score them again on the same rows, or delete the old records"
        )
    (mark,) = marks
    if mark not in groups:
        raise MissingResultError(f"task {task}: examples.jsonl has no line for digest {mark}")
    codes, names = pd.factorize(np.asarray(groups[mark], dtype=object))
    weights = generator(task).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=DRAWS
    )
    sizes = weights @ np.bincount(codes)
    found = {}
    for name, members in by(records, naming).items():
        ordered = sorted(members, key=lambda r: r.factors.seed)
        draws = np.stack([_draws(r, codes, weights, sizes) for r in ordered])
        pick = chosen[name]
        found[name] = Estimate(
            float(np.mean([r.value for r in ordered])),
            draws[pick, np.arange(DRAWS)[:, None]].mean(axis=1),
            ordered[0].n,
            len(ordered) if ordered[0].factors.arm != "base" else 0,
        )
    return found


def _draws(record: Record, codes, weights, sizes) -> np.ndarray:
    """Resampled values of one record, centred on the value recorded.

    Centring matters where the value is no mean over examples (BLEU).
    """
    scores = np.asarray(record.scores, dtype=float)
    sums = np.bincount(codes, weights=scores)
    draws = (weights @ sums) / sizes
    if len(sums) < 2:
        return np.full(DRAWS, np.nan)
    return draws - scores.mean() + record.value


def _seeds(cluster: str, records: Sequence[Record], naming) -> dict[str, list[int]]:
    """Arm -> its seeds, which every task scored with it must share."""
    found: dict[str, list[int]] = {}
    for name, members in by(records, naming).items():
        tasks = {r.task for r in members}
        seeds = sorted({r.factors.seed for r in members})
        cells = {(r.task, r.factors.seed) for r in members}
        absent = sorted({(t, s) for t in tasks for s in seeds} - cells)
        if absent:
            shown = ", ".join(f"{task} seed {seed}" for task, seed in absent)
            raise MissingResultError(f"{cluster}, arm {name}: not recorded: {shown}")
        if len(members) != len(cells):
            raise DataError(
                f"{cluster}, arm {name}: several runs for one task and seed; give the records"
                " of one recipe and one scoring"
            )
        found[name] = seeds
    return found


def _mean_arms(parts: Sequence[dict[str, Estimate]]) -> dict[str, Estimate]:
    shared = [name for name in parts[0] if all(name in p for p in parts)]
    return {name: mean([p[name] for p in parts]) for name in shared}


def _exact(value: float, n: int) -> Estimate:
    return Estimate(value, np.full(DRAWS, value), n, 0)


def _row(cluster: str, dataset: str, name: str, estimate: Estimate) -> dict:
    low, high = estimate.interval
    values = (cluster, dataset, name, estimate.value, low, high, estimate.n, estimate.seeds)
    return dict(zip(COLUMNS, values, strict=True))


def by(items: Iterable, key: Callable) -> dict[Any, list]:
    """Items gathered by their key, in the order in which keys appear.

    Parameters
    ----------
    items
        What is gathered, in order.
    key
        Gives each item its key.
    """
    found: dict = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def seed_draws(seeds: Sequence[int]) -> np.ndarray:
    """Which seeds each draw takes: the same for all arms and clusters that have these.

    One tuned model answers for several clusters, so that its luck is theirs
    in common.

    Returns
    -------
    int64 array, shape (DRAWS, number of seeds): places in `seeds`.
    """
    picks = generator(f"seeds {sorted(seeds)}")
    return picks.integers(len(seeds), size=(DRAWS, len(seeds)))


def generator(name: str) -> np.random.Generator:
    """Random numbers of a name's own, the same everywhere."""
    return np.random.default_rng(int(digest(name), 16))
