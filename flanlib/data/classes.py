"""Class names that a Parquet file has of its own, and what its labels mean by them.

The `datasets` library writes a label column's class names into the schema.
They are what a label means; its number is not the same in every copy of a
dataset.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flanlib.core import naming
from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task
from flanlib.data.cells import label_of, whole

KEY = b"huggingface"


@dataclass(frozen=True)
class Classes:
    """What the numbers of a label column stand for.

    Attributes
    ----------
    column
        Its name in the file, or its path such as `meta.label`; empty where the
        file names no classes.
    names
        As the file has them, in the order of the numbers.
    labels
        What each is for the task: a text or number that `gold_index` knows.
    note
        Set where the order of the options is taken on trust: one line.
    """

    column: str = ""
    names: tuple[str, ...] = ()
    labels: tuple[str | int, ...] = ()
    note: str = ""

    def put(self, row: dict[str, Any]) -> None:
        """Replace a row's number by what it stands for; -1 and null, which are no label, stay.

        Raises
        ------
        DataError
            If the file names no class of that number.
        """
        *above, last = self.column.split(".")
        for name in above:
            row = row.get(name)
            if not isinstance(row, dict):
                return  # said by who reads the row
        number = whole(label_of(row.get(last)))
        if number is None:
            return
        if not 0 <= number < len(self.names):
            raise DataError(
                f"column {self.column!r}: label {number}, but the file names {len(self.names)}"
                f" classes ({_shown(self.names)})"
            )
        row[last] = self.labels[number]


def of_file(task: Task, path: Path) -> Classes:
    """The classes of a task's label column in a file.

    Raises
    ------
    DataError
        If the metadata are damaged, or the classes are not those that the
        catalogue names.
    """
    if path.suffix != ".parquet" or "label" not in task.columns:
        return Classes()
    found = class_names(path)
    for column in task.columns["label"].split("|"):
        if names := found.get(column):
            return _meant(task, path, column, tuple(names))
    return Classes()


def class_names(path: Path) -> dict[str, list[str]]:
    """Class names of a Parquet file's label columns, and of those within records.

    Raises
    ------
    DataError
        If the file cannot be read as Parquet, or its metadata are damaged.
    """
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        what = naming.shortened(" ".join(str(error).split()))
        raise DataError(f"{path}: not readable as Parquet: {what}") from None
    try:
        content = json.loads(metadata.get(KEY, b"{}").decode())
        features = content.get("info", {}).get("features", {})
        classes = dict(_labels(features))
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: its metadata {KEY.decode()!r} are not what `datasets` writes"
            f" ({naming.shortened(str(error))}); write the file again"
        ) from None
    for column, names in classes.items():
        texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not texts or len(set(names)) < len(names):
            raise DataError(
                f"{path}: column {column!r}: class names in its metadata are"
                f" {naming.shown(names)}; distinct texts are wanted"
            )
    return classes


def _labels(features: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Path of each label column -> its class names, as the metadata have them."""
    for name, feature in features.items():
        if not isinstance(feature, dict):
            continue
        if feature.get("_type") == "ClassLabel":
            yield f"{above}{name}", feature.get("names") or []
        elif "_type" not in feature:  # of a record
            yield from _labels(feature, f"{above}{name}.")


def _meant(task: Task, path: Path, column: str, names: tuple[str, ...]) -> Classes:
    """Classes by the first list of words that they are another order of."""
    settings, options = task.columns, task.options
    first = settings.get("first", 0)
    positions = range(first, first + len(names))

    def are(labels: Sequence[str | int], note: str = "") -> Classes:
        return Classes(column, names, tuple(labels), note)

    if "keys" in settings:
        return are(names)
    mapped = {_word(label): label for label in settings.get("map", ())}
    if any(_word(name) in mapped for name in names):
        return are([mapped.get(_word(name), name) for name in names])
    if wanted := settings.get("names"):
        if (order := _order(names, wanted)) is None:
            raise DataError(
                f"{path}: column {column!r} has classes {_shown(names)}; task {task.key}"
                f" knows {_shown(wanted)}"
            )
        return are([wanted[i] for i in order])
    if (order := _order(names, options)) is not None:
        return are([options[i] for i in order])
    own = settings.get("options") if not options else ()
    if not isinstance(own, str) and (order := _order(names, own)) is not None:
        return are([first + i for i in order])
    if sorted(names) == sorted(map(str, positions)):
        return are(list(map(int, names)))
    if moved := _moved(names, options):
        raise DataError(
            f"{path}: column {column!r} has classes {_shown(names)}, task {task.key} the options"
            f" {_shown(options)}: {moved!r} is in both, at another place; say which is which with"
            " `names` in the columns of the catalogue"
        )
    there = f"the options {_shown(options)}" if options else "each row's options"
    if mapped:
        there = f"the labels {_shown(list(map(str, positions)))}"
    return are(
        positions if mapped or not options else options + tuple(positions[len(options) :]),
        f"{path}: column {column!r} has classes {_shown(names)}; they are taken for {there} of"
        f" task {task.key}, in this order, on trust",
    )


def _order(names: Sequence[str], known: Sequence[str]) -> list[int] | None:
    """Places of names among known words; None unless they are the same words."""
    words, there = list(map(_word, names)), list(map(_word, known))
    if sorted(words) != sorted(there) or len(set(words)) < len(words):
        return None
    return [there.index(word) for word in words]


def _moved(names: Sequence[str], options: Sequence[str]) -> str:
    """A class that is an option, but of another number."""
    there = list(map(_word, options))
    for i, name in enumerate(names):
        if _word(name) in there and there.index(_word(name)) != i:
            return name
    return ""


def _word(name: str) -> str:
    """A name without what copies of a dataset write differently."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _shown(names: Sequence[str]) -> str:
    return naming.few((name[:40] for name in names), 8, ", ")
