"""Files that are written whole or not at all, locks, and JSON that is checked.

Every file that flanlib writes and reads back goes through here; folders that
are whole or absent are in `folders`. A file is written under a name of its own
beside its place and renamed when it is complete, so a kill, a full disk or a
second process leaves the old one. Links are followed; a pipe or a device is
written into and never replaced. A lock lies beside what it guards, so that two
processes that share nothing but the folder still wait for each other.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from flanlib.core import parts
from flanlib.core.errors import DataError, ParameterError

LOCK = ".lock"
CONFLICT = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")


@contextmanager
def together() -> Iterator[Callable[..., IO[Any]]]:
    """Open files that come into their places together, once all are complete.

    Yields
    ------
    A function that takes a path and a mode, as `writing` does, and gives the
    open file.

    Raises
    ------
    ParameterError, OSError
        As `writing` does; then none of the files is changed.
    """
    files: list[_File] = []

    def new(path: str | Path, mode: str = "w") -> IO[Any]:
        with parts.naming(path):
            files.append(_File(path, mode))
            return files[-1].open()

    try:
        try:
            yield new
        except Exception as error:
            if files:
                parts.name(error, files[-1].path)
            raise
        for step in (_File.complete, _File.place):
            for file in files:
                with parts.naming(file.path):
                    step(file)
    finally:
        for file in files:
            file.drop()


@contextmanager
def writing(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that is there whole or not at all; folders above it are made.

    Parameters
    ----------
    mode
        `w` for text in UTF-8 with line feeds, `wb` for bytes.

    Raises
    ------
    ParameterError
        If the path is a folder or has no file name.
    OSError
        If the disk does not take it; its `filename` is the path that was given,
        and what stood there before is kept.
    """
    with together() as new:
        yield new(path, mode)


def write(path: str | Path, content: str | bytes) -> None:
    """Write text, as UTF-8, or bytes (`content`) as a whole or not at all; see `writing`."""
    with writing(path, "w" if isinstance(content, str) else "wb") as file:
        file.write(content)


def special(path: str | Path) -> bool:
    """Whether a path is a pipe, a device, or an open file of a process.

    It is written into; nothing is put in its place or beside it.
    """
    try:
        mode, where = os.stat(path).st_mode, os.path.realpath(Path(path).parent)
    except (OSError, ValueError):
        return False
    if stat.S_ISREG(mode):
        return where == "/dev" or where.startswith("/proc/")
    return not stat.S_ISDIR(mode)


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the lock that lies in a folder, made if need be; waits for who holds it.

    The system lets go when the process ends, however it ends.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        yield


def read_json(path: str | Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file that flanlib or a library wrote.

    Raises
    ------
    DataError
        Naming the file and the `remedy`, if it cannot be read, is not JSON in UTF-8,
        or is no object.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON in UTF-8 ({error}); {remedy}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not a dict; {remedy}")
    return content


class _File:
    """One file on its way to its place."""

    def __init__(self, path: str | Path, mode: str) -> None:
        self.path, self.mode, self.special = path, mode, special(path)
        self.target = Path(path) if self.special else _target(path)
        self.part: Path | None = None
        self.file: IO[Any] | None = None

    def open(self) -> IO[Any]:
        text: dict[str, Any] = {} if "b" in self.mode else {"encoding": "utf-8", "newline": "\n"}
        if self.special:
            # To an output that the shell sent into a file, lines are added as by a pipe.
            to_file = stat.S_ISREG(self.target.stat().st_mode)
            self.file = self.target.open(self.mode.replace("w", "a" if to_file else "w"), **text)
            return self.file
        if self.target.exists() and not os.access(self.target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))
        self.target.parent.mkdir(parents=True, exist_ok=True)
        parts.sweep(self.target, "part")
        self.part = parts.beside(self.target, "part")
        self.file = self.part.open(self.mode.replace("w", "x"), **text)
        return self.file

    def complete(self) -> None:
        if not self.file.closed:
            self.file.flush()
            if self.part:
                os.fsync(self.file.fileno())
            self.file.close()

    def place(self) -> None:
        if self.part:
            if self.target.exists():
                shutil.copymode(self.target, self.part)
            os.replace(self.part, self.target)

    def drop(self) -> None:
        if self.file:
            with suppress(OSError):  # a full disk, told already
                self.file.close()
        if self.part:
            self.part.unlink(missing_ok=True)


def read_lines(path: str | Path, kind: TypeAdapter, remedy: str) -> Iterator[tuple[int, Any]]:
    """Lines of JSON as what they have to be, each with its number, from 1.

    Raises
    ------
    DataError
        Naming file, line, field and the `remedy` of a line that is something else,
        is not UTF-8, or is a mark that a merge has left.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith(CONFLICT):
            problem = "a mark that a merge with conflicts has left"
            raise DataError(f"{path}, line {number}: {problem}; {remedy}")
        try:
            line.decode("utf-8")
            found = kind.validate_json(line)
        except UnicodeDecodeError as error:
            problem = f"not UTF-8 ({error.reason} at byte {error.start + 1})"
            raise DataError(f"{path}, line {number}: {problem}; {remedy}") from None
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "line"
            problem = shorten(f"{where}: {first['msg']}", 300)
            raise DataError(f"{path}, line {number}: {problem}; {remedy}") from None
        yield number, found


def _target(path: str | Path) -> Path:
    """The file behind a path, links followed."""
    if not Path(path).name or str(path).endswith(os.sep):
        raise ParameterError(f"{str(path)!r} is not the name of a file; give one")
    target, is_folder = parts.real(path)
    if is_folder:
        raise ParameterError(f"{path}: is a folder; give the name of a file in it")
    return target
