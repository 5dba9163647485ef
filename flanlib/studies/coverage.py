"""What of a study is on record: its tasks, and the clusters and points that are complete.

A study whose profile takes what there is can be drawn while other clusters or
seeds are still computed. A cluster is complete when its base is scored in
every way, and its tuned model of at least one seed, on every task. Any other
is not drawn; the figure says that it is not measured. A figure over an axis
that is drawn in parts has the points of the places that are complete.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan

import pandas as pd

from flanlib.core.progress import say
from flanlib.results import agreement, estimates, schema, validity
from flanlib.results.effects import ALL, COLUMNS
from flanlib.results.schema import Cell, Record
from flanlib.studies.plans import Point

LACKING = "not measured"  # statistic of a row for a cluster which is not complete


def way(cell: Cell) -> tuple:
    """A cell but for its seed: what records of one arm have in common."""
    factors, recipe, scoring, task = cell
    return replace(factors, seed=0), recipe, scoring, task


def on_record(cells: Iterable[Cell], records: Iterable[Record]) -> set[str]:
    """Keys of the tasks of which some record has what a cell asks for, whatever the seed."""
    ways = {way(cell) for cell in cells}
    return {record.task for record in records if way(record.cell) in ways}


def whole(cells: Mapping[str, Sequence[Cell]], records: Sequence[Record]) -> list[Record]:
    """Records of the clusters that are complete, without the seeds that are not.

    Parameters
    ----------
    cells
        Cluster -> what has to be on record of it, for one seed.
    records
        Of the study, of every seed; current ones.
    """
    kept: list[Record] = []
    for cluster, wanted in cells.items():
        mine = [record for record in records if record.cluster == cluster]
        base = [record for record in mine if record.factors.arm == "base"]
        by_seed = estimates.by(
            (record for record in mine if record.factors.arm != "base"), lambda r: r.factors.seed
        )
        if not _ways(wanted, True) <= {way(record.cell) for record in base}:
            continue
        full = [
            same
            for same in by_seed.values()
            if _ways(wanted, False) <= {way(record.cell) for record in same}
        ]
        if full:
            kept += [*base, *(record for same in full for record in same)]
    return agreement.whole_seeds(kept)


def lacking(clusters: Iterable[str], records: Iterable[Record]) -> pd.DataFrame:
    """A row for each cluster that has no record: statistic `not measured`, no value."""
    there = {record.cluster for record in records}
    rows = [
        ("", LACKING, *[""] * 4, c, "", nan, nan, nan, 0, 0) for c in clusters if c not in there
    ]
    return pd.DataFrame(rows, columns=COLUMNS[:-1])


def clusters_lacking(table: pd.DataFrame) -> list[str]:
    """Clusters that a table has no value of; see `lacking`."""
    return list(table.loc[table["statistic"] == LACKING, "cluster"])


def keys(points: Mapping[int, Sequence[Point]]) -> set[tuple]:
    """Keys of the records that `points`, by seed, ask for."""
    return {schema.key_of(cell) for mine in points.values() for p in mine for cell in p.cells}


def points(
    every: Mapping[int, Sequence[Point]], there: set[tuple], in_parts: bool
) -> dict[int, list[Point]]:
    """Seed -> its points that are drawn, the same for each seed.

    Parameters
    ----------
    every
        Seed -> all points of a figure.
    there
        Keys of the records there are.
    in_parts
        Whether a seed may lack some: a place on the axis is then drawn if all of its
        points are on record, of the seed that has most of them and of every other
        that has these. Nothing is drawn where nothing is compared.

    Returns
    -------
    Without seeds that lack a point; empty if all do.
    """
    done = {}
    for seed, mine in every.items():
        absent = {p.x for p in mine if not keys({seed: [p]}) <= there}
        done[seed] = {p.x for p in mine} - absent
    places = {p.x for mine in every.values() for p in mine}
    if in_parts:
        places = max(done.values(), key=len, default=set())
    found = {}
    for seed, mine in every.items():
        kept = [point for point in mine if point.x in places]
        labels = {point.label for point in kept}
        kept = [
            replace(point, against=tuple(label for label in point.against if label in labels))
            for point in kept
        ]
        if places <= done[seed] and (not in_parts or any(point.against for point in kept)):
            found[seed] = kept
    return found


def points_lacking(
    every: Sequence[Point], drawn: Mapping[int, Sequence[Point]]
) -> list[pd.DataFrame]:
    """A row for each place that is not drawn: statistic `not measured`, no value.

    Parameters
    ----------
    every
        Points of a figure for one seed.
    drawn
        Seed -> those that are drawn.

    Returns
    -------
    One table, or none where every place is drawn.
    """
    there = {(point.group, point.x) for mine in drawn.values() for point in mine}
    places = dict.fromkeys((point.group, point.x) for point in every)
    absent = [(g, x) for g, x in places if (g, x) not in there]
    rows = [(g, LACKING, "", "", x, "", ALL, "", nan, nan, nan, 0, 0) for g, x in absent]
    return [pd.DataFrame(rows, columns=COLUMNS[:-1])] if rows else []


def types_told(records: Iterable[Record]) -> str:
    """In which types each arm was computed, as text; empty if all that is told is one type."""
    arms = estimates.by((r for r in records if r.dtype), lambda record: record.factors.arm)
    found = {arm: sorted({record.dtype for record in mine}) for arm, mine in arms.items()}
    if len({kind for kinds in found.values() for kind in kinds}) < 2:
        return ""
    told = (f"{arm} in {' and '.join(kinds)}" for arm, kinds in found.items())
    return f"Computed in more than one type: {', '.join(told)}."


def at_hand(cells: Sequence[Cell], left_out: Mapping[str, str]) -> list[Cell]:
    """Cells that can be computed here; how many lack rows is told."""
    found = [cell for cell in cells if cell[3] not in left_out]
    if without := dict.fromkeys(cell[3] for cell in cells if cell[3] in left_out):
        n = len(cells) - len(found)
        say(f"not computed, since rows are not at hand: {n} results, {validity.listed(without)}")
    return found


def provenance(records: Iterable[Record]) -> pd.DataFrame:
    """Columns arm, model, commit, device, versions, records (how many), hours."""
    keys = ["arm", "model", "commit", "device", "versions"]
    rows = []
    for r in records:
        versions = ", ".join(f"{name} {version}" for name, version in r.versions.items())
        rows.append((r.factors.arm, r.factors.model, r.commit, r.device, versions, r.wall_s))
    frame = pd.DataFrame(rows, columns=[*keys, "wall_s"])
    return frame.groupby(keys, as_index=False).agg(
        records=("wall_s", "size"), hours=("wall_s", lambda s: round(s.sum() / 3600, 2))
    )


def _ways(cells: Iterable[Cell], base: bool) -> set[tuple]:
    return {way(cell) for cell in cells if (cell[0].arm == "base") is base}
