"""Folders to write into: some are filled file by file, some are whole or absent.

A folder that is whole or absent is filled under a name of its own beside its
place and renamed when it is complete. It takes the place of an earlier one only
if that holds nothing that the caller does not own.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from flanlib.core import parts
from flanlib.core.errors import DataError, ParameterError

TRIES = 50  # to put a folder where other processes put one as well
Owned = Callable[[Path], Container[str]]


def make(folder: str | Path) -> Path:
    """Make a folder that is filled file by file; one that is there is kept.

    Folders above it are made, links are followed.

    Returns
    -------
    The path that was given.

    Raises
    ------
    ParameterError
        If something else than a folder stands there.
    OSError
        If it cannot be made.
    """
    _place(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@contextmanager
def filling(folder: str | Path, owned: Owned = lambda folder: ()) -> Iterator[Path]:
    """Fill a folder that is there whole or not at all; for `owned` see `vacant`.

    Yields
    ------
    A folder beside it, to write into.

    Raises
    ------
    ParameterError
        See `vacant`.
    OSError
        If the disk does not take it; its `filename` is the path that was given,
        and what stood there before is kept.
    """
    target = vacant(folder, owned)
    part = parts.beside(target, "part")
    try:
        with parts.naming(folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            parts.sweep(target, "part")
            part.mkdir()
            yield part
            if target.exists():
                shutil.copymode(target, part)
            for file in (*part.rglob("*"), part):
                _flush(file)
            vacant(folder, owned)  # it may have been filled meanwhile
            _replace(part, target)
            _flush(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def vacant(folder: str | Path, owned: Owned = lambda folder: ()) -> Path:
    """Where a folder that is whole or absent really stands, links followed.

    Parameters
    ----------
    owned
        Takes the folder that is there, and gives the paths in it of files that
        may be replaced. Without it, the folder has to be empty.

    Raises
    ------
    ParameterError
        If no folder can be put there, or the one that is there holds a file
        that may not be replaced.
    """
    target = _place(folder)
    if os.path.ismount(target):
        raise ParameterError(f"{folder}: is where a disk is mounted; give a folder in it")
    if target in (here := Path.cwd(), *here.parents):
        raise ParameterError(f"{folder}: is the folder you are in, or above it; give another")
    mine = owned(target)
    for name in files(target):
        if name not in mine:
            raise ParameterError(
                f"{folder}: holds {name}, which was not written by this command; give another"
                " folder, or delete this one"
            )
    return target


def files(folder: Path) -> list[str]:
    """Paths in a folder of all that is no folder, sorted; none if it is not there."""
    return sorted(
        (Path(root) / name).relative_to(folder).as_posix()
        for root, inner, names in os.walk(folder)
        for name in (*names, *(n for n in inner if os.path.islink(Path(root) / n)))
    )


def new_text(path: Path, text: str) -> None:
    """Write a file in a folder that is being filled.

    Raises
    ------
    DataError
        If the folder has a file of that name already.
    """
    with _new(path) as file:
        file.write(text)


def new_lines(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write `lines` of JSON in a folder that is being filled; see `new_text`."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with _new(path) as file:
        file.writelines(encode(line) + "\n" for line in lines)


def _new(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("x", encoding="utf-8", newline="\n")
    except FileExistsError:
        raise DataError(
            f"{path.name}: would be written twice; give task, cluster or template another name"
        ) from None


def _place(path: str | Path) -> Path:
    """The folder behind a path, links followed; it need not be there."""
    if not str(path):
        raise ParameterError("'' is not the name of a folder; give one")
    target, is_folder = parts.real(path)
    if target == target.parent:
        raise ParameterError(f"{path}: is the root of the file system; give a folder in it")
    if target.exists() and not is_folder:
        raise ParameterError(f"{path}: is not a folder; give the name of one")
    return target


def _replace(part: Path, target: Path) -> None:
    """Put a folder where another may stand, which then goes."""
    old = parts.beside(target, "old")
    for left in reversed(range(TRIES)):
        with suppress(FileNotFoundError):
            os.replace(target, old)
        try:
            os.replace(part, target)
            break
        except OSError as error:
            if left and error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another was faster
                shutil.rmtree(old, ignore_errors=True)
                continue
            with suppress(OSError):
                os.replace(old, target)
            raise
    shutil.rmtree(old, ignore_errors=True)
    parts.sweep(target, "old")


def _flush(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # where a folder cannot be opened
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
