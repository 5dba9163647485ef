"""Instruction tuning as in FLAN, small enough to check and to rerun.

What a number passes through stands at the top, one module a step: catalogue,
sources, templates, mixture, encode, model, score, metrics, results, study,
report. Beside them stands what every step uses (errors, paths, config,
profiles, devices, progress, ...), and the doors (cli, notebook). What a step is
made of has a room:

rows        where rows come from, and from rows to examples
prompts     from templates to prompts and mixtures
training    tune, packing, trainer, checkpoints, memory
models      where a model comes from; layers and heads written out
scoring     prefix trees, likelihoods, generation, choices, evaluate
studies     plans, axes, runs, estimates, sweeps
figures     one module per figure
reporting   costs, notebooks in a row, the API reference
workbench   trying a model by hand
commands    the verbs of the command line
micro       the small world, its corpus, its models

From Python, the names in `__all__` are the front door; `docs/python.md` shows
them at work. Each is loaded when it is first used, and torch with the first
model.
"""

import logging
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


def __getattr__(name: str) -> Any:
    """A name of the front door, from the module where it stands."""
    if name not in _PLACES:
        raise AttributeError(f"module 'flanlib' has no attribute {name!r}")
    return getattr(import_module(f"flanlib.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    """What there is, before it was used as well."""
    return sorted({*globals(), *__all__})
