"""Verbs about sweeps: the runs of a study, one of them, all put together."""

from dataclasses import asdict
from pathlib import Path

from flanlib.profiles import Settings
from flanlib.verbs import Format, show


def grid(settings: Settings, *, format: Format = "table") -> None:
    """List the runs a study needs, and how much of each is on record.

    Parameters
    ----------
    format
        How it is printed.
    """
    from flanlib import sweep
    from flanlib.audit import columns

    found = sweep.grid(_studies(settings))
    if format == "json":
        show(found)
        return
    names = ["run", "arm", "held out", "seed", "model", "form", "tasks", "scores", "recorded"]
    rows = [{**line, "held out": line["held_out"], "tasks": len(line["tasks"])} for line in found]
    print(columns(names, [[row[name] for name in names] for row in rows]))


def work(run_id: str, settings: Settings, *, records: Path | None = None) -> None:
    """Tune and score one run of a study; done at once if it is on record.

    Parameters
    ----------
    run_id
        As `flanlib grid` lists it.
    records
        Folder for this run's records; without it, the study's own.
    """
    from flanlib import sweep

    show(sweep.work(_studies(settings), run_id, records))


def merge(*folders: Path, settings: Settings) -> None:
    """Add folders of records to a study's; status 3 if any is still missing.

    Parameters
    ----------
    folders
        What `work --records` wrote, one or many.
    """
    from flanlib import sweep

    show(sweep.merge(_studies(settings), folders))


def _studies(settings: Settings) -> list:
    from flanlib.study import open_study

    return [open_study(**asdict(settings))]
