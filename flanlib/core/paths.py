"""The only place that knows folders.

In a checkout, everything stands in it. An installed package has the catalogues,
templates, registry of models and published numbers with it (`shipped`), writes
into the user's cache, and has no tracked models, records, figures or notebooks.
"""

import os
import re
from hashlib import sha256
from pathlib import Path

from flanlib.core.errors import ParameterError

PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = PACKAGE / "shipped"
ROOT = Path(os.environ.get("FLANLIB_ROOT") or PACKAGE.parent)
INSTALLED = SHIPPED.is_dir() and not os.environ.get("FLANLIB_ROOT")
DATA = SHIPPED if INSTALLED else ROOT / "data"
CHANGING = Path.home() / ".cache" / "flanlib" if INSTALLED else ROOT / "build"
BUILD = Path(os.environ.get("FLANLIB_BUILD") or CHANGING)
MODELS = DATA / "models"
RESULTS = (BUILD if INSTALLED else DATA) / "results"
PUBLISHED = DATA / "published"
BENCHMARKS = DATA / "benchmarks"
FIGURES = ROOT / "figures"
NOTEBOOKS = ROOT / "notebooks"
RUNS = BUILD / "runs"
CACHE = BUILD / "cache"
REPORT = BUILD / "report"


def collection(name: str | Path) -> Path:
    """Folder of a collection: a path (it has a `/`), or a name below data/."""
    return Path(name) if os.sep in str(name) else DATA / name


def elsewhere() -> str:
    """The end of a message about what is tracked and not here: where to get it."""
    if not INSTALLED:
        return ""
    return "; it comes with a checkout of flanlib: clone the repository and set FLANLIB_ROOT to it"


def check() -> None:
    """Make sure that the folders a user can set are what they have to be.

    Raises
    ------
    ParameterError
        Naming the environment variable, its value, and what is wanted.
    """
    if not DATA.is_dir():
        raise ParameterError(
            f"FLANLIB_ROOT: {ROOT} has no folder data/; set it to a checkout of flanlib"
        )
    there = next(folder for folder in (BUILD, *BUILD.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ParameterError(f"FLANLIB_BUILD: {there} is no folder; set it to one, or unset it")


def label(name: str | Path) -> str:
    """What folders of a collection's own are called: its records, its rows.

    A collection below data/ keeps its name. Any other may share its name with
    another folder, so that eight hex digits of its path stand behind it.

    Parameters
    ----------
    name
        As a user names it, or its folder as a `Path`, which may be relative.
    """
    root = name if isinstance(name, Path) else collection(name)
    absolute = Path(os.path.abspath(root))
    own = DATA / absolute.name
    if absolute.parent == Path(os.path.abspath(DATA)) or (
        own.is_dir() and root.is_dir() and own.samefile(root)
    ):
        return absolute.name
    resolved = os.path.realpath(root)
    plain = re.sub(r"[^\w-]+", "-", absolute.name)[:60].strip("-") or "collection"
    return f"{plain}-{sha256(os.fsencode(resolved)).hexdigest()[:8]}"
