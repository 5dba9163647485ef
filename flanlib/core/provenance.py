"""Where a number came from: the commit and the versions behind it."""

import platform
import subprocess
from functools import cache
from importlib import metadata
from typing import Any

from flanlib.core import paths

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "numpy")


def stamp() -> dict[str, Any]:
    """Commit and versions, as records carry them."""
    return {"commit": commit(), "versions": versions()}


@cache
def versions() -> dict[str, str]:
    """Versions of Python and the libraries a number depends on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def commit() -> str:
    """The checkout's commit, `-dirty` if flanlib was changed since; else `unknown`."""
    if paths.INSTALLED:
        return "unknown"
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", str(paths.ROOT / "flanlib"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=paths.ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
