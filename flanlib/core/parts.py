"""Names for what is being written, and errors of the disk that name the user's path.

What is written gets a name beside its place first. What a killed process left
under such a name is deleted by the next one that writes to the same place.
"""

import errno
import hashlib
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from flanlib.core.errors import FlanlibError, ParameterError

MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
PART = re.compile(r"\.(.+)\.([0-9a-f]{6})-(\d+)-[0-9a-f]{12}\.(part|old)", re.S)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How libraries that do not raise OSError tell of a full disk.
FULL_WORDS = re.compile(r"No space left|File too large|[Qq]uota exceeded|inline_container")


def real(path: str | Path) -> tuple[Path, bool]:
    """A path with links followed, and whether it is a folder that is there.

    Raises
    ------
    ParameterError
        If there can be nothing of that name.
    """
    try:
        target = Path(os.path.realpath(path))
        is_folder, loop = target.is_dir(), target.is_symlink()
    except (OSError, ValueError) as error:  # too long a name, a zero byte
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"{str(path)!r} cannot be written ({why}); give another") from None
    if loop:
        raise ParameterError(f"{path}: is a link that leads round to itself; give another")
    return target, is_folder


def beside(target: Path, kind: str) -> Path:
    """A new name beside a place.

    It holds the number of this process and a mark of its machine, so that what
    a killed process left can be told from what another is writing.

    Parameters
    ----------
    target
        Where the file or folder stands in the end.
    kind
        `part` for what is being written, `old` for what is being replaced.
    """
    name = f"{MACHINE}-{os.getpid()}-{uuid4().hex[:12]}.{kind}"
    return target.with_name(f".{_short(target)}.{name}")


def sweep(target: Path, kind: str) -> None:
    """Delete what processes that ended left beside a `target`, by names of `beside`."""
    with suppress(OSError):
        for path in target.parent.glob(f".*.{kind}"):
            found = PART.fullmatch(path.name)
            ours = found and found[1] == _short(target) and found[2] == MACHINE
            if ours and _ended(int(found[3])):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _short(target: Path) -> str:
    """The name of a place, short enough to add to."""
    return os.fsdecode(os.fsencode(target.name)[:200])


def _ended(process: int) -> bool:
    """Whether this machine has no such process any more."""
    if os.name == "nt":  # there, signal 0 is not a question
        return False
    try:
        os.kill(process, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, ProcessLookupError)
    return False


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of the disk tell the path that the user gave.

    Raises
    ------
    OSError
        For a full disk also where a library raises an error of its own.
    """
    try:
        yield
    except Exception as error:
        name(error, path)
        raise


def name(error: Exception, path: str | Path) -> None:
    """Give an `error` of the disk the path that the user knows; see `naming`."""
    if isinstance(error, OSError):
        own = any(map(PART.fullmatch, Path(str(error.filename)).parts))
        if own or (error.filename is None and error.errno in (*FULL, errno.EIO, errno.EROFS)):
            error.filename = str(path)
    elif not isinstance(error, FlanlibError) and FULL_WORDS.search(str(error)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
