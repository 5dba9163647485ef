"""Rows in files: JSON lines, plain or gzipped, and Parquet, one at a time."""

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flanlib.core import naming
from flanlib.core.errors import DataError
from flanlib.data.cells import Unreadable

if TYPE_CHECKING:
    import pyarrow

SPLITS = ("train", "validation", "test", "dev", "eval")
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
BATCH = 1_024
LONGEST_LINE = 2**26  # bytes
DEEPEST = 100
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_OTHERWISE = {
    b"\x1f\x8b": "compressed with gzip; name it .jsonl.gz",
    b"PAR1": "Parquet; name it .parquet",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}

Found = dict[str, Any] | DataError


def splits(folder: Path) -> dict[str, Path]:
    """Split name -> its file, of those a folder has.

    Raises
    ------
    DataError
        If a split stands there in two formats, or is no regular file.
    """
    found: dict[str, Path] = {}
    for name in SPLITS:
        paths = [p for s in SUFFIXES if os.path.lexists(p := folder / f"{name}{s}")]
        if len(paths) > 1:
            names = ", ".join(p.name for p in paths)
            raise DataError(f"{folder}: the {name} split stands there twice: {names}; keep one")
        if paths:
            found[name] = regular(paths[0])
    return found


def regular(path: Path) -> Path:
    """The path of something, if it is a regular file, so that reading it comes to an end.

    Raises
    ------
    DataError
        Saying what stands there instead.
    """
    try:
        if path.is_file():
            return path
        what = "a folder" if path.is_dir() else "a pipe or a device"
        what = what if path.exists() else "a link that leads nowhere"
    except OSError as error:
        what = f"not to be reached ({error.strerror})"
    raise DataError(f"{path}: is {what}; put a file with rows there")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file, in order, without holding them.

    Raises
    ------
    DataError
        Naming file and line when a row is not a JSON object, the file is
        damaged, or it is empty.
    """
    for _, row in numbered(path):
        if isinstance(row, DataError):
            raise row
        yield row


def numbered(path: Path) -> Iterator[tuple[str, Found]]:
    """Rows of a file with their places; a row that cannot be read is its error.

    Yields
    ------
    tuple
        `train.jsonl:12` or `train.parquet, row 11`, and the row.

    Raises
    ------
    DataError
        When nothing further can be read, or the file is empty.
    """
    empty = True
    for found in _parquet(path) if path.suffix == ".parquet" else objects(path):
        empty = False
        yield found
    if empty:
        raise DataError(f"{path}: no rows; give it rows or remove it")


def objects(path: Path) -> Iterator[tuple[str, Found]]:
    """JSON objects of a file in UTF-8, one a line, with their places.

    Blank lines and a byte-order mark are passed over; a file that ends in `.gz` is
    decompressed.

    Yields
    ------
    tuple
        `train.jsonl:12`, and the object, or what is wrong with the line.

    Raises
    ------
    DataError
        When nothing further can be read.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while text := file.readline(LONGEST_LINE + 1):
                number += 1
                if number == 1:
                    text = _begun(path, text)
                if len(text) > LONGEST_LINE:
                    limit = LONGEST_LINE // 2**20
                    raise DataError(
                        f"{path}:{number}: a line of more than {limit} MiB; is it JSON?"
                    )
                if not text.isspace() and text:
                    place = f"{path}:{number}"
                    yield place, _object(place, text)
    except (EOFError, OSError, zlib.error) as error:
        why = f"{error}; get the whole file again"
        raise DataError(f"{path}: cannot be read after line {number}: {why}") from None


def _begun(path: Path, text: bytes) -> bytes:
    """The first line without a byte-order mark; `DataError` if it is of another format."""
    for mark, what in _OTHERWISE.items():
        if text.startswith(mark):
            raise DataError(f"{path}: not JSON lines but {what}")
    return text.removeprefix(b"\xef\xbb\xbf")


class _Twice(Exception):
    """A key that stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once).decode


def _object(place: str, text: bytes) -> Found:
    """A line's JSON object, or what is wrong with it."""
    try:
        row = _decode(text.decode().strip())
        if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(row) > DEEPEST:
            raise RecursionError
    except _Twice as error:
        return DataError(f"{place}: key {naming.shown(str(error))} stands twice; keep one")
    except RecursionError:
        return DataError(f"{place}: not JSON in UTF-8: nested deeper than {DEEPEST} levels")
    except ValueError as error:
        what = str(error).partition("; use")[0]
        return DataError(f"{place}: not JSON in UTF-8: {naming.shortened(what)}")
    if not isinstance(row, dict):
        what = "; write one object a line, without [ ] around them" if isinstance(row, list) else ""
        return DataError(f"{place}: a {type(row).__name__}, not a JSON object{what}")
    if b"\\u" in text and _HALF.search(text):
        for name, value in row.items():
            if half := _half(name) or _half(json.dumps(value, ensure_ascii=False)):
                return DataError(
                    f"{place}: column {naming.shown(name)}: {half} is half of a character (a lone"
                    " surrogate), which UTF-8 cannot hold; write the whole one, or \\ufffd"
                )
    return row


def _depth(value: object) -> int:
    level, n = [value], 0
    while level:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        n += 1
    return n - 1


def _half(text: str) -> str:
    """The first lone surrogate of a text, as JSON writes it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(text[error.start]):04x}"
    return ""


def _parquet(path: Path) -> Iterator[tuple[str, Found]]:
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := [name for name in names if names.count(name) > 1]:
                raise DataError(f"{path}: column {naming.shown(twice[0])} stands twice; keep one")
            for batch in file.iter_batches(batch_size=BATCH):
                for row in _rows(batch):
                    yield f"{path}, row {number}", row
                    number += 1
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        what = naming.shortened(" ".join(str(error).split()))
        raise DataError(f"{path}: not readable as Parquet after row {number}: {what}") from None


def _rows(batch: "pyarrow.RecordBatch") -> list[dict[str, Any]]:
    """A batch's rows; what Python cannot hold is `Unreadable`."""
    try:
        return batch.to_pylist()
    except Exception:  # whatever a conversion may raise; looked at cell by cell
        columns = {name: list(map(_cell, batch.column(name))) for name in batch.schema.names}
        return [{name: cells[i] for name, cells in columns.items()} for i in range(len(batch))]


def _cell(scalar: "pyarrow.Scalar") -> object:
    try:
        return scalar.as_py()
    except Exception as error:  # as above
        said = " ".join(str(error).split())[:120]
        return Unreadable(f"an unreadable {scalar.type} ({said})")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
