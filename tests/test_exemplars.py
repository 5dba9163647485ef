"""Few-shot prompts: what stands in front, and that nothing is cut."""

import pytest
from small_models import byte_tokenizer
from toy_collection import toy_catalogue, toy_rows

from flanlib.core.config import Recipe, Scoring
from flanlib.core.errors import MissingResultError
from flanlib.data import catalogue
from flanlib.data.source import ListRows
from flanlib.evaluation import exemplars, requests

WORDS = byte_tokenizer()


@pytest.fixture
def asked(tmp_path):
    """Catalogue, task, examples, and their prompts without exemplars."""
    toy_catalogue(tmp_path)
    found = catalogue.load(str(tmp_path))
    task, scoring = found.task("rain"), Scoring(max_examples=3)
    wording = requests.templates_for(found, task, scoring)
    examples = requests.examples_of(found, task, scoring)
    return found, task, examples, list(requests.prompts_of(examples, wording, scoring))


def shown(asked, rows=None, seed=1, **limits):
    given = {"tokenizer": WORDS, "rows": rows, "seed": seed}
    return exemplars.prompts_of(*asked[:3], Scoring(shots=4), Recipe(**limits), **given)


def test_exemplars_are_solved_and_their_labels_take_turns(asked):
    for plain, prompt in zip(asked[3], shown(asked), strict=True):
        assert prompt.input.endswith(plain.input) and prompt.target == plain.target
        solved = prompt.input.removesuffix(plain.input).split("\n\n")[:-1]
        answers = [text.rsplit("\n", 1)[1] for text in solved]
        assert sorted(answers) == ["no", "no", "yes", "yes"]
        assert "eval" not in "".join(solved)


def test_exemplars_are_dropped_until_they_fit(asked):
    whole = shown(asked)
    longest = max(len(p.input) for p in asked[3]) + 150
    fitted = shown(asked, max_input_tokens=longest)
    assert all(len(p.input.encode()) <= longest for p in fitted)
    assert all(a.input.endswith(b.input) for a, b in zip(whole, fitted, strict=True))
    kept = [p.input.count("\n\n") for p in fitted]
    assert all(kept) and kept != [p.input.count("\n\n") for p in whole]
    assert shown(asked, max_input_tokens=16) == asked[3]


def test_another_seed_draws_others(asked):
    assert shown(asked) == shown(asked) != shown(asked, seed=2)


def test_without_train_rows_there_are_no_exemplars(asked):
    rows = ListRows({"rain": {"eval": list(toy_rows("rain", "eval"))}})
    with pytest.raises(MissingResultError, match="task rain: no rows for train"):
        shown(asked, rows=rows)


def test_few_shot_prompts_that_lost_exemplars_are_told(asked, caplog):
    shown(asked, max_input_tokens=max(len(p.input) for p in asked[3]) + 1)
    assert "task rain: 24 of 24 prompts show fewer than 4 exemplars" in caplog.text


def test_few_shot_prompts_with_too_few_train_rows_are_told(asked, caplog):
    train, scored = (list(toy_rows("rain", split)) for split in ("train", "eval"))
    shown(asked, rows=ListRows({"rain": {"train": train[:2], "eval": scored}}))
    said = "24 of 24 prompts show fewer than 4 exemplars, as train has 2 examples"
    assert said in caplog.text
