"""Rows in files: JSON lines, plain or gzipped, and Parquet, one at a time."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flanlib.errors import DataError

SPLITS = ("train", "validation", "test")
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
BATCH = 1_024


def splits(folder: Path) -> dict[str, Path]:
    """Split name -> its file, of those a folder has.

    Raises
    ------
    DataError
        If a split stands there in two formats.
    """
    found: dict[str, Path] = {}
    for name in SPLITS:
        paths = [p for suffix in SUFFIXES if (p := folder / f"{name}{suffix}").is_file()]
        if len(paths) > 1:
            names = ", ".join(p.name for p in paths)
            raise DataError(f"{folder}: the {name} split stands there twice: {names}; keep one")
        if paths:
            found[name] = paths[0]
    return found


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file, in order, without holding them.

    Raises
    ------
    DataError
        Naming file and line when a row is not a JSON object, the file is
        damaged, or it is empty.
    """
    empty = True
    for row in _parquet(path) if path.suffix == ".parquet" else _lines(path):
        empty = False
        yield row
    if empty:
        raise DataError(f"{path}: no rows; give it rows or remove it")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    line = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                row = json.loads(text.decode())
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{line}: a {type(row).__name__}, not a JSON object")
                yield row
    except ValueError as error:
        raise DataError(f"{path}:{line}: not JSON in UTF-8: {error}") from None
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise DataError(f"{path}: cannot be read after line {line}: {error}") from None


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=BATCH):
            yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not readable as Parquet: {error}") from None


def class_names(path: Path) -> dict[str, list[str]]:
    """Class names of a Parquet file's label columns, where it has any.

    The `datasets` library writes them into the schema. They are what a label
    means; its number is not the same in every copy of a dataset.

    Raises
    ------
    DataError
        If the file cannot be read as Parquet.
    """
    if path.suffix != ".parquet":
        return {}
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not readable as Parquet: {error}") from None
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
