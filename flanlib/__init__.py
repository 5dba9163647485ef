"""Instruction tuning as in FLAN, small enough to check and to rerun.

Each step that a number goes through has a package. A package imports only
packages above it in this list, and its docstring says what is public in it:

core        what every step uses: settings, errors, files, devices
data        catalogue, sources of rows, from rows to examples
prompts     from templates to prompts and mixtures
models      where a model comes from, how it is loaded, what it reads
training    tune, packing, trainer, checkpoints, memory
evaluation  likelihoods, generation, metrics, evaluate
results     records, what of them is valid, estimates, published numbers
studies     study, profiles, plans, axes, runs, sweeps
figures     one module per figure
reporting   notebooks, report, the API reference
workbench   trying a model by hand
commands    the command line and its verbs
micro       the small world, its corpus, its models

From Python, the names in `__all__` are the front door; `docs/python.md` shows
them at work. Each is loaded when it is first used, and torch with the first
model.
"""

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flanlib.core.config import Factors as Factors
    from flanlib.core.config import Recipe as Recipe
    from flanlib.core.config import Scoring as Scoring
    from flanlib.data.source import Collection as Collection
    from flanlib.data.source import RowSource as RowSource
    from flanlib.data.source import load_collection as load_collection
    from flanlib.evaluation.evaluate import Scorer as Scorer
    from flanlib.evaluation.evaluate import evaluate as evaluate
    from flanlib.studies.study import Study as Study
    from flanlib.studies.study import open_study as open_study
    from flanlib.training.tune import tune as tune

__version__ = "0.1.0"

_PLACES = {
    **dict.fromkeys(("Factors", "Recipe", "Scoring"), "core.config"),
    **dict.fromkeys(("Collection", "RowSource", "load_collection"), "data.source"),
    **dict.fromkeys(("Scorer", "evaluate"), "evaluation.evaluate"),
    **dict.fromkeys(("Study", "open_study"), "studies.study"),
    "tune": "training.tune",
}
__all__ = sorted(_PLACES)

for _name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.cextension"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # it remarks on kernels when imported

if "OMP_WAIT_POLICY" not in os.environ:  # see `core.threads`; torch reads it when it is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    """A name of the front door, from the module where it stands."""
    if name not in _PLACES:
        raise AttributeError(f"module 'flanlib' has no attribute {name!r}")
    return getattr(import_module(f"flanlib.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    """What there is, before it was used as well."""
    return sorted({*globals(), *__all__})
