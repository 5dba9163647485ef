"""The only place that knows folders."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent
ROOT = Path(os.environ.get("FLANLIB_ROOT", Path(__file__).resolve().parents[1]))
DATA = ROOT / "data"
MODELS = DATA / "models"
RESULTS = DATA / "results"
PUBLISHED = DATA / "published"
BENCHMARKS = DATA / "benchmarks"
FIGURES = ROOT / "figures"
NOTEBOOKS = ROOT / "notebooks"
BUILD = Path(os.environ.get("FLANLIB_BUILD", ROOT / "build"))
RUNS = BUILD / "runs"
CACHE = BUILD / "cache"
REPORT = BUILD / "report"


def collection(name: str | Path) -> Path:
    """Folder of a collection: a path (it has a `/`), or a name below data/."""
    return Path(name) if os.sep in str(name) else DATA / name
