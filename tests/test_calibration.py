"""Cloze scores of the untuned model stand beside its model card, where both are whole."""

from dataclasses import replace

import pytest
from records import make_record

from flanlib.core.config import Factors, Scoring
from flanlib.reporting import calibration
from flanlib.results import published
from flanlib.studies import study

MODEL = "smollm2-135m-instruct"
CLOZE = Scoring(form="cloze", show_options=False)
SUMMED, PER_BYTE = (
    calibration.COMPARED["base-cloze"],
    calibration.COMPARED["base-cloze choice=byte"],
)
GROUPS = {"d" * 12: tuple(map(str, range(40)))}


def scored(task, dataset, right, scoring=CLOZE):
    factors = Factors(collection="flan", model=MODEL, held_out="commonsense", arm="base", seed=0)
    scores = tuple(100.0 * (i < right) for i in range(40))
    return make_record(
        task,
        factors=factors,
        scoring=scoring,
        scores=scores,
        value=sum(scores) / 40,
        dataset=dataset,
    )


def test_the_card_is_the_makers():
    card = published.model_card(MODEL).set_index("dataset")["value"]
    assert dict(card) == {"piqa": 66.3, "hellaswag": 40.9, "arc": 37.3}
    metrics = set(published.model_card(MODEL)["metric"].str.split("(").str[0])
    assert metrics == {"accuracy by log-likelihood per character "}
    assert published.model_card("micro-2m").empty


def test_each_dataset_stands_beside_its_card():
    records = [
        scored("piqa", "piqa", 26),
        scored("piqa", "piqa", 4, Scoring()),
        scored("arc_easy", "arc", 30),
        scored("arc_challenge", "arc", 20),
        scored("rte", "rte", 20),
    ]
    found = calibration.compare(MODEL, records, GROUPS).set_index("dataset")
    assert list(found.index) == ["piqa", "arc"], "rte is on no card, hellaswag not on record"
    piqa, arc = found.loc["piqa"], found.loc["arc"]
    assert (piqa["here"], piqa["model card"], piqa["n"]) == (65.0, 66.3, 40)
    assert piqa["difference"] == pytest.approx(-1.3) and piqa["inside"]
    assert piqa["low"] < 65 < piqa["high"]
    assert arc["here"] == 62.5 and not arc["inside"]
    assert set(found["options compared"]) == {SUMMED}


def test_what_is_compared_as_the_card_does_stands_beside_what_is_summed():
    records = [scored("piqa", "piqa", 22), scored("piqa", "piqa", 27, calibration.PER_BYTE)]
    found = calibration.compare(MODEL, records, GROUPS).set_index("options compared")["here"]
    assert dict(found) == {PER_BYTE: 67.5, SUMMED: 55.0}


def test_the_card_s_way_is_asked_on_the_study_s_rows_and_templates():
    small = study.open_study(profile="small")
    cells = {cell[3]: cell for cell in calibration.cells(small)}
    assert list(cells) == ["piqa", "hellaswag", "arc_easy", "arc_challenge"]
    summed = {c[3]: c for c in small.cells() if c[2].form == "cloze"}
    for task in set(cells) & set(summed):
        run, recipe, scoring, _ = cells[task]
        assert (run, recipe, replace(scoring, choice="sum")) == summed[task][:3]
        assert scoring.choice == "byte"
    assert calibration.cells(study.open_study()) == []


def test_what_is_lacking_is_scored_and_what_is_on_record_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_RESULTS", str(tmp_path))
    scored_now = []

    class AtHand(study.Study):
        """A study whose rows are all there, and whose scores are only noted."""

        left_out = {}  # noqa: RUF012

        def compute(self, cells, at, jobs):
            scored_now.append(cells)

    calibration.ensure(AtHand(study.open_study(profile="small").settings))
    assert [cell[3] for cell in scored_now[0]] == ["piqa", "hellaswag", "arc_easy", "arc_challenge"]


def test_half_of_a_dataset_is_not_compared():
    assert calibration.compare(MODEL, [scored("arc_easy", "arc", 30)], GROUPS).empty


def test_a_study_without_a_card_has_no_table():
    assert calibration.calibration(study.open_study()).empty
