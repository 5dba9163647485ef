"""Whether records belong to today's rows, templates, catalogue and weights.

A record keeps digests of what it was made from. One that differs from what is
there now is stale: it is never drawn or counted, it is computed anew, and the
new record takes its place. What is not at hand (rows that were not fetched, a
model that was not downloaded) cannot be held against a record; that is told,
once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flanlib.core.errors import (
    FlanlibError,
    LeakageError,
    MissingResultError,
    ParameterError,
    StaleResultError,
    TemplateError,
)
from flanlib.core.progress import say
from flanlib.data.catalogue import Catalogue
from flanlib.data.source import Rows
from flanlib.models import weights
from flanlib.results import contents, store
from flanlib.results.schema import Cell, Record, key_of

MEANINGS = {
    "rows": "the rows scored",
    "templates": "the templates asked",
    "metric": "the metric, or the kind of the task",
    "cluster": "the task's dataset or cluster",
    "mixture": "rows or templates of the tasks tuned on",
    "weights": "the base model's weights",
    "tokenizer": "the base model's tokenizer",
}
NAMED = 5  # tasks named in a message
Digest = TypeVar("Digest")

UNKNOWN = "?"  # today's digest where it cannot be found out
_told: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Today:
    """What records are held against.

    Attributes
    ----------
    rows
        A source of rows, or a folder; None lets the collection decide.
    train_limit
        Most train rows read per task; 0 is the cap.
    prerequisites
        Run id -> settings of each tuned model that a soft prompt is learned on.
    stale_too
        Whether stale records are taken as if they were current; see `marked`.
    """

    catalogue: Catalogue
    rows: Rows = None
    train_limit: int = 0
    prerequisites: Mapping[str, contents.Run] = field(default_factory=dict)
    stale_too: bool = False
    _known: dict[tuple, Any] = field(default_factory=dict, repr=False)

    def changed(self, record: Record) -> tuple[str, ...]:
        """What a record was made from that is otherwise today, as named in `MEANINGS`."""
        task = self.catalogue.tasks.get(record.task)
        if task is None:
            return ("cluster",)
        found = {
            "rows": self._differs(record.data, self.data(record)),
            "templates": record.phrasing != self.phrasing(record),
            "metric": (record.metric, record.kind) != (task.metric, task.kind),
            "cluster": (record.dataset, record.cluster) != (task.dataset, task.cluster),
            "mixture": self._differs(*self._tuning(record)),
            "weights": self._differs(record.base_digest, self.base(record.factors.model)),
            "tokenizer": self._differs(
                record.tokenizer_digest, self.tokenizer(record.factors.model)
            ),
        }
        return tuple(name for name, differs in found.items() if differs)

    def unchecked(self, record: Record) -> tuple[str, ...]:
        """What of a record could not be held against today."""
        found = {
            "rows": self.data(record) == UNKNOWN,
            "mixture": UNKNOWN in self._tuning(record),
            "weights": UNKNOWN in (record.base_digest or UNKNOWN, self.base(record.factors.model)),
        }
        return tuple(name for name, unknown in found.items() if unknown)

    def data(self, record: Record) -> str:
        """Digest of the examples a cell is scored on now."""
        scoring, task = record.scoring, self.catalogue.task(record.task)
        key = ("data", task.key, scoring.split, scoring.max_examples)
        return self._once(key, lambda: contents.examples(self.catalogue, task, scoring, self.rows))

    def phrasing(self, record: Record) -> str:
        """Digest of the templates a cell is asked with now."""
        scoring, task = record.scoring, self.catalogue.task(record.task)
        key = ("phrasing", task.key, scoring.form)
        return self._once(key, lambda: contents.phrasing(self.catalogue, task, scoring))

    def base(self, model: str) -> str:
        """Digest of a base model's weights now."""
        return self._once(("base", model), lambda: weights.fingerprint(model, offline=True))

    def tokenizer(self, model: str) -> str:
        """Digest of a base model's tokenizer now."""
        return self._once(("tokenizer", model), lambda: weights.tokenizer_digest(model) or UNKNOWN)

    def training(self, record: Record) -> str:
        """Digest of the rows and templates that a cell's tuning and exemplars are drawn from.

        `UNKNOWN` where it differs from the record's and rows are missing here.
        """
        factors, scoring = record.factors, record.scoring
        task = self.catalogue.task(record.task)
        under = self.prerequisites.get(factors.under)
        if factors.under and under is None:
            return UNKNOWN
        runs = [(factors, record.recipe), *([under] if under else [])]
        key = (
            "training",
            factors.arm,
            factors.held_out,
            factors.form,
            factors.clusters,
            factors.tasks,
            factors.under and (under[0].held_out, under[0].form) if under else "",
            task.key if scoring.shots else "",
        )

        def make() -> tuple[str, bool]:
            return contents.training(
                self.catalogue, runs, scoring, task, self.rows, self.train_limit
            )

        found = self._once(key, make)
        if isinstance(found, str):
            return found
        return found[0] if found[1] or found[0] == record.training_data else UNKNOWN

    def _tuning(self, record: Record) -> tuple[str, str]:
        """Digest of what a record's tuning draws from, then and now.

        Records that are older than that digest are held against the mixture.
        """
        factors, recipe = record.factors, record.recipe
        if record.training_data or not (factors.arm != "base" or record.scoring.shots):
            return record.training_data, self.training(record)
        if not record.mixture:
            return UNKNOWN, UNKNOWN

        def make() -> str:
            return contents.mixed(self.catalogue, factors, recipe, self.rows, self.train_limit)

        return record.mixture, self._once(("mixture", record.run_id), make)

    @staticmethod
    def _differs(then: str, now: str) -> bool:
        return UNKNOWN not in (then or UNKNOWN, now) and then != now

    def _once(self, key: tuple, make: Callable[[], Digest]) -> Digest | str:
        """Make a digest once; `UNKNOWN` where what it is of is not here."""
        if key not in self._known:
            try:
                self._known[key] = make()
            except MissingResultError:
                self._known[key] = UNKNOWN
            except (LeakageError, ParameterError, TemplateError):
                self._known[key] = ""  # today there is no such run
            except FlanlibError:
                if key[0] not in ("base", "tokenizer"):
                    raise
                self._known[key] = UNKNOWN
        return self._known[key]


def current(records: Iterable[Record], today: Today) -> list[Record]:
    """Those of some records that are not stale, or all where `today` takes stale ones too."""
    return [record for record in records if today.stale_too or not today.changed(record)]


def require(cells: Sequence[Cell], records: Sequence[Record], today: Today, command: str) -> None:
    """Raise if a cell has no record, or a stale one where those are not taken too.

    Raises
    ------
    StaleResultError
        If any of the records is stale: what changed, of which tasks, and what to do.
    MissingResultError
        If all that is wrong is that cells have no record.
    """
    wanted = {key_of(cell) for cell in cells}
    mine = [record for record in records if record.key in wanted]
    changed = _stale(mine, today)
    if changed and not today.stale_too:
        absent = len(store.missing(mine, cells))
        also = f"; {absent} more are not recorded" if absent else ""
        raise StaleResultError(
            f"{described(changed)}{also}\ncompute them anew with `{command}`, or with"
            " `study.ensure()` in a notebook; the new records take the place of the old ones, which"
            " `flanlib figures --allow-stale` draws and marks"
        )
    store.require(mine, cells, command)


def refuse_stale(
    cells: Sequence[Cell], records: Sequence[Record], today: Today, command: str
) -> None:
    """Raise `StaleResultError`, as `require`, and let pass what is not on record."""
    known = {record.key for record in records}
    require([cell for cell in cells if key_of(cell) in known], records, today, command)


def marked(records: Iterable[Record], today: Today) -> str:
    """What a figure of stale records has written over it; empty where none of them is stale."""
    every = list(records)
    changed = _stale(every, today)
    names = {name for _, found in changed for name in found}
    told = ", ".join(name for name in MEANINGS if name in names)
    return f"STALE: {len(changed)} of {len(every)} results, made of other {told}" if changed else ""


def _stale(records: Iterable[Record], today: Today) -> list[tuple[Record, tuple[str, ...]]]:
    """Those that are stale, each with what changed."""
    return [(record, names) for record in records if (names := today.changed(record))]


def described(changed: Sequence[tuple[Record, Sequence[str]]]) -> str:
    """In a few lines: how many records are stale, and why.

    Parameters
    ----------
    changed
        Records, each with what changed, as `Today.changed` tells it.
    """
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for record, names in changed:
        for name in names:
            tasks[name][record.task] = None
    lines = [f"  {MEANINGS[name]}: {listed(tasks[name])}" for name in MEANINGS if name in tasks]
    n = f"{len(changed)} results on record are" if len(changed) > 1 else "1 result on record is"
    return f"{n} stale, since what they were made from has changed:\n" + "\n".join(lines)


def listed(tasks: Iterable[str]) -> str:
    """Tasks by name, the first few of them."""
    names = list(tasks)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    plural = "tasks" if len(names) > 1 else "task"
    return f"{plural} {', '.join(name[:60] for name in names[:NAMED])}{more}"


def tell(records: Iterable[Record], today: Today) -> None:
    """Say, once in a process, of which records something could not be checked."""
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        for name in today.unchecked(record):
            tasks[name][record.task] = None
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, found in tasks.items():
        if (mark := (today.catalogue.name, name, *found)) not in _told:
            _told.add(mark)
            lacking[tuple(found)].append(MEANINGS[name])
    for found, names in lacking.items():
        say(
            f"records of {today.catalogue.name} are taken as they stand; what they were made from is"
            f" not on this machine to compare with: {'; '.join(names)}; for {listed(found)}"
        )
