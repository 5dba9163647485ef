"""Digests of what a collection holds now: its rows, templates, and what a run is tuned on.

A record carries those of the day it was made, so that the two can be held
against each other. Reading rows takes seconds, so what their digests depend
on (code, task, files) is looked up first: in memory, then in build/cache.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from flanlib.core import paths, storage
from flanlib.core.config import Factors, Recipe, Scoring, digest
from flanlib.core.errors import MissingResultError
from flanlib.data import sources
from flanlib.data.catalogue import TRAIN_CAP, Catalogue, Task
from flanlib.data.source import FolderRows, Rows, WorldRows, source_of
from flanlib.evaluation import requests
from flanlib.prompts import mixture, templates
from flanlib.results import schema

Run = tuple[Factors, Recipe]
_known: dict[str, str] = {}


def examples(catalogue: Catalogue, task: Task, scoring: Scoring, rows: Rows = None) -> str:
    """Digest of the examples that a task is scored on, as records have it in `data`.

    Raises
    ------
    MissingResultError
        If the rows are not there.
    """

    def make() -> str:
        return schema.data_digest(requests.examples_of(catalogue, task, scoring, rows))

    what = ["data", scoring.split, scoring.max_examples]
    return _looked_up(catalogue, task, rows, what, make)


def phrasing(catalogue: Catalogue, task: Task, scoring: Scoring) -> str:
    """Digest of the words a task is asked in, as records have it in `phrasing`."""
    stop = task.stop if task.kind == "generate" else "newline"
    return schema.phrasing_digest(requests.templates_for(catalogue, task, scoring), stop)


def training(
    catalogue: Catalogue,
    runs: Sequence[Run],
    scoring: Scoring | None = None,
    task: Task | None = None,
    rows: Rows = None,
    limit: int = 0,
) -> tuple[str, bool]:
    """Digest of the rows and templates that tuning and exemplars are drawn from.

    Parameters
    ----------
    runs
        The run, and the tuned one under its soft prompt.
    scoring, task
        What is asked; exemplars are train rows of the task.

    Returns
    -------
    The digest, empty if nothing is drawn (an untuned model without
    exemplars), and whether all rows are here that everybody can have; a
    mixture is made without the others.
    """
    cap, here = min(limit or TRAIN_CAP, TRAIN_CAP), _Here(catalogue, rows)
    parts: list[Any] = [
        _mixed(catalogue, factors, here, cap) for factors, _ in runs if factors.arm != "base"
    ]
    if scoring is not None and task is not None and scoring.shots:
        parts.append(here.digest(task, "train", TRAIN_CAP))
    return (digest(parts) if parts else ""), here.complete


def mixed(
    catalogue: Catalogue, factors: Factors, recipe: Recipe, rows: Rows = None, limit: int = 0
) -> str:
    """Digest of the mixture that a run is tuned on, as records have it in `mixture`."""

    def make() -> str:
        root = str(catalogue.root.absolute())
        found = mixture.of_run(factors, recipe, rows, collection=root, limit=limit)
        return found.digest()

    drawn = {**asdict(factors), "model": "", "under": ""}
    shares = [recipe.exemplar_share, recipe.max_exemplars]
    made_of = training(catalogue, [(factors, recipe)], rows=rows, limit=limit)
    return _kept(digest([_code(), made_of, drawn, shares, limit], 32), make)


@dataclass
class _Here:
    """The rows that are here; `complete` tells whether none were missed."""

    catalogue: Catalogue
    rows: Rows
    complete: bool = True

    def digest(self, task: Task, split: sources.Split, limit: int | None) -> str | None:
        """Of a split; None where it is not here."""

        def make() -> str:
            found = sources.examples(self.catalogue, task, split, rows=self.rows, limit=limit)
            return sources.digest(found)

        try:
            return _looked_up(self.catalogue, task, self.rows, ["rows", split, limit], make)
        except MissingResultError:
            own = task.source.splits
            wanted = task.source.route != "manual" and (split in own or not own)
            self.complete = self.complete and not wanted
            return None


def _mixed(catalogue: Catalogue, factors: Factors, here: _Here, limit: int) -> list[Any]:
    """What a mixture is made from: rows and templates tuned on, and rows kept away from."""
    split = mixture.split_of(factors, catalogue)
    tuned = [
        [task.key, here.digest(task, "train", limit), _wording(catalogue, task, factors)]
        for task in split.tuning
    ]
    unseen = [
        [task.key, *(here.digest(task, part, None) for part in ("dev", "eval"))]
        for task in split.evaluation
    ]
    return [tuned, unseen]


def _wording(catalogue: Catalogue, task: Task, factors: Factors) -> str:
    every = templates.of_task(catalogue, task, factors.form)
    return digest([[t.id, t.input, t.target, t.inverted, t.options, t.answers] for t in every])


def _looked_up(
    catalogue: Catalogue, task: Task, rows: Rows, what: Sequence[Any], make: Callable[[], str]
) -> str:
    """A digest from memory, or from build/cache, or made and kept in both."""
    if (state := _state(catalogue, task, rows)) is None:
        return make()
    return _kept(digest([_code(), asdict(task), state, *what], 32), make)


def _kept(key: str, make: Callable[[], str]) -> str:
    if key not in _known:
        path = paths.CACHE / "digests" / key
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, ValueError):
            text = ""
        if len(text) != 12:
            text = make()
            with suppress(OSError):  # a full or read-only disk: it is made again next time
                storage.write(path, text)
        _known[key] = text
    return _known[key]


def _state(catalogue: Catalogue, task: Task, rows: Rows) -> list[Any] | None:
    """What a task's rows depend on besides the task; None where no file holds them."""
    source = source_of(catalogue, task, rows)
    if isinstance(source, WorldRows):
        return []
    if not isinstance(source, FolderRows):
        return None
    try:
        found = source.files(task)
    except MissingResultError:
        return None
    state = []
    for name, path in found.items():
        about = path.stat()
        state.append([name, str(path.resolve()), about.st_size, about.st_mtime_ns])
        state[-1] += [about.st_ctime_ns, about.st_ino]
    return state


@cache
def _code() -> str:
    """Digest of this package's own source: another way of reading gives other rows."""
    found = sha256()
    for path in sorted(paths.PACKAGE.rglob("*.py")):
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()
