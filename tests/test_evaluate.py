"""One way to score: study, command line and explorer read, cut and write alike."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flanlib.commands import verbs_study
from flanlib.core.config import Factors, Recipe, Scoring
from flanlib.data import catalogue
from flanlib.evaluation import requests
from flanlib.evaluation.evaluate import evaluate
from flanlib.results import estimates, store
from flanlib.results.effects import Estimand
from flanlib.studies import profiles, runs
from flanlib.studies.runs import recipe_of
from flanlib.workbench import explore

MODEL = "micro-300k"
RECIPE = Recipe(steps=3, examples_per_step=2, rank=2, max_input_tokens=48, max_target_tokens=5)
ASKED = (  # questions that are cut, and exemplars that do not all fit
    (Scoring(max_examples=2), "race"),
    (Scoring(max_examples=3, shots=3), "sst2"),
    (Scoring(max_examples=3, shots=3), "nq"),
    (Scoring(max_examples=2), "coqa"),
    (Scoring(max_examples=3, templates_per_example=2), "copa"),
)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A tuned model and its records, made as the study makes them."""
    folder = tmp_path_factory.mktemp("study")
    job = runs.Job(
        factors=Factors(model=MODEL, held_out="nli"),
        recipe=RECIPE,
        collection="micro",
        requests=ASKED,
        at=folder / "records",
        runs=folder / "runs",
        train_limit=8,
        quiet=True,
    )
    runs.compute(job)
    return job


def adapter_of(job):
    (folder,) = (path.parent for path in job.runs.glob("*/run.json"))
    return folder


@pytest.mark.parametrize(("scoring", "key"), ASKED)
def test_study_command_line_and_explorer_score_alike(job, scoring, key, tmp_path):
    collection = catalogue.load("micro")
    task = collection.task(key)
    scorer, _ = runs.scorer_of(job)
    found = evaluate(
        scorer,
        task,
        requests.examples_of(collection, task, scoring),
        scoring,
        collection=collection,
    )
    (record,) = (r for r in store.load(job.at) if (r.scoring, r.task) == (scoring, key))
    assert {name: getattr(record, name) for name in found.line()} == found.line()
    if scoring.shots:
        assert {len(prompt.exemplars) for prompt in found.prompts} & {1, 2}
    assert (record.n_cut > 0) == (key in ("race", "coqa"))

    verbs_study.score(
        model=MODEL,
        adapter=(adapter_of(job),),
        tasks=(key,),
        shots=scoring.shots,
        max_examples=scoring.max_examples,
        templates_per_example=scoring.templates_per_example,
        out=tmp_path,
    )
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / key / "00000.parquet"), found.table)
    line = json.loads((tmp_path / "results.jsonl").read_text())
    assert line["value"] == record.value and line["templates"] == record.templates
    assert (line["asked"]["max_input_tokens"], line["asked"]["max_new_tokens"]) == (48, 5)

    bench = explore.open_bench(held_out="nli", model=MODEL, adapter=str(adapter_of(job)))
    for prompt in found.prompts[::4]:
        same = (found.table["template"] == prompt.template) & (
            found.table["example"] == prompt.example
        )
        shown = bench.ask(prompt)
        if task.kind == "rank":
            np.testing.assert_allclose(shown.table["tuned_ll"], found.table["ll"][same], atol=1e-4)
        else:
            assert [shown.written["tuned"]] == list(found.table["prediction"][same])
        assert shown.n_cut == found.table["n_cut"][same].iloc[0]


def test_an_untuned_model_is_scored_as_the_study_scores_it(tmp_path):
    """Without an adapter, limits and quantisation are those of the profile."""
    scoring = Scoring(max_examples=5, shots=3)
    job = runs.Job(
        factors=Factors(model=MODEL, held_out="nli", arm="base"),
        recipe=profiles.MICRO,
        collection="micro",
        requests=((scoring, "rte"),),
        at=tmp_path / "records",
        quiet=True,
    )
    runs.compute(job)
    verbs_study.score(model=MODEL, tasks=("rte",), shots=3, max_examples=5, out=tmp_path / "o")
    (record,), line = store.load(job.at), json.loads((tmp_path / "o/results.jsonl").read_text())
    assert line["value"] == record.value and line["templates"] == record.templates
    assert line["responses"] == json.loads(json.dumps(record.responses))
    alone = estimates.table([(Estimand("base"), record)], store.groups(job.at)).iloc[0]
    assert (line["low"], line["high"]) == pytest.approx((alone["low"], alone["high"]), abs=0.1)
    assert line["asked"]["quantization"] == "nf4" and line["asked"]["max_input_tokens"] == 400


def test_limits_are_those_of_the_recipe_and_explicit_ones_count_before_it(job):
    assert recipe_of(MODEL) == Recipe(quantization="none")
    assert recipe_of(MODEL, [adapter_of(job)]) == RECIPE
    found = recipe_of(MODEL, [adapter_of(job)], longest=40, written=7)
    assert (found.max_input_tokens, found.max_target_tokens) == (40, 7)


@pytest.mark.parametrize(
    ("collection", "model", "wanted"),
    [
        ("micro", "micro-2m", profiles.MICRO),
        ("micro", "a/model/of/mine", profiles.MICRO),
        ("flan", "EleutherAI/pythia-410m", profiles.GPU),
        ("flan", "smollm2-135m-instruct", profiles.SMALL),
        ("flan", "another/model", None),
        ("/elsewhere/micro", "micro-2m", None),
    ],
)
def test_the_profile_that_studies_a_model_says_its_limits(collection, model, wanted):
    assert (
        profiles.recipe_of(Path(collection) if "/" in collection else collection, model) == wanted
    )
