"""Checkpoints that a kill, a full disk or a second process cannot spoil.

A checkpoint is written into a staging folder, listed with the SHA-256 of
each file, flushed to the disk, and then renamed: it is there whole or not at
all. The folder stands beside a run's outputs, not inside them, so that a
workflow that clears its outputs does not clear the way back.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from flanlib.core import folders, parts, storage
from flanlib.core.errors import DataError, FlanlibError, RunError
from flanlib.models import manifest

HOLDER = "holder"  # number of the process that holds the lock
PATIENCE_S = 0.2  # for a lock that is about to be let go
TRIES = 50  # where other runs end and take the folder away
KEPT = 2
ADVICE = "delete this folder to go on from the checkpoint before it"


def folder(out: str | Path) -> Path:
    """Where the checkpoints of a run that writes to `out` stand."""
    out = Path(out).absolute() if Path(out).name in ("", "..") else Path(out)
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
        with suppress(OSError):  # it only names this process to others
            storage.write(path / HOLDER, str(os.getpid()))
        yield path
    finally:
        lock.release()


def drop(path: Path) -> None:
    """Take checkpoints away, unless a process holds them."""
    if path.exists():
        with suppress(RunError), locked(path):
            shutil.rmtree(path)


def _lock(path: Path) -> FileLock:
    """The folder's lock, held; the folder is made if need be."""
    lock = FileLock(path / "lock", timeout=PATIENCE_S)
    for _ in range(TRIES):
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            return lock
        except Timeout:
            break
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.exists():
                continue  # a run that ended took its folder away
            raise RunError(f"{path}: cannot be written ({error}); give another --out") from None
    try:
        holder = (path / HOLDER).read_text(encoding="utf-8")
    except (OSError, ValueError):
        holder = "unknown"
    raise RunError(
        f"{path}: process {holder} is tuning into this folder; wait for it, stop it, or give"
        " another --out"
    )


def save(path: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Write one checkpoint; older ones but the last go when it is safe.

    Returns
    -------
    Folder of the new checkpoint, `step-` and seven digits.

    Raises
    ------
    RunError
        If the disk does not take it. What was there before is kept.
    """
    final = path / f"step-{step:07d}"
    whole(final, write)
    for old in _steps(path)[:-KEPT]:
        shutil.rmtree(old)
    return final


def whole(final: Path, write: Callable[[Path], None]) -> None:
    """Write a folder `final`, which is not there or empty, whole or not at all, files listed.

    Raises
    ------
    RunError
        If the disk does not take it.
    """
    try:
        with folders.filling(final) as part:
            write(part)
            listed = manifest.listed(part)
            storage.write(part / manifest.MANIFEST, json.dumps(listed, indent=1) + "\n")
    except FlanlibError:
        raise
    except Exception as error:  # torch and safetensors tell of a disk in ways of their own
        raise RunError(_untaken(final, error)) from error


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Tell in one line of a checkpoint that cannot be read.

    Raises
    ------
    RunError
        For whatever a reader raises.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # torch, pickle and safetensors raise errors of their own
        why = " ".join(f"{type(error).__name__}: {error}".split())[:100]
        raise RunError(f"{path}: is damaged ({why}); {ADVICE}") from None


def latest(path: Path) -> tuple[int, Path] | None:
    """Step and folder of the newest checkpoint, after checking every file.

    Raises
    ------
    RunError
        If a file is missing or is not what was written.
    """
    steps = _steps(path)
    if not steps:
        return None
    manifest.verify(steps[-1], ADVICE)
    return int(steps[-1].name.removeprefix("step-")), steps[-1]


def claim(path: Path, identity: dict[str, str]) -> None:
    """Make a folder of checkpoints one run's, by its `identity`, or see that it is.

    Raises
    ------
    RunError
        If it holds checkpoints of another run, cannot be read, or the disk
        does not take it.
    """
    note = path / "run.json"
    try:
        if note.is_file():
            found = storage.read_json(note, f"delete {path} and tune from the beginning")
            if found != identity:
                raise RunError(
                    f"{path}: checkpoints of another run ({found!r:.300}, not {identity});"
                    " delete the folder, or give another --out"
                )
        storage.write(note, json.dumps(identity))
    except DataError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise RunError(_untaken(note, error)) from error


def _steps(path: Path) -> list[Path]:
    found = (p for p in path.glob("step-*") if re.fullmatch(r"step-[0-9]{7,}", p.name))
    return sorted(p for p in found if p.is_dir())


def _untaken(final: Path, error: Exception) -> str:
    there = next(path for path in (final, *final.parents) if path.exists())
    free = shutil.disk_usage(there).free
    full = getattr(error, "errno", None) in parts.FULL or free < 1 << 22
    why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    what = "the disk is full" if full else why
    return (
        f"{final}: cannot be written ({what}; {free / 2**20:.0f} MiB free); make room, then give"
        " the same command: it goes on from the last checkpoint, which is kept"
    )
