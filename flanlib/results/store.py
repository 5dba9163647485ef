"""The store of records: one JSON line per (run, task), with provenance.

`data/results/<collection>/<arm>.jsonl` holds the records of an arm, and
`examples.jsonl` beside them which examples they were measured on. Nothing is
ever filled in, and nothing is replaced in silence: a cell that is not there
raises `MissingResultError`, and two values for one cell `DataError`. Whether
a record still belongs to today's rows, templates and weights is asked in
`results.validity`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

from flanlib.core import naming, paths, storage
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data.adapters import Example
from flanlib.results.schema import (
    CONDITIONS,
    EXAMPLES,
    RECORD,
    Cell,
    Examples,
    Record,
    data_digest,
    describe,
    key_of,
    wordless,
)

SHOWN = 7  # lines of a message about cells
LISTED = "examples.jsonl"


def folder(collection: str | Path, root: Path | None = None) -> Path:
    """Where a collection's records are: below `root`, or data/results.

    A collection below data/ keeps its name there. Another is a folder
    anywhere, and several may have one name, so that eight hex digits of its
    path stand behind it: `pets-0f3a9c1e`. After it was moved, `flanlib merge`
    takes its records over.
    """
    return (root or paths.RESULTS) / paths.label(collection)


def append(
    records: Sequence[Record], at: Path, *, stale: Callable[[Record], bool] | None = None
) -> int:
    """Add records to a folder; what is there already, with the same value, is skipped.

    Each file is replaced in one step, under a lock, with its lines sorted,
    so that parallel runs lose nothing and diffs stay local.

    Parameters
    ----------
    stale
        Whether a record that is there, made from something else than the new
        one, gives way to it.

    Returns
    -------
    How many were new, or took the place of others.

    Raises
    ------
    DataError
        If the folder has another record of the same cell that does not give
        way; nothing is written then.
    """
    with storage.locked(at):
        return _add(records, at, stale)


def note_examples(examples: Sequence[Example], at: Path, words: bool = True) -> str:
    """Store ids and groups of the examples a task was scored on, once; their digest.

    Parameters
    ----------
    words
        Whether ids and groups may be words of the rows, rather than a digest of them.
    """
    mark = data_digest(examples)
    named = str if words else wordless
    ids, groups = tuple(named(e.id) for e in examples), tuple(named(e.group) for e in examples)
    row = Examples(data=mark, task=examples[0].task, ids=ids, groups=groups)
    with storage.locked(at):
        _note({mark: row}, at)
    return mark


def take(
    records: Iterable[Record],
    sources: Sequence[Path],
    at: Path,
    *,
    stale: Callable[[Record], bool] | None = None,
) -> int:
    """Add records that were read from other folders, with their examples.

    Parameters
    ----------
    sources
        Folders that have the examples of the records.
    at, stale
        See `append`.

    Raises
    ------
    DataError
        As `append`, and if a record's examples are in none of the folders;
        nothing is written then.
    """
    chosen: dict[tuple, Record] = {}
    for record in records:
        _agree(chosen.setdefault(record.key, record), record, ", ".join(map(str, sources)))
    known: dict[str, Examples] = {}
    for source in sources:
        for mark, row in _read_examples(source / LISTED).items():
            if known.setdefault(mark, row) != row:
                raise DataError(f"{source / LISTED}: {mark}: other ids than in another folder")
    marks = {record.data for record in chosen.values()}
    rows = {mark: row for mark, row in known.items() if mark in marks}
    matched(chosen.values(), rows, ", ".join(str(source / LISTED) for source in sources))
    with storage.locked(at):
        _same_examples(rows, at)
        new = _add(list(chosen.values()), at, stale)
        _note(rows, at)
    return new


def _add(records: Sequence[Record], at: Path, stale: Callable[[Record], bool] | None) -> int:
    """Add records, the lock being held; every conflict is found before anything is written."""
    new, changed = 0, {}
    for arm in sorted({r.factors.arm for r in records}):
        path = at / f"{arm}.jsonl"
        known = {record.key: record for _, record in _numbered(path)}
        for record in records:
            if record.factors.arm != arm:
                continue
            old = known.get(record.key)
            if old is not None:
                names = old.differs(record)
                if not names:
                    continue
                if not (stale and set(names) & set(CONDITIONS) and stale(old)):
                    _agree(old, record, str(path))
            known[record.key] = record
            changed[path] = known
            new += 1
    with storage.together() as opened:
        for path, found in changed.items():
            _write(opened(path), (r.line() for r in sorted(found.values(), key=lambda r: r.place)))
    return new


def _agree(old: Record, new: Record, where: str) -> None:
    """Raise `DataError` if two records of one cell differ."""
    if not (names := old.differs(new)):
        return
    name = names[0]
    one, other = (shorten(repr(getattr(r, name)), 60) for r in (old, new))
    raise DataError(
        f"{where}: two records of {describe(old.cell)}, scoring {old.key[1]}, differ in"
        f" {', '.join(names[:5])}: {name} is {one} in that of {old.started} and {other} in that"
        f" of {new.started}; keep the one that is right, delete the line of the other"
    )


def _note(rows: Mapping[str, Examples], at: Path) -> None:
    """Add lines to examples.jsonl, the lock being held."""
    known = _same_examples(rows, at)
    if set(rows) - set(known):
        ordered = sorted((known | rows).values(), key=lambda r: (r.task, r.data))
        with storage.writing(at / LISTED) as file:
            _write(file, map(asdict, ordered))


def _same_examples(rows: Mapping[str, Examples], at: Path) -> dict[str, Examples]:
    """What examples.jsonl has; `DataError` if it knows others under a digest of `rows`."""
    known = _read_examples(at / LISTED)
    for mark, row in rows.items():
        if known.get(mark, row) != row:
            raise DataError(
                f"{at / LISTED}: {mark}: other ids or groups of task {row.task} than those at"
                " hand; restore the file with git, or delete that line"
            )
    return known


def load(at: Path) -> list[Record]:
    """All records of a folder, in file order; none is an empty list.

    Raises
    ------
    DataError
        Naming file, line and field of a record that is not one, and both
        places where a cell has two values.
    """
    found: dict[tuple, tuple[Path, int, Record]] = {}
    for path in sorted(at.glob("*.jsonl")):
        if path.name != LISTED:
            for number, record in _numbered(path):
                first = found.setdefault(record.key, (path, number, record))
                if first[2] is not record:
                    _once(first, path, number, record)
    return [record for _, _, record in found.values()]


def _once(first: tuple[Path, int, Record], path: Path, number: int, record: Record) -> None:
    if names := first[2].differs(record):
        raise DataError(
            f"{path}, line {number}: the same run, scoring and task ({record.task}) as"
            f" {first[0]}, line {first[1]}, but another {', '.join(names[:5])}; delete the wrong"
            " line, or restore the file with git"
        )


def groups(at: Path) -> dict[str, tuple[str, ...]]:
    """Data digest -> the group of each example (its id where it has none).

    Raises
    ------
    DataError
        Naming file and line of what is no list of examples.
    """
    return {
        mark: tuple(g or i for g, i in zip(row.groups, row.ids, strict=True))
        for mark, row in _read_examples(at / LISTED).items()
    }


def matched(records: Iterable[Record], known: Mapping[str, Any], where: object) -> None:
    """Raise `DataError` naming a record whose examples are not listed, or are others.

    Parameters
    ----------
    known
        Data digest -> examples, as `groups` gives them.
    where
        Place of the list, for the message.
    """
    for record in records:
        listed = known.get(record.data)
        n = None if listed is None else len(getattr(listed, "ids", listed))
        if n != record.n:
            found = "no line" if n is None else f"{n} examples"
            raise DataError(
                f"{where}: {found} for digest {record.data}, where the record of task"
                f" {record.task} (run {record.run_id}) has {record.n} examples; restore the file"
                " with git, or delete the record's line and compute it again"
            )


def missing(records: Iterable[Record], cells: Iterable[Cell]) -> list[Cell]:
    """Cells that no record fills, in their order."""
    known = {record.key for record in records}
    return [cell for cell in cells if key_of(cell) not in known]


def require(records: Iterable[Record], cells: Iterable[Cell], command: str = "flanlib run") -> None:
    """Raise `MissingResultError` naming the cells that no record fills, and the command."""
    absent = missing(records, cells)
    if not absent:
        return
    shown = naming.few((f"- {describe(cell)}" for cell in absent), SHOWN, "\n")
    raise MissingResultError(
        f"{len(absent)} results are not recorded:\n{shown}\n"
        f"compute them with `{command}`, or with `study.ensure()` in a notebook"
    )


def _write(file: IO[str], rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
        file.write(f"{text}\n")


def _numbered(path: Path) -> tuple[tuple[int, Record], ...]:
    """Records of a file with their lines; a cell that stands there twice, once."""
    if not path.is_file():
        return ()
    about = path.stat()
    return _parsed(path, (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino))


@lru_cache(maxsize=8)
def _parsed(path: Path, state: tuple[int, ...]) -> tuple[tuple[int, Record], ...]:
    """Records of a file in a `state`, so that what did not change is read once."""
    found: dict[tuple, tuple[int, Record]] = {}
    remedy = "restore the file with git, or delete the line and compute it again"
    for number, record in storage.read_lines(path, RECORD, remedy):
        first = found.setdefault(record.key, (number, record))
        if first[1] is not record:
            _once((path, *first), path, number, record)
    return tuple(found.values())


def _read_examples(path: Path) -> dict[str, Examples]:
    if not path.is_file():
        return {}
    found: dict[str, Examples] = {}
    for number, row in storage.read_lines(
        path, EXAMPLES, "restore the file with git, or delete the line"
    ):
        if found.setdefault(row.data, row) != row:
            raise DataError(
                f"{path}, line {number}: digest {row.data} stands there twice, with other"
                " examples; delete the wrong line, or restore the file with git"
            )
    return found
