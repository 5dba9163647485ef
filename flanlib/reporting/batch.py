"""Notebooks one after another, each with the parameters it has."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from flanlib import figures
from flanlib.core import folders, naming, paths, storage
from flanlib.core.errors import DataError, FlanlibError, MissingResultError, ParameterError
from flanlib.core.progress import say, span
from flanlib.reporting import notebook
from flanlib.reporting.main_result import MAIN
from flanlib.studies import profiles
from flanlib.studies.plans import PLANS
from flanlib.studies.profiles import Settings
from flanlib.studies.study import Study

USUAL_S = 20.0  # a notebook that computes nothing, before its time is known


def stems(only: Sequence[str] = (), settings: Settings | None = None) -> list[str]:
    """Notebooks to run: those that compute first, the rest by number.

    Parameters
    ----------
    settings
        That they are run with; without names, figures that cannot be drawn for the
        collection are left out. None leaves out nothing.

    Raises
    ------
    ParameterError
        If there is no such notebook, or one that is named does not fit the collection.
    MissingResultError
        If there are no notebooks at all.
    """
    known = sorted((p.stem for p in paths.NOTEBOOKS.glob("fig*.ipynb")), key=number)
    if not known:
        raise MissingResultError(f"{paths.NOTEBOOKS}: no notebooks there{paths.elsewhere()}")
    for name in only:
        if not any(_means(name, stem) for stem in known):
            if lacking := [stem for stem in figures.STEMS if _means(name, stem)]:
                raise ParameterError(
                    f"{paths.NOTEBOOKS / lacking[0]}.ipynb: no such notebook, and a figure needs"
                    " one; start it from a copy of another figure's"
                )
            names = {stem: stem.split("_", 1) for stem in known}
            raise ParameterError(
                f"notebook {naming.shown(name)}: no such name{naming.alternatives(name, known, names)}"
            )
    chosen = [s for s in known if not only or any(_means(name, s) for name in only)]
    collection = (settings.collection or settings.defaults.collection) if settings else ""
    for stem in chosen if only and collection else ():
        figures.require(stem, collection)
    chosen = [s for s in chosen if not collection or figures.applies(s, collection)]
    return sorted(chosen, key=lambda stem: "recompute" not in notebook.parameters(stem))


def studies(settings: Settings, only: Sequence[str] = ()) -> list[Study]:
    """What the figures compute: the main study, and the axes of the others.

    Raises
    ------
    ParameterError
        If there is no such figure, or none of those computes anything.
    """
    chosen = stems(only, settings)
    found = [
        figures.open_for(stem, **asdict(settings)) for stem in chosen if stem in (MAIN, *PLANS)
    ]
    if not found:
        raise ParameterError(
            f"{', '.join(chosen)}: computes nothing; there are {', '.join([MAIN, *PLANS])}"
        )
    return found


def number(stem: str) -> tuple[int, str]:
    """What figures are put in order by.

    Examples
    --------
    >>> number("fig5_zero_shot_gains")
    (5, 'fig5_zero_shot_gains')
    """
    digits = stem.removeprefix("fig").split("_")[0]
    return (int(digits) if digits.isdigit() else 1000, stem)


def _means(name: str, stem: str) -> bool:
    return stem == name or stem.startswith(f"{name}_")


def given(settings: Settings, more: Sequence[str] = ()) -> dict[str, Any]:
    """The profile, and parameters that differ from the defaults; `more` as NAME=VALUE.

    Raises
    ------
    ParameterError
        If one of `more` has no `=`.
    """
    plain = asdict(Settings())
    found = {k: v for k, v in asdict(settings).items() if k == "profile" or v != plain[k]}
    for text in more:
        name, sign, value = text.partition("=")
        if not sign:
            raise ParameterError(
                f"--set: {naming.shown(text)} is not NAME=VALUE, such as cluster=nli"
            )
        if name in found:
            raise ParameterError(f"{name}: given twice; give it once")
        found[name] = value
    return found


def own(stem: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a notebook has, of those given."""
    known = notebook.parameters(stem)
    return {name: value for name, value in given.items() if name in known}


def parted(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters in two parts: settings of a study, and those of single notebooks."""
    shared = {field.name for field in fields(Settings)}
    parts = ({}, {})
    for name, value in given.items():
        parts[name not in shared][name] = value
    return parts


def label(given: Mapping[str, Any]) -> str:
    """What a folder of executed notebooks is called: the parameters, in words."""
    shared, own = parted(given)
    return profiles.label(profiles.settings(**shared), **own)


def for_each(chosen: Sequence[str], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Notebook -> the checked parameters that it has, of those given.

    Parameters
    ----------
    chosen
        Stems of notebooks.
    values
        Parameter -> value, for all the notebooks that have it.

    Raises
    ------
    ParameterError
        Before any kernel starts, if a parameter belongs to none of the
        notebooks, or a value is wrong.
    """
    known = {stem: notebook.parameters(stem) for stem in chosen}
    for name in values:
        if not any(name in parameters for parameters in known.values()):
            every = dict.fromkeys(n for parameters in known.values() for n in parameters)
            raise ParameterError(
                f"no parameter {naming.shown(name)}{naming.alternatives(name, every)}"
            )
    return {
        stem: notebook.check(stem, {k: v for k, v in values.items() if k in parameters})
        for stem, parameters in known.items()
    }


def run(
    parameters: Mapping[str, Mapping[str, Any]],
    out: Path,
    execute: Callable[[str, Path, Mapping[str, Any]], object] = notebook.run,
) -> dict[str, str]:
    """Execute notebooks; a failure does not stop the others.

    Parameters
    ----------
    parameters
        Notebook -> its checked parameters, in the order of execution.
    out
        Folder of the executed notebooks and of the times they took.
    execute
        Runs one notebook into a file, with its parameters.

    Returns
    -------
    Notebook -> what went wrong, of those that failed; each is kept as far as
    it came.
    """
    book = folders.make(out) / "times.json"
    times = _times(book)
    failed: dict[str, str] = {}
    for number, (stem, values) in enumerate(parameters.items(), 1):
        keys = [_key(*pair) for pair in list(parameters.items())[number - 1 :]]
        rest = sum(times.get(key, USUAL_S) for key in keys)
        guess = "" if set(keys) <= set(times) else ", and what has to be computed"
        say(f"== [{number}/{len(parameters)}] {stem}: about {span(rest)} left{guess}")
        began = time.monotonic()
        try:
            execute(stem, out / f"{stem}.ipynb", values)
        except FlanlibError as error:
            failed[stem] = str(error)
            say(f"flanlib: {error}")
            continue
        times[_key(stem, values)] = round(time.monotonic() - began, 1)
        storage.write(book, json.dumps(times, indent=1) + "\n")
    return failed


def _times(book: Path) -> dict[str, float]:
    """Seconds that notebooks took; what cannot be read is not known."""
    try:
        found = storage.read_json(book, "")
    except DataError:
        return {}
    return {k: v for k, v in found.items() if isinstance(v, int | float) and 0 <= v < 1e7}


def _key(stem: str, values: Mapping[str, Any]) -> str:
    return f"{stem} {json.dumps(dict(values), sort_keys=True)}"
