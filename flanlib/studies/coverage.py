"""What of a main result is on record: its tasks, and the clusters that are complete.

A study whose profile takes what there is can be drawn while other clusters or
seeds are still computed. A cluster is complete when its base is scored in
every way, and its tuned model of at least one seed, on every task. Any other
is not drawn; the figure says that it is not measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from flanlib import results
from flanlib.progress import say
from flanlib.results import Cell, Record
from flanlib.studies import agreement, estimates, validity

LACKING = "not measured"  # arm of a row that stands for a cluster which is not complete


def way(cell: Cell) -> tuple:
    """A cell but for its seed: what records of one arm have in common.

    Parameters
    ----------
    cell
        Of any run.
    """
    factors, recipe, scoring, task = cell
    return replace(factors, seed=0), recipe, scoring, task


def on_record(cells: Iterable[Cell], records: Iterable[Record]) -> set[str]:
    """Keys of the tasks of which some record has what a cell asks for, whatever the seed.

    Parameters
    ----------
    cells
        Those of a study, for every task that it may have.
    records
        Of its folder.
    """
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
    """A row for each cluster that has no record: arm `not measured`, no value.

    Parameters
    ----------
    clusters
        Those of the study.
    records
        Those that are drawn.
    """
    there = {record.cluster for record in records}
    rows = [(c, "", LACKING, *[float("nan")] * 3, 0, 0) for c in clusters if c not in there]
    names = ["cluster", "dataset", "arm", "value", "low", "high", "n", "seeds"]
    return pd.DataFrame(rows, columns=names)


def clusters_lacking(table: pd.DataFrame) -> list[str]:
    """Clusters that a table has no value of; see `lacking`.

    Parameters
    ----------
    table
        Of the main result.
    """
    return list(table.loc[table["arm"] == LACKING, "cluster"])


def at_hand(cells: Sequence[Cell], left_out: Mapping[str, str]) -> list[Cell]:
    """Cells that can be computed here; how many lack rows is told.

    Parameters
    ----------
    cells
        Those without a record.
    left_out
        Task that has no rows here -> why.
    """
    found = [cell for cell in cells if cell[3] not in left_out]
    if without := dict.fromkeys(cell[3] for cell in cells if cell[3] in left_out):
        n = len(cells) - len(found)
        say(f"not computed, since rows are not at hand: {n} results, {validity.listed(without)}")
    return found


def provenance(records: Iterable[Record]) -> pd.DataFrame:
    """Columns arm, model, commit, device, versions, records (how many), hours.

    Parameters
    ----------
    records
        Those that are shown.
    """
    frame = results.frame(records)
    if frame.empty:
        return frame
    frame["versions"] = [", ".join(f"{k} {v}" for k, v in x.items()) for x in frame["versions"]]
    keys = ["arm", "model", "commit", "device", "versions"]
    return frame.groupby(keys, as_index=False).agg(
        records=("value", "size"), hours=("wall_s", lambda s: round(s.sum() / 3600, 2))
    )


def _ways(cells: Iterable[Cell], base: bool) -> set[tuple]:
    return {way(cell) for cell in cells if (cell[0].arm == "base") is base}
