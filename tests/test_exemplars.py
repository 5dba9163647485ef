"""Few-shot prompts: what stands in front, and that nothing is cut."""

import json
from itertools import islice

import pytest
from small_models import byte_tokenizer
from toy_collection import toy_catalogue

from flanlib import catalogue, paths, results, score
from flanlib.commands import verbs_study
from flanlib.config import Factors, Recipe
from flanlib.errors import MissingResultError
from flanlib.prompts import exemplars
from flanlib.results import Scoring
from flanlib.scoring import asking
from flanlib.studies import runs

WORDS = byte_tokenizer()


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Catalogue, task, prompts and templates."""
    toy_catalogue(tmp_path, monkeypatch)
    found = catalogue.load(str(tmp_path))
    task, scoring = found.task("rain"), Scoring(max_examples=3)
    wording = asking.asked_with(found, task, scoring)
    examples = asking.examples_of(found, task, scoring)
    return found, task, list(asking.prompts_of(examples, wording, scoring)), wording


def shown(asked, **changes):
    given = {"shots": 4, "seed": 1, "show_options": True, "tokenizer": WORDS, "rows": None}
    return exemplars.exemplified(*asked, **{**given, **changes})


def test_exemplars_are_solved_and_their_labels_take_turns(asked):
    for plain, prompt in zip(asked[2], shown(asked), strict=True):
        assert prompt.input.endswith(plain.input) and prompt.target == plain.target
        solved = prompt.input.removesuffix(plain.input).split("\n\n")[:-1]
        answers = [text.rsplit("\n", 1)[1] for text in solved]
        assert sorted(answers) == ["no", "no", "yes", "yes"]
        assert "eval" not in "".join(solved)


def test_exemplars_are_dropped_until_they_fit(asked):
    whole = shown(asked)
    longest = max(len(p.input) for p in asked[2]) + 150
    fitted = shown(asked, longest=longest)
    assert all(len(p.input.encode()) <= longest for p in fitted)
    assert all(a.input.endswith(b.input) for a, b in zip(whole, fitted, strict=True))
    kept = [p.input.count("\n\n") for p in fitted]
    assert all(kept) and kept != [p.input.count("\n\n") for p in whole]
    assert shown(asked, longest=1) == asked[2]


def test_another_seed_draws_others(asked):
    assert shown(asked) == shown(asked) != shown(asked, seed=2)


def test_without_train_rows_there_are_no_exemplars(asked, monkeypatch):
    monkeypatch.setattr(exemplars.sources, "examples", lambda *_, **__: iter(()))
    with pytest.raises(MissingResultError, match="task rain: no train rows"):
        shown(asked)


def test_few_shot_prompts_that_lost_exemplars_are_told(asked, caplog):
    shown(asked, longest=max(len(p.input) for p in asked[2]) + 1)
    assert "task rain: 24 of 24 prompts show fewer than 4 exemplars" in caplog.text


def test_few_shot_prompts_with_too_few_train_rows_are_told(asked, monkeypatch, caplog):
    every = exemplars.sources.examples
    monkeypatch.setattr(exemplars.sources, "examples", lambda *a, **k: islice(every(*a, **k), 2))
    shown(asked)
    said = "24 of 24 prompts show fewer than 4 exemplars, as train has 2 examples"
    assert said in caplog.text


@pytest.mark.parametrize(("cluster", "key"), [("nli", "rte"), ("closed_book_qa", "nq")])
def test_the_command_line_asks_what_the_study_asks(cluster, key, tmp_path, monkeypatch, capsys):
    """Few-shot prompts of a tuned model, to the token: the limits are those of its recipe."""
    recipe = Recipe(steps=3, examples_per_step=2, rank=2, max_input_tokens=110, max_target_tokens=5)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    job = runs.Job(
        factors=Factors(model="micro-300k", held_out=cluster),
        recipe=recipe,
        collection="micro",
        asked=((Scoring(max_examples=3, shots=3), key),),
        at=tmp_path / "records",
        runs=tmp_path / "runs",
        train_limit=8,
        quiet=True,
    )
    read = []
    for name in ("likelihoods", "greedy"):
        real = getattr(score, name)

        def noted(lm, asked, real=real, **given):
            read.append(
                ([getattr(one, "prompt_ids", one) for one in asked], given.get("max_new_tokens"))
            )
            return real(lm, asked, **given)

        monkeypatch.setattr(score, name, noted)
    runs.compute(job)
    (folder,) = (p for p in job.runs.iterdir() if (p / "run.json").is_file())
    verbs_study.score(
        model="micro-300k",
        adapter=(folder,),
        tasks=(key,),
        shots=3,
        max_examples=3,
        out=tmp_path / "o",
    )
    assert len(read) == 2 and read[0] == read[1]
    assert 80 < max(map(len, read[0][0])) <= 111
    line = json.loads((tmp_path / "o" / "results.jsonl").read_text())
    (record,) = results.load(job.at)
    assert line["value"] == record.value and line["templates"] == record.templates
    assert line["asked"]["max_input_tokens"] == 110 and line["asked"]["max_new_tokens"] == 5


def test_explicit_limits_count_before_the_recipe(tmp_path):
    assert asking.limits([tmp_path]) == Recipe()
    found = asking.limits([tmp_path], 40, 7)
    assert asking.settings("generate", "newline", found) == {
        "max_input_tokens": 40,
        "stop": "newline",
        "max_new_tokens": 7,
    }
    assert asking.settings("rank", "end", found) == {"max_input_tokens": 40}
