"""Made-up records for tests; never written below data/."""

from flanlib.core.config import Factors, Recipe, Scoring, run_id
from flanlib.core.errors import DataError
from flanlib.data import catalogue as catalogues
from flanlib.evaluation import requests
from flanlib.models import weights
from flanlib.results import contents, store
from flanlib.results.schema import Record


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


def scored(job, value=50.0):
    """A job's work, without a model: records of today's rows, templates and weights."""
    found = catalogues.load(job.collection)
    try:
        base = weights.fingerprint(job.factors.model)
    except DataError:
        base = ""
    for scoring, key in job.requests:
        task = found.task(key)
        examples = requests.examples_of(found, task, scoring, job.rows)
        record = make_record(
            key,
            factors=job.factors,
            recipe=job.recipe,
            scoring=scoring,
            value=value,
            run_id=run_id(job.factors, job.recipe),
            scores=(value,) * len(examples),
            **{name: getattr(task, name) for name in ("dataset", "cluster", "kind", "metric")},
            data=store.note_examples(examples, job.at),
            base_digest=base,
            phrasing=contents.phrasing(found, task, scoring),
            mixture="m" * 12,
            training_data=contents.training(found, job.chain, scoring, task, job.rows)[0],
        )
        store.append([record], job.at, stale=lambda old: True)
    return 0.1
