"""Verbs about pages: notebooks, figures, the report and the documents' numbers."""

from pathlib import Path

from flanlib.commands.verbs import show
from flanlib.core import paths
from flanlib.core.errors import MissingResultError
from flanlib.core.progress import say
from flanlib.studies.profiles import Settings


def run(
    settings: Settings,
    *,
    only: tuple[str, ...] = (),
    set: tuple[str, ...] = (),
    out: Path | None = None,
) -> int:
    """Run the notebooks of a profile; what is on record is not computed again.

    Parameters
    ----------
    only
        Notebooks, by name or its beginning, such as fig5.
    set
        Parameters that single notebooks have, such as cluster=nli.
    out
        Folder for executed notebooks; without it, one below build/notebooks/
        that is named by the settings.
    """
    from flanlib.reporting import batch

    given = batch.given(settings, set)
    parameters = batch.for_each(batch.stems(only, settings), given)
    at = out or paths.BUILD / "notebooks" / batch.label(given)
    failed = batch.run(parameters, at)
    done = [stem for stem in parameters if stem not in failed]
    show({"notebooks": str(at), "done": done, "failed": failed})
    return 1 if failed else 0


def figures(settings: Settings, *, only: tuple[str, ...] = (), allow_stale: bool = False) -> None:
    """Draw figures again from records, without a model.

    Where a profile takes what there is, a figure that is not on record is left
    out, unless it is named.

    With `--recompute`, the records of those clusters are the ones that
    `flanlib run` with the same settings computed; without them it is an error.

    Parameters
    ----------
    allow_stale
        Draw records as well whose rows, templates or weights have changed since;
        such figures are marked, and lie below build/stale.
    """
    from dataclasses import replace

    from flanlib import figures as drawn
    from flanlib.reporting import batch

    chosen = batch.stems(only, settings)
    for stem, own in batch.for_each(chosen, batch.given(settings)).items():
        values = {**drawn.USUAL.get(stem, {}), **own}
        try:
            study = replace(drawn.open_for(stem, **values), stale_too=allow_stale)
            shown = drawn.redraw(stem, study)
        except MissingResultError:
            if only or not settings.defaults.what_there_is:
                raise
            say(f"{stem}: not drawn, since it is not on record")
            continue
        say(f"{stem}: drawn")
        for path in shown.files.values():
            print(path)


def illustrate(settings: Settings) -> None:
    """Ask base and tuned models the questions written for figure 1; keep the answers."""
    from dataclasses import asdict

    from flanlib.studies import illustrate
    from flanlib.studies.study import open_study

    show(illustrate.make(open_study(**asdict(settings))))


def calibrate(settings: Settings) -> None:
    """Score the untuned model as its model card does, where that is not on record."""
    from dataclasses import asdict

    from flanlib.reporting import calibration
    from flanlib.studies.study import open_study

    show(calibration.ensure(open_study(**asdict(settings))).to_dict("records"))


def report(
    settings: Settings,
    *,
    set: tuple[str, ...] = (),
    out: Path | None = None,
    documents: bool = False,
) -> int:
    """Write the report as one HTML page; status 1 if recomputed values differ.

    Parameters
    ----------
    set
        Parameters that single notebooks were run with, such as cluster=nli.
    out
        Folder for index.html; without it, build/report.
    documents
        Write the numbers of README and docs/results.md from the tracked
        figures instead, and print which files changed.
    """
    if documents:
        from flanlib.reporting import blocks

        print("".join(f"{path}\n" for path in blocks.write()), end="")
        return 0
    from flanlib.reporting import report

    made = report.write(settings, out, set)
    lines = [made.comparison(), *(f"figures: {folder}" for folder in made.figures)]
    print("\n".join([*lines, f"report: {made.index}"]))
    return 0 if made.agrees else 1
