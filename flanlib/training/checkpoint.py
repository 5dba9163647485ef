"""Checkpoints that a kill, a full disk or a second process cannot spoil.

A checkpoint is written into a staging folder, listed with the SHA-256 of
each file, flushed to the disk, and then renamed: it is there whole or not at
all. The folder stands beside a run's outputs, not inside them, so that a
workflow that clears its outputs does not clear the way back.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from flanlib.errors import RunError

MANIFEST = "manifest.json"
STAGING = "writing"
KEPT = 2


def folder(out: str | Path) -> Path:
    """Where the checkpoints of a run that writes to `out` stand."""
    out = Path(out)
    return out.with_name(out.name + ".checkpoints")


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Hold a checkpoint folder; the system lets go when the process ends.

    Raises
    ------
    RunError
        If another process holds it, naming that process.
    """
    lock = _lock(path)
    try:
        yield path
    finally:
        lock.close()


def drop(path: Path) -> None:
    """Take checkpoints away, unless a process holds them."""
    if path.exists():
        with suppress(RunError), locked(path):
            shutil.rmtree(path)


def _lock(path: Path) -> TextIO:
    """The folder's lock file, held, with this process's number in it."""
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error}); give another --out") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise RunError(
                f"{path}: process {holder} is tuning into this folder; wait for it, stop it,"
                " or give another --out"
            ) from None
        # A run that ends takes its folder away; then the file held is no longer the one there.
        if _there(path / "lock", lock):
            lock.truncate(0)
            lock.write(f"{os.getpid()}")
            lock.flush()
            return lock
        lock.close()


def _there(file: Path, opened: TextIO) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False


def save(path: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Write one checkpoint; older ones but the last go when it is safe.

    Parameters
    ----------
    path
        Folder of the run's checkpoints.

    Returns
    -------
    Folder of the new checkpoint, `step-` and seven digits.

    Raises
    ------
    RunError
        If the disk does not take it. What was there before is kept.
    """
    final = path / f"step-{step:07d}"
    whole(path / STAGING, final, write)
    for old in _steps(path)[:-KEPT]:
        shutil.rmtree(old)
    return final


def whole(staging: Path, final: Path, write: Callable[[Path], None]) -> None:
    """Fill a staging folder, list and flush its files, then rename it.

    Parameters
    ----------
    staging
        Folder filled first; what an earlier attempt left there is deleted.
    final
        Where it stands in the end, on the same file system.

    Raises
    ------
    RunError
        If the disk does not take it.
    """
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        write(staging)
        files = sorted(p for p in staging.rglob("*") if p.is_file())
        listed = {str(p.relative_to(staging)): _digest(p) for p in files}
        (staging / MANIFEST).write_text(json.dumps(listed, indent=1) + "\n")
        for file in (*files, staging / MANIFEST, staging):
            _flush(file)
        os.replace(staging, final)
        _flush(final.parent)
    except Exception as error:  # torch and safetensors tell of a full disk in ways of their own
        shutil.rmtree(staging, ignore_errors=True)
        raise RunError(_untaken(final, error)) from error


def latest(path: Path) -> tuple[int, Path] | None:
    """Step and folder of the newest checkpoint, after checking every file.

    Raises
    ------
    RunError
        If a file is missing or is not what was written.
    """
    shutil.rmtree(path / STAGING, ignore_errors=True)
    steps = _steps(path)
    if not steps:
        return None
    verify(steps[-1], "delete this folder to go on from the checkpoint before it")
    return int(steps[-1].name.removeprefix("step-")), steps[-1]


def verify(path: Path, advice: str) -> None:
    """Compare a folder's files with its manifest.

    Parameters
    ----------
    path
        Folder with a manifest.
    advice
        What to do about it; ends the message of the error.

    Raises
    ------
    RunError
        Naming the first file that differs.
    """
    try:
        listed = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path / MANIFEST}: cannot be read ({error}); {advice}") from None
    for name, digest in listed.items():
        file = path / name
        if not file.is_file():
            raise RunError(f"{file}: is missing; {advice}")
        if (found := _digest(file)) != digest:
            raise RunError(
                f"{file}: is damaged (SHA-256 {found[:12]}, written as {digest[:12]}); {advice}"
            )


def note(file: Path, text: str) -> None:
    """Write a small `file` whole or not at all.

    Raises
    ------
    RunError
        If the disk does not take it.
    """
    beside = file.with_name(file.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        _flush(beside)
        os.replace(beside, file)
    except OSError as error:
        raise RunError(_untaken(file, error)) from error


def _steps(path: Path) -> list[Path]:
    return sorted(p for p in path.glob("step-*") if p.is_dir())


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _untaken(final: Path, error: Exception) -> str:
    free = shutil.disk_usage(_existing(final)).free
    why = " ".join(str(error).split())[:200]
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "the disk is full" if full or free < 1 << 22 else f"{type(error).__name__}: {why}"
    return (
        f"{final}: cannot be written ({what}; {free / 2**20:.0f} MiB free); make room, then give"
        " the same command: it goes on from the last checkpoint, which is kept"
    )


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())
