"""Verbs about sweeps: the runs of figures, one of them, all put together."""

from pathlib import Path

from flanlib.commands.verbs import Format, show
from flanlib.core.bounds import RunId
from flanlib.studies.profiles import Settings


def grid(settings: Settings, *, only: tuple[str, ...] = (), format: Format = "table") -> None:
    """List the runs that figures need, and how much of each is on record."""
    from flanlib.prompts.audit import columns
    from flanlib.reporting import batch
    from flanlib.studies import sweep

    found = sweep.grid(batch.studies(settings, only))
    if format == "json":
        show(found)
        return
    names = [
        "run",
        "arm",
        "held out",
        "seed",
        "model",
        "form",
        "steps",
        "tasks",
        "scores",
        "recorded",
    ]
    rows = [{**line, "held out": line["held_out"], "tasks": len(line["tasks"])} for line in found]
    print(columns(names, [[row[name] for name in names] for row in rows]))


def work(
    run_id: RunId, settings: Settings, *, only: tuple[str, ...] = (), records: Path | None = None
) -> None:
    """Tune and score one run; done at once if it is on record.

    Parameters
    ----------
    run_id
        As `flanlib grid` lists it.
    only
        Figures whose scores are wanted of it, by name or its beginning.
    records
        Folder for this run's records; without it, the study's own.
    """
    from flanlib.reporting import batch
    from flanlib.studies import sweep

    show(sweep.work(batch.studies(settings, only), run_id, records))


def merge(*folders: Path, settings: Settings, only: tuple[str, ...] = ()) -> None:
    """Add folders of records to those of the figures; status 3 if one is missing.

    Parameters
    ----------
    folders
        What `work --records` wrote, one or many.
    only
        Figures whose records have to be there, by name or its beginning.
    """
    from flanlib.reporting import batch
    from flanlib.studies import sweep

    show(sweep.merge(batch.studies(settings, only), folders))
