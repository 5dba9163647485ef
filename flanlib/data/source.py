"""Where rows come from: a protocol of two methods, and what implements it.

Rows lie in a folder, were fetched from the hub, are generated, or are given as
lists. Splits named `train`, `validation` and `test` are as the dataset's makers
left them, and train, dev and evaluation rows are cut from them as the catalogue
says. A source that has `dev` or `eval` is cut already: its rows are taken in
their order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from flanlib.core import naming, paths
from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.data import catalogue as catalogues
from flanlib.data import files, reading
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.splits import canonical

Row = dict[str, Any]
CUT = ("train", "dev", "eval")
BESIDE = "rows"  # folder of a collection that has its rows


@runtime_checkable
class RowSource(Protocol):
    """What rows are read from."""

    def splits(self, task: Task) -> Collection[str]:
        """Names of the splits of a task whose rows are here, in order.

        Raises
        ------
        MissingResultError
            If there are none; says how to get them.
        """

    def rows(self, task: Task, split: str) -> Iterable[Row]:
        """Rows of one of the splits, in order, in the columns of the task's source."""


Rows = Path | str | RowSource | None


@dataclass(frozen=True)
class ListRows:
    """Rows in memory.

    Attributes
    ----------
    tasks
        Task key -> split -> rows, each a dict of columns.
    """

    tasks: Mapping[str, Mapping[str, Sequence[Row]]]

    def __post_init__(self) -> None:
        for key, splits in self.tasks.items():
            known = {*files.SPLITS, *CUT}
            if not isinstance(splits, Mapping) or (strange := set(splits) - known):
                found = naming.shown(min(strange)) if isinstance(splits, Mapping) else "no splits"
                raise ParameterError(
                    f"rows of task {key}: found {found}; give a dict of train, dev and eval, or of"
                    " train, validation and test, with a list of rows each"
                )

    def splits(self, task: Task) -> Collection[str]:
        """Those with rows."""
        found = [name for name, rows in self.tasks.get(task.key, {}).items() if rows]
        if not found:
            raise MissingResultError(f"task {task.key}: no rows among those given")
        return found

    def rows(self, task: Task, split: str) -> Iterable[Row]:
        """The rows that were given."""
        return map(dict, self.tasks[task.key][split])


@dataclass(frozen=True)
class WorldRows:
    """Rows generated from the micro world whose seed is the source's `config`."""

    def splits(self, task: Task) -> Collection[str]:
        """Train, dev and eval."""
        return CUT

    def rows(self, task: Task, split: str) -> Iterable[Row]:
        """Rows of a world; `DataError` if it has no such task."""
        from flanlib.micro import tasks

        if task.key not in tasks.TASKS:
            known = naming.alternatives(task.key, list(tasks.TASKS))
            raise DataError(f"task {task.key}: route micro has no task of that key{known}")
        if not task.source.config.isdecimal():
            found = naming.shown(task.source.config)
            raise DataError(f"task {task.key}: source.config: {found} is no seed of a world")
        return tasks.rows(task.key, split, int(task.source.config))


@dataclass(frozen=True)
class FolderRows:
    """Rows in files, `<root>/<task>/<split>` as JSON lines or Parquet.

    Attributes
    ----------
    root
        Folder with a folder for each task, named as the catalogue says.
    """

    root: Path

    def splits(self, task: Task) -> Collection[str]:
        """Those with a file."""
        return list(self.files(task))

    def rows(self, task: Task, split: str) -> Iterable[Row]:
        """Rows of a file; labels that a Parquet file names stand by their names."""
        path = self.files(task)[split]
        return (row for _, _, row in reading.numbered(task, path, split))

    def files(self, task: Task) -> dict[str, Path]:
        """Split -> its file."""
        return files.splits(self.folder(task))

    def folder(self, task: Task) -> Path:
        """The folder with a task's files.

        Raises
        ------
        MissingResultError
            In one line: what to obtain, from whom, where to put it.
        """
        tried = self.tried(task)
        for one in tried:
            if one.is_dir() and files.splits(one):
                return one
        raise MissingResultError(
            f"task {task.key}: no rows in {tried[0]}{_instead(tried)}; {remedy(task, tried[0])}"
        )

    def tried(self, task: Task) -> list[Path]:
        """Folders that a task's rows may be in."""
        if not self.root.is_dir():
            raise MissingResultError(f"{self.root}: no such folder of rows")
        return [self.root / name for name in (task.source.folder, task.key) if name]


@dataclass(frozen=True)
class HubRows(FolderRows):
    """Rows that `flanlib fetch` keeps in build/cache; `root` is the collection's part of it."""

    def tried(self, task: Task) -> list[Path]:
        """The one folder that a task's rows are fetched into."""
        return [self.root / task.key]


def source_of(catalogue: Catalogue, task: Task, rows: Rows) -> RowSource:
    """What a task's rows are read from.

    Parameters
    ----------
    rows
        A source, or a folder. None or "" takes the collection's own: what it
        was loaded with, the folder `rows` beside its catalogue, or what was
        fetched. A folder says nothing about rows that are generated.
    """
    if not rows and isinstance(catalogue, Collection):
        rows = catalogue.rows
    if rows and not isinstance(rows, str | Path):
        return rows
    if task.source.route == "micro":
        return WorldRows()
    if rows:
        return FolderRows(Path(rows))
    beside = FolderRows(catalogue.root / BESIDE)
    if beside.root.is_dir() and any(folder.is_dir() for folder in beside.tried(task)):
        return beside
    return HubRows(cache_folder(catalogue, task).parent)


def cache_folder(catalogue: Catalogue, task: Task) -> Path:
    """Where a task's fetched rows are kept."""
    return paths.CACHE / "rows" / paths.label(catalogue.root) / task.key


@dataclass(frozen=True, kw_only=True)
class Collection(Catalogue):
    """A catalogue with the rows of its tasks.

    Attributes
    ----------
    rows
        Their source; None is that which the catalogue names.
    """

    rows: RowSource | None = None


def load_collection(
    collection: str | Path, rows: Rows | Mapping[str, Mapping[str, Sequence[Row]]] = None
) -> Collection:
    """A collection: its catalogue and templates, and the rows of its tasks.

    Parameters
    ----------
    collection
        Folder with catalogue.yaml and templates/, or the name of one that comes
        with flanlib: `micro` or `flan`.
    rows
        A source, a folder, or dicts: task -> split -> list of rows, each row a
        dict of columns. The splits are train, validation and test, from which the
        catalogue says what is cut; or train, dev and eval, taken as they are.

    Raises
    ------
    DataError
        Naming file and field of what is malformed.
    ParameterError
        If rows are given in another form.
    """
    found = catalogues.load(collection)
    source = FolderRows(Path(rows)) if isinstance(rows, str | Path) and rows else rows
    given = {one.name: getattr(found, one.name) for one in fields(found)}
    return Collection(**given, rows=ListRows(source) if isinstance(source, Mapping) else source)


def numbered(source: RowSource, task: Task, split: str) -> Iterator[tuple[str, str, Row]]:
    """Rows of a split with their ids and places, as `reading.numbered` gives them."""
    if isinstance(source, FolderRows):
        return reading.numbered(task, source.files(task)[split], split)
    every = ((f"{split} row {n}", row) for n, row in enumerate(source.rows(task, split)))
    return reading.of_part(task, every, split)


def place_of(source: RowSource, task: Task, split: str = "") -> str:
    """What messages call the rows of a task or split: a folder or file, or what they are."""
    if isinstance(source, FolderRows):
        return str(source.files(task)[split] if split else source.folder(task))
    return "a world" if isinstance(source, WorldRows) else "the rows given"


def remedy(task: Task, where: Path | None) -> str:
    """How a user gets a task's rows into the folder `where`; None where lists are given."""
    if where is None:
        return "give these rows as well"
    if task.source.route == "manual":
        return f"{task.source.obtain}; put them in {where}"
    fallback = f"; if that fails, {task.source.obtain}" if task.source.obtain else ""
    names = dict.fromkeys(canonical(text.partition("[")[0]) for text in task.source.splits.values())
    wanted = " and ".join(f"{name}.jsonl" for name in names)
    return (
        f"run `flanlib fetch --task {task.key}`, or put {wanted} with the hub's columns"
        f" there{fallback}"
    )


def _instead(tried: Iterable[Path]) -> str:
    """Files that may be meant for rows, in names that are not read."""
    names = [p.name for folder in tried if folder.is_dir() for p in sorted(folder.iterdir())]
    if not (names := [name for name in names if not name.startswith(".")]):
        return ""
    kinds = ", ".join(files.SUFFIXES)
    return f", which has {naming.few(names, 3, ', ')} but no train, validation or test of {kinds}"
