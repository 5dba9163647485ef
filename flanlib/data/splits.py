"""Cuts: which rows of which file serve train, dev and evaluation.

The hub's splits are not always there in a local copy, and some datasets have
one split only. Dev rows without a file of their own are cut from the tuning
file, and evaluation rows where the catalogue says so; splits that share a file
take disjoint stretches of its rows in seeded order.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import attrgetter

from flanlib.core.errors import DataError
from flanlib.data import keys
from flanlib.data.adapters import Example
from flanlib.data.catalogue import DEV_ROWS, Task

EVAL_ROWS = 1_000
TENTH = 10


@dataclass(frozen=True)
class Stretch:
    """Rows of one file that a split takes.

    Attributes
    ----------
    base
        The file's split name: train, validation or test.
    size
        Rows taken; None takes what other splits leave.
    before
        Sizes of the cuts made before this one.
    shared
        Whether several splits take from the file: a cut then takes at most a
        tenth of a partial copy, and no group stands on both sides.
    """

    base: str
    size: int | None = None
    before: tuple[int, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """Examples of one row, with the two numbers it was drawn with.

    Attributes
    ----------
    group, own
        Sorting numbers between 0 and 1: rows that a cut keeps together share the first.
    index
        Position of the row in its file, from 0; settles ties.
    """

    group: float
    own: float
    index: int
    examples: list[Example]


def stretches(task: Task, found: Collection[str]) -> dict[str, Stretch]:
    """How the files that are there serve a task's splits.

    Dev rows whose own file is absent are cut from the tuning file. An
    evaluation cut from tuning rows gives way to a file of its own.
    """
    declared = {name: _parse(task, text) for name, text in task.source.splits.items()}
    tuning = declared["train"][0] if "train" in declared else None
    base, size = declared.get("eval", ("test", None))
    own = [b for b in (base, "test", "validation") if b in found and b != tuning]
    uses: dict[str, tuple[str, int | None]] = {}
    if own:
        uses["eval"] = (own[0], None)
    elif base == tuning and base in found:
        uses["eval"] = (tuning, size or EVAL_ROWS)
    if "dev" in declared:
        base, size = declared["dev"]
        if base in found and base not in (tuning, uses.get("eval", ("",))[0]):
            uses["dev"] = (base, size or DEV_ROWS)
        elif tuning in found:
            uses["dev"] = (tuning, size or DEV_ROWS)
    if tuning in found:
        uses["train"] = (tuning, None)
    made: dict[str, Stretch] = {}
    for split, (base, size) in uses.items():
        before = tuple(s.size for s in made.values() if s.base == base and s.size)
        shared = sum(base == other for other, _ in uses.values()) > 1
        made[split] = Stretch(base, size, before, shared)
    return made


def canonical(name: str) -> str:
    """The local file name of a hub split.

    Examples
    --------
    >>> canonical("train_r1"), canonical("dev_r1"), canonical("test")
    ('train', 'validation', 'test')
    """
    return next((found for found in ("train", "test") if name.startswith(found)), "validation")


def _parse(task: Task, text: str) -> tuple[str, int | None]:
    try:
        name, size = keys.expression(text)
    except ValueError as error:
        raise DataError(f"task {task.key}: {error}") from None
    return canonical(name), size or None


def lowest(units: Iterable[Unit], keep: int | None) -> tuple[int, list[Unit]]:
    """How many units there are, and the `keep` first in seeded order; None keeps all."""
    n, found, key = 0, [], attrgetter("group", "own", "index")
    for unit in units:
        n += 1
        found.append(unit)
        if keep is not None and len(found) > 2 * keep + TENTH:
            found.sort(key=key)
            del found[keep:]
    found.sort(key=key)
    return n, found if keep is None else found[:keep]


def cut(units: list[Unit], stretch: Stretch, n: int, *, full: bool) -> list[Unit]:
    """The stretch's units out of all in seeded order.

    A cut takes whole groups, as many as its size holds, so no group is on
    both sides of it. Of a partial copy of a dataset it takes at most a tenth.

    Parameters
    ----------
    n
        Units there are in all, of which `units` may be the first ones.
    full
        Whether the file holds nearly the whole dataset, so that the `stretch` may have
        its full size.
    """
    most = n if full or not stretch.shared else n // TENTH
    start = 0
    for size in stretch.before:
        start = _whole(units, start, min(size, most))
    if stretch.size is None:
        return units[start:]
    if stretch.shared:
        return units[start : _whole(units, start, min(stretch.size, most))]
    return units[: stretch.size]


def _whole(units: list[Unit], start: int, size: int) -> int:
    """Where a cut of at most `size` units ends without parting a group."""
    end = min(start + size, len(units))
    while start < end < len(units) and units[end].group == units[end - 1].group:
        end -= 1
    return end
