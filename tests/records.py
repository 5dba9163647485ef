"""Made-up records for tests; never written below data/."""

from flanlib.config import Factors, Recipe, run_id
from flanlib.results import Record, Scoring


def make_record(task="rte", *, value=50.0, scores=None, factors=None, scoring=None, **changes):
    factors = factors or Factors(collection="toy", model="m", held_out="nli", seed=1)
    recipe = Recipe()
    scores = (0.0, 100.0) if scores is None else tuple(scores)
    settings = {
        "run_id": run_id(factors, recipe),
        "factors": factors,
        "recipe": recipe,
        "scoring": scoring or Scoring(),
        "task": task,
        "dataset": task,
        "cluster": factors.held_out,
        "kind": "rank",
        "metric": "accuracy",
        "value": value,
        "stderr": 1.0,
        "chance": 50.0,
        "n": len(scores),
        "templates": {"a": value, "b": value},
        "scores": scores,
        "data": "d" * 12,
        "phrasing": "p" * 12,
        "commit": "unknown",
        "versions": {"python": "3"},
        "device": "cpu",
        "started": "2026-01-01T00:00:00Z",
        "wall_s": 1.0,
    }
    return Record(**{**settings, **changes})


def pretend(job):
    """A job's work, without a model: a file that says it was done."""
    job.tell("half way")
    (job.at / job.factors.held_out).write_text(job.factors.arm)
    return 0.1
