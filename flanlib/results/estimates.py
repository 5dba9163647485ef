"""Means over datasets and clusters, and their differences, with 95 % intervals.

The draws are those of `core.resampling`: examples by their group (the passage or
entity they share), the same draw for every arm, and tuning seeds too. Differences
are therefore paired, and a cluster's interval holds what a new draw of entities and
of seeds would change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from flanlib.core import resampling
from flanlib.core.errors import DataError, MissingResultError
from flanlib.core.resampling import DRAWS
from flanlib.data.metric_names import CORPUS_LEVEL
from flanlib.results.effects import ALL, COLUMNS, SCORE, Estimand
from flanlib.results.schema import Record


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
        """The paired difference to `other`, of the same draws, in percentage points."""
        return Estimate(
            self.value - other.value,
            self.draws - other.draws,
            min(self.n, other.n),
            max(self.seeds, other.seeds),
        )

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval; NaN when one group is all there is."""
        return resampling.interval(self.draws)


Labelled = Sequence[tuple[Estimand, Record]]
Groups = Mapping[str, Sequence[str]]
Differences = Iterable[tuple[Estimand, Estimand]]
Estimates = dict[Estimand, Estimate]
Averages = dict[str, dict[str, Estimates]]
Measure = Callable[[Labelled], Estimates]


def table(labelled: Labelled, groups: Groups, differences: Differences = ()) -> pd.DataFrame:
    """Scores and differences per dataset, per cluster and over all clusters.

    Returns
    -------
    See `frame`. Percent, differences in percentage points.

    Raises
    ------
    MissingResultError
        If the tasks of a cluster were not all scored with the same seeds.
    DataError
        If the arms of a task were scored on different examples.
    """
    return frame(by_dataset(labelled, groups, differences))


def by_dataset(labelled: Labelled, groups: Groups, differences: Differences = ()) -> Averages:
    """What `table` is made of, with its draws; see `averages`."""
    for cluster, members in by(labelled, lambda pair: pair[1].cluster).items():
        _check_seeds(cluster, members)
    return averages(labelled, lambda members: _scores(members, groups), differences)


def averages(labelled: Labelled, measure: Measure, differences: Differences = ()) -> Averages:
    """A measure of each task, averaged over the tasks of a dataset, then over datasets.

    Parameters
    ----------
    measure
        Gives the estimates of one task.

    Returns
    -------
    Cluster -> dataset (empty: their mean) -> estimand -> estimate.
    """
    every: Averages = {}
    for cluster, members in by(labelled, lambda pair: pair[1].cluster).items():
        found = {
            dataset: _mean([measure(part) for part in by(mine, lambda p: p[1].task).values()])
            for dataset, mine in by(members, lambda pair: pair[1].dataset).items()
        }
        every[cluster] = found = {**found, "": _mean(list(found.values()))}
        for known in found.values():
            for new, old in differences:
                if new in known and old in known:
                    known[new.minus(old)] = known[new].minus(known[old])
    return every


def frame(every: Averages) -> pd.DataFrame:
    """Estimates of `every` cluster as rows, estimand by estimand, and means over clusters.

    Returns
    -------
    Columns of `effects` but for source; dataset is empty for a cluster's mean
    over its datasets, and cluster is `all` for the mean over clusters, which
    only an estimand has that every cluster has.
    """
    whole = _mean([found[""] for found in every.values()]) if len(every) > 1 else {}
    rows: dict[Estimand, list[tuple]] = {}
    for cluster, found in (*every.items(), (ALL, {"": whole})):
        for dataset, known in found.items():
            for name, estimate in known.items():
                rows.setdefault(name, []).append(_row(cluster, dataset, name, estimate))
    return pd.DataFrame([row for mine in rows.values() for row in mine], columns=COLUMNS[:-1])


def chance(records: Iterable[Record]) -> pd.DataFrame:
    """What guessing gets, averaged as scores are, in the columns of `frame`; arm `chance`."""
    first = {record.task: (Estimand("chance"), record) for record in records}
    return frame(averages(list(first.values()), _guessing))


def _guessing(members: Labelled) -> Estimates:
    ((name, record),) = members
    return {name: Estimate(record.chance, np.full(DRAWS, record.chance), record.n, 0)}


def ordered(table: pd.DataFrame, clusters: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    """A table with its rows by cluster, dataset and arm; means and differences last.

    Parameters
    ----------
    clusters, arms
        In their order; others come behind.
    """
    rank = {key: n for n, key in enumerate([*clusters, ALL])}
    places = {key: n for n, key in enumerate(arms)}
    keyed = table.assign(
        _cluster=table["cluster"].map(rank),
        _whole=table["dataset"] == "",
        _arm=table["arm"].map(places).where(table["statistic"] == SCORE).fillna(len(places)),
    )
    names = ["_cluster", "_whole", "dataset", "_arm", "arm", "against"]
    found = keyed.sort_values(names, kind="stable")
    return found.drop(columns=["_cluster", "_whole", "_arm"]).reset_index(drop=True)


def mean(parts: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of estimates whose draws are independent or paired."""
    return Estimate(
        float(np.mean([p.value for p in parts])),
        np.mean([p.draws for p in parts], axis=0),
        sum(p.n for p in parts),
        min(p.seeds for p in parts),
    )


def _scores(members: Labelled, groups: Groups) -> Estimates:
    """Scores of one task, all arms on the same draws of its examples."""
    task, marks = members[0][1].task, {record.data for _, record in members}
    if len(marks) != 1:
        raise DataError(
            f"task {task}: arms were scored on different examples (digests {sorted(marks)});"
            " score them again on the same rows, or delete the old records"
        )
    (mark,) = marks
    if mark not in groups:
        raise MissingResultError(f"task {task}: examples.jsonl has no line for digest {mark}")
    codes, weights = resampling.of_groups(task, groups[mark])
    known = {record.key: _draws(record, codes, weights) for _, record in members}
    found = {}
    for name, pairs in by(members, lambda pair: pair[0]).items():
        mine = sorted((record for _, record in pairs), key=lambda r: r.factors.seed)
        draws = np.stack([known[record.key] for record in mine])
        picks = resampling.of_seeds([record.factors.seed for record in mine])
        drawn = draws[picks, np.arange(DRAWS)[:, None]].mean(axis=1)
        found[name] = over_seeds(mine, [record.value for record in mine], drawn)
    return found


def over_seeds(records: Sequence[Record], values: Sequence[float], draws: np.ndarray) -> Estimate:
    """The estimate that some values of one task and arm make, a value a seed.

    Parameters
    ----------
    records
        Whose values they are; an untuned model has no seed.
    values
        Percent.
    draws
        Of their mean.
    """
    n_seeds = 0 if records[0].factors.arm == "base" else len(records)
    return Estimate(float(np.mean(values)), draws, records[0].n, n_seeds)


def _draws(record: Record, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Resampled values of one record, centred on the value recorded.

    Where that is no mean of the examples' scores, as of BLEU, they are spread as far
    as the record's standard error says, which was measured with the metric itself.
    """
    scores = np.asarray(record.scores, dtype=float)
    sums = np.bincount(codes, weights=scores)
    draws = (weights @ sums) / (weights @ np.bincount(codes))
    if len(sums) < 2:
        return np.full(DRAWS, np.nan)
    draws = draws - scores.mean()
    if record.metric in CORPUS_LEVEL or record.scoring.templates_per_example:
        draws = _spread(record, draws)
    return draws + record.value


def _spread(record: Record, deviations: np.ndarray) -> np.ndarray:
    """Deviations whose standard deviation is a record's standard error.

    Of scores that do not differ, such as a BLEU of texts that share no word, the
    deviations are Gaussian, and of the record's own.
    """
    if record.stderr is None:
        return deviations
    spread = deviations.std(ddof=1)
    if spread < record.stderr * 1e-6:
        own = resampling.generator(" ".join(record.key))
        deviations, spread = own.standard_normal(resampling.DRAWS), 1.0
    return deviations * (record.stderr / max(spread, 1e-12))


def _check_seeds(cluster: str, members: Labelled) -> None:
    """Raise unless every task scored for an estimand has its seeds, once each."""
    for name, pairs in by(members, lambda pair: pair[0]).items():
        told = f"{cluster}, arm {' '.join(filter(None, name[:2]))}"
        cells = {(record.task, record.factors.seed) for _, record in pairs}
        tasks, seeds = ({cell[n] for cell in cells} for n in (0, 1))
        if absent := sorted({(t, s) for t in tasks for s in seeds} - cells):
            shown = ", ".join(f"{task} seed {seed}" for task, seed in absent)
            raise MissingResultError(f"{told}: not recorded: {shown}")
        if len(pairs) != len(cells):
            raise DataError(
                f"{told}: several runs for one task and seed; give the records of one recipe and"
                " one scoring"
            )


def _mean(parts: Sequence[Estimates]) -> Estimates:
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: mean([part[name] for part in parts]) for name in shared}


def _row(cluster: str, dataset: str, name: Estimand, estimate: Estimate) -> tuple:
    of = ("", name.statistic, name.arm, name.against, name.x, name.against_x, cluster, dataset)
    return (*of, estimate.value, *estimate.interval, estimate.n, estimate.seeds)


def by(items: Iterable, key: Callable) -> dict[Any, list]:
    """The `items` gathered by their `key`, in the order in which keys appear."""
    found: dict = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
