"""The only place that knows folders.

In a checkout, everything stands in it. An installed package has the catalogues,
templates, registry of models and published numbers with it (`shipped`), writes
into the user's cache, and has no tracked models, records, figures or notebooks.
Each folder can be put elsewhere by an environment variable of its name:
`FLANLIB_CACHE` is where rows and models are kept that were fetched.
"""

import os
import re
from hashlib import sha256
from pathlib import Path

from flanlib.core.errors import ParameterError

PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = PACKAGE / "shipped"
INSTALLED = SHIPPED.is_dir() and not os.environ.get("FLANLIB_ROOT")

ROOT: Path
DATA: Path
BUILD: Path
MODELS: Path
RESULTS: Path
PUBLISHED: Path
BENCHMARKS: Path
FIGURES: Path
NOTEBOOKS: Path
RUNS: Path
CACHE: Path
REPORT: Path

# Folder -> the one it stands in, and its name there.
PLACES = {
    "MODELS": ("DATA", "models"),
    "RESULTS": ("BUILD" if INSTALLED else "DATA", "results"),
    "PUBLISHED": ("DATA", "published"),
    "BENCHMARKS": ("DATA", "benchmarks"),
    "FIGURES": ("ROOT", "figures"),
    "NOTEBOOKS": ("ROOT", "notebooks"),
    "RUNS": ("BUILD", "runs"),
    "CACHE": ("BUILD", "cache"),
    "REPORT": ("BUILD", "report"),
}
SETTABLE = ("ROOT", "DATA", "BUILD", *PLACES)


def folder(name: str) -> Path:
    """A folder, as the environment has it at the moment; `paths.CACHE` is `folder("CACHE")`.

    Parameters
    ----------
    name
        One of `SETTABLE`. The environment variable of that name with FLANLIB_ in
        front says where it is; else it stands in the folder above it.
    """
    if given := os.environ.get(f"FLANLIB_{name}"):
        return Path(given)
    if name in PLACES:
        above, last = PLACES[name]
        return folder(above) / last
    if name == "ROOT":
        return PACKAGE.parent
    if INSTALLED:
        return SHIPPED if name == "DATA" else Path.home() / ".cache" / "flanlib"
    return folder("ROOT") / name.lower()


def __getattr__(name: str) -> Path:
    if name in SETTABLE:
        return folder(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def collection(name: str | Path) -> Path:
    """Folder of a collection: a path (it has a `/`), or a name below data/."""
    return Path(name) if os.sep in str(name) else folder("DATA") / name


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
    if not folder("DATA").is_dir():
        raise ParameterError(
            f"FLANLIB_ROOT: {folder('ROOT')} has no folder data/; set it to a checkout of flanlib"
        )
    for name in SETTABLE:
        if not os.environ.get(f"FLANLIB_{name}"):
            continue
        at = folder(name)
        there = next(one for one in (at, *at.absolute().parents) if one.exists())
        if not there.is_dir():
            raise ParameterError(
                f"FLANLIB_{name}: {there} is no folder; set it to one, or unset it"
            )


def label(name: str | Path) -> str:
    """What folders of a collection's own are called: its records, its rows.

    A collection below data/ keeps its name. Any other may share its name with
    another folder, so that eight hex digits of its path stand behind it. `name` is
    as a user says it, or the folder as a `Path`, which may be relative.
    """
    root = name if isinstance(name, Path) else collection(name)
    absolute = Path(os.path.abspath(root))
    data = folder("DATA")
    own = data / absolute.name
    if absolute.parent == Path(os.path.abspath(data)) or (
        own.is_dir() and root.is_dir() and own.samefile(root)
    ):
        return absolute.name
    resolved = os.path.realpath(root)
    plain = re.sub(r"[^\w-]+", "-", absolute.name)[:60].strip("-") or "collection"
    return f"{plain}-{sha256(os.fsencode(resolved)).hexdigest()[:8]}"
