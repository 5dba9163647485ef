"""Files that are written whole or not at all, locks, and JSON that is checked.

Every file that flanlib writes and reads back goes through here. A file is
written under a name of its own beside its place and renamed when it is
complete, so a kill, a full disk or a second process leaves the old one. Links
are followed; a pipe or a device is written into and never replaced. A lock
lies beside what it guards, so that two processes that share nothing but the
folder still wait for each other.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from filelock import FileLock

from flanlib.errors import DataError, ParameterError

LOCK = ".lock"


@contextmanager
def writing(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that is there whole or not at all.

    Parameters
    ----------
    path
        Where it stands in the end. Folders above it are made.
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
    target = _target(path)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with _named(path), target.open(mode, **text) as file:
            yield file
        return
    part = target.with_name(f".{target.name[:200]}.{uuid4().hex[:12]}.part")
    try:
        with _named(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open(mode.replace("w", "x"), **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, part)
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file whole or not at all; see `writing` for what it raises.

    Parameters
    ----------
    path
        Where it stands in the end.
    content
        Text, written as UTF-8, or bytes.
    """
    with writing(path, "w" if isinstance(content, str) else "wb") as file:
        file.write(content)


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the lock of a folder, made if need be; waits for who holds it.

    The system lets go when the process ends, however it ends.

    Parameters
    ----------
    folder
        What is guarded; the lock lies in it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        yield


def read_json(path: str | Path, remedy: str, kind: type = dict) -> Any:
    """The content of a JSON file that flanlib or a library wrote.

    Parameters
    ----------
    path
        File to read.
    remedy
        What to do about a damaged file; ends the message of the error.
    kind
        Type that the content has to have.

    Raises
    ------
    DataError
        Naming the file, if it cannot be read, is not JSON in UTF-8, or is of
        another type.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON in UTF-8 ({error}); {remedy}") from None
    if not isinstance(content, kind):
        found = type(content).__name__
        raise DataError(f"{path}: holds a {found}, not a {kind.__name__}; {remedy}")
    return content


def _target(path: str | Path) -> Path:
    """The file behind a path, links followed."""
    if not Path(path).name or str(path).endswith(os.sep):
        raise ParameterError(f"{str(path)!r} is not the name of a file; give one")
    try:
        target = Path(os.path.realpath(path))
        folder, loop = target.is_dir(), target.is_symlink()
    except (OSError, ValueError) as error:  # a loop of links, a zero byte
        raise ParameterError(f"{str(path)!r} cannot be a file ({error}); give another") from None
    if folder:
        raise ParameterError(f"{path}: is a folder; give the name of a file in it")
    if loop:
        raise ParameterError(f"{path}: is a link that leads round to itself; give another")
    return target


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Let a system error tell the path that the user gave."""
    try:
        yield
    except OSError as error:
        hidden = error.filename is None or ".part" in str(error.filename)
        if hidden and not isinstance(error, BrokenPipeError):
            error.filename = str(path)
        raise
