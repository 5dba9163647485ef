"""Examples written for illustration: whole, of no dataset, and answered by a file that is checked."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from flanlib.core.config import digest
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data import catalogue
from flanlib.evaluation import illustrations
from flanlib.figures import fig1_pipeline, fig4_templates, questions
from flanlib.studies import illustrate, profiles, study

FLAN = catalogue.load("flan")
GROUP = ("nli", "closed_book_qa", "commonsense")


@pytest.fixture
def small(tmp_path, monkeypatch):
    for name in ("BUILD", "CACHE", "RUNS"):
        monkeypatch.setenv(f"FLANLIB_{name}", str(tmp_path / name.lower()))
    profile = replace(profiles.PROFILES["small"], results=tmp_path / "results")
    monkeypatch.setitem(profiles.PROFILES, "small", profile)
    return study.open_study(profile="small")


def answered(of, **changes):
    """A file of answers, as `make` writes it."""
    lines = []
    for task in illustrate.questions(of, GROUP):
        asked = illustrations.prompt_of(FLAN, task)
        line = {"task": task.key, "template": asked.template, "asked": digest(asked.input)}
        lines.append({**line, "base": "left", "tuned": "right", "run": "r" * 12})
    found = {"model": of.settings.model, "questions": lines, **changes}
    of.at.mkdir(parents=True, exist_ok=True)
    (of.at / illustrate.FILE).write_text(json.dumps(found))
    return lines


def test_two_examples_are_written_for_each_dataset_shown():
    lines = (FLAN.root / illustrations.FILE).read_text(encoding="utf-8").splitlines()
    counts = Counter(json.loads(line)["task"] for line in lines)
    assert set(counts.values()) == {2}
    for key in counts:
        found = illustrations.of_task(FLAN, FLAN.task(key))
        assert len(found) == 2 and all(e.answers and e.fields["answer"] for e in found)
        assert illustrations.prompt_of(FLAN, FLAN.task(key)).target
    clusters = {FLAN.task(key).cluster for key in counts}
    assert clusters == set(FLAN.clusters), "every cluster has one"


def test_an_unknown_task_is_named(tmp_path):
    (tmp_path / illustrations.FILE).write_text('{"task": "rto", "row": {}}\n')
    with pytest.raises(DataError, match=r"line 1: task 'rto' is not in the catalogue"):
        illustrations.of_task(replace(FLAN, root=tmp_path), FLAN.task("rte"))


def test_a_prompt_without_rows_says_that_it_is_written(small):
    found = illustrations.prompt(FLAN, FLAN.task("snli"), "")
    assert found.startswith("(written for illustration; the dataset's rows are not at hand)\n")
    assert "yellow raincoats" in found and found.endswith("--> yes")


def test_figure_4_is_of_a_written_example_and_says_so():
    table = fig4_templates.collect(study.open_study(collection="flan"))
    about = table[table["part"] == "about"].iloc[0]
    assert about["text"] == "written for illustration, of no dataset"
    assert (table["part"] == "template").sum() == 10
    assert table[table["name"] == "premise"].iloc[0]["text"].startswith("Two children in yellow")
    micro = fig4_templates.collect(study.open_study())
    assert "about" not in set(micro["part"])


def test_figure_1_has_written_questions_of_the_group_and_their_answers(small):
    rows = questions.collect(small, "nli")
    asked = [row for row in rows if row["panel"] == "unseen"]
    assert [row["cluster"] for row in asked] == list(GROUP)
    assert [row["task"] for row in asked] == ["anli_r1", "arc_easy", "copa"]
    assert {row["panel"] for row in rows} == {"unseen", "answer right"}
    answered(small)
    table = fig1_pipeline.pd.DataFrame(questions.collect(small, "nli"))
    assert questions.answers(table, "closed_book_qa") == {
        "Base": "left",
        "Instruction-tuned": "right",
        "Right answer": "sunlight",
    }
    assert questions.note(table).endswith("written for illustration, of no dataset.")


def test_answers_to_other_words_or_of_another_model_are_not_shown(small):
    lines = answered(small)
    assert len(illustrate.read(small)) == 3
    answered(small, questions=[{**lines[0], "asked": "0" * 12}, *lines[1:]])
    assert [line["task"] for line in illustrate.read(small)] == ["arc_easy", "copa"]
    answered(small, model="another")
    assert illustrate.read(small) == []
    (small.at / illustrate.FILE).write_text('{"model": "smollm2-135m-instruct"}')
    with pytest.raises(DataError, match="'questions' is missing"):
        illustrate.read(small)


def test_the_tracked_answers_are_to_the_tracked_examples():
    found = study.open_study(profile="small")
    every = json.loads((found.at / illustrate.FILE).read_text())["questions"]
    assert [line["task"] for line in illustrate.read(found)] == [line["task"] for line in every]


def test_without_a_tuned_model_nothing_is_written(small, capsys):
    with pytest.raises(MissingResultError, match="no tuned model of smollm2-135m-instruct, seed 1"):
        illustrate.make(small)
    assert "its questions are left out" in capsys.readouterr().err
    assert not small.at.exists()
