"""A sweep: the runs of figures worked off one by one, anywhere, then put together.

Each run keeps its records in a folder of its own, so that machines share no
file they write to; merging adds the folders to the records of the collection.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flanlib.core.config import digest, run_id
from flanlib.core.errors import DataError, MissingResultError, ParameterError, StaleResultError
from flanlib.results import schema, store, validity
from flanlib.results.schema import Cell, Record
from flanlib.results.validity import Today
from flanlib.studies import runs
from flanlib.studies.study import Study


def grid(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """The runs that studies of one collection need; one that several need, once.

    Returns
    -------
    Per run its id, factors, steps of tuning, the tasks it scores, how many scores that makes
    and how many of them are on record; in `needs` the id of the tuned model
    under it (empty: none), in `asks` a digest of the scores.
    """
    known = {record.key for record in _current(studies, studies[0].at)}
    lines: dict[str, dict[str, Any]] = {}
    for cell in _cells(studies):
        factors, recipe, _, task = cell
        run = run_id(factors, recipe)
        line = lines.setdefault(
            run,
            {
                "run": run,
                "arm": factors.arm,
                "held_out": factors.held_out,
                "seed": factors.seed,
                "model": factors.model,
                "form": factors.form,
                "steps": 0 if factors.arm == "base" else recipe.steps,
                "tasks": [],
                "scores": 0,
                "recorded": 0,
                "needs": factors.under,
                "asks": "",
            },
        )
        line["tasks"] += [task] if task not in line["tasks"] else []
        line["scores"] += 1
        line["recorded"] += schema.key_of(cell) in known
        line["asks"] = digest([line["asks"], schema.key_of(cell)])
    return list(lines.values())


def work(
    studies: Sequence[Study], run: str, at: Path | None = None, act: runs.Work | None = None
) -> dict[str, Any]:
    """Tune and score one run, as far as it is not on record.

    A run that was stopped goes on from its checkpoint, and scored tasks are
    not scored again.

    Parameters
    ----------
    run
        Run id, as `grid` lists it.
    at
        Folder for the run's records; without it, the studies' own. What they
        have on record of this run is copied there.
    act
        Does a job and returns its seconds; None is `runs.compute`.

    Raises
    ------
    ParameterError
        If no study has such a run.
    """
    home = studies[0].at
    at = at or home
    cells = [cell for cell in _cells(studies) if run_id(*cell[:2]) == run]
    if not cells:
        raise ParameterError(f"run {run!r}: `flanlib grid` with the same settings lists the runs")
    if at != home:
        known = [r for r in _current(studies, home) if r.run_id == run]
        store.take(known, [home], at, stale=_stale(studies))
    absent = store.missing(_current(studies, at), cells)
    for study in studies:
        mine = set(study.cells())
        missing = [c for c in store.missing(_current(studies, at), cells) if c in mine]
        if missing and study.settings.profile == "rehearsal":
            runs.make_rehearsal_model(study.settings.model)
        runs.run([replace(job, at=at) for job in study.jobs(missing, home)], work=act)
    validity.require(cells, store.load(at), _today(studies), _command(studies))
    return {"run": run, "scores": len(cells), "computed": len(absent), "records": str(at)}


def merge(studies: Sequence[Study], folders: Sequence[Path]) -> dict[str, Any]:
    """Add the records of folders to the studies', and check that none is missing.

    Parameters
    ----------
    folders
        Folders of records, as `work` filled them.

    Raises
    ------
    MissingResultError
        If a folder is not there; or, after what there is was added, naming
        cells that are not on record.
    StaleResultError
        If a record was made from other rows, templates or weights than those
        of today; nothing is added then.
    DataError
        If two records of one cell differ, or one is of another collection;
        nothing is added then.
    """
    if absent := [folder for folder in folders if not folder.is_dir()]:
        raise MissingResultError(f"{absent[0]}: no such folder of records")
    at, cells, today = studies[0].at, _cells(studies), _today(studies)
    incoming = []
    for folder in folders:
        mine = store.load(folder)
        _refuse(mine, folder, today)
        incoming += mine
    new = store.take(incoming, folders, at, stale=_stale(studies))
    validity.require(cells, store.load(at), today, _command(studies))
    return {"scores": len(cells), "new": new, "records": str(at)}


def _refuse(records: Sequence[Record], folder: Path, today: Today) -> None:
    """Raise if records of a folder are not of this collection as it is today."""
    name = today.catalogue.name
    if strange := [r for r in records if r.factors.collection != name]:
        raise DataError(
            f"{folder}: {len(strange)} records are of collection"
            f" {strange[0].factors.collection!r}, not of {name!r}; nothing was merged"
        )
    if changed := [(r, names) for r in records if (names := today.changed(r))]:
        raise StaleResultError(
            f"{folder}: {validity.described(changed)}\nnothing was merged; compute them anew with"
            " `flanlib work`, on the same rows and templates as here"
        )


def _today(studies: Sequence[Study]) -> Today:
    """What records of the studies are held against."""
    runs = {key: run for study in studies for key, run in study.today.prerequisites.items()}
    return replace(studies[0].today, prerequisites=runs)


def _stale(studies: Sequence[Study]) -> Callable[[Record], bool]:
    today = _today(studies)
    return lambda record: bool(today.changed(record))


def _current(studies: Sequence[Study], at: Path) -> list[Record]:
    """Records of a folder that belong to the studies and to today."""
    keys = {schema.key_of(cell) for cell in _cells(studies)}
    found = [record for record in store.load(at) if record.key in keys]
    return validity.current(found, _today(studies))


def _command(studies: Sequence[Study]) -> str:
    """The command line that computes what studies lack."""
    figures = list(dict.fromkeys(study.figure for study in studies))
    return shlex.join(["flanlib", "run", "--only", *figures, *studies[0].settings.options])


def _cells(studies: Sequence[Study]) -> list[Cell]:
    return list(dict.fromkeys(cell for study in studies for cell in study.cells()))
