"""Records: one line per key, sorted, checked, and nothing filled in."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from records import make_record

from flanlib import provenance, results
from flanlib.config import Factors
from flanlib.errors import DataError, MissingResultError
from flanlib.results import Scoring
from flanlib.rows.adapters import Example


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_round_trip_keeps_every_field(tmp_path):
    record = make_record(low=40.0, high=60.0, sample={"input": "Is it so? – ja"})
    assert results.append([record], tmp_path) == 1
    assert results.load(tmp_path) == [record]


def test_lines_are_sorted_and_known_keys_skipped(tmp_path):
    seeds = [make_record(factors=Factors(collection="toy", model="m", seed=s)) for s in (3, 1, 2)]
    results.append(seeds[:1], tmp_path)
    before = lines(tmp_path / "tuned.jsonl")
    changed = replace(seeds[0], wall_s=9.0)
    assert results.append([*seeds[1:], changed], tmp_path) == 2
    after = lines(tmp_path / "tuned.jsonl")
    assert [json.loads(line)["factors"]["seed"] for line in after] == [1, 2, 3]
    assert after[2] == before[0], "a record that is there stays as it was"


def test_arms_have_their_own_files(tmp_path):
    base = make_record(factors=Factors(collection="toy", model="m", arm="base"))
    results.append([make_record(), base], tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.jsonl", "tuned.jsonl"]


def test_scoring_is_part_of_the_key(tmp_path):
    plain = make_record()
    bare = make_record(scoring=Scoring(show_options=False))
    assert results.append([plain, bare], tmp_path) == 2


def test_parallel_appends_lose_nothing(tmp_path):
    records = [make_record(factors=Factors(collection="toy", seed=s)) for s in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda r: results.append([r], tmp_path), records))
    assert len(results.load(tmp_path)) == 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": 51.0, "templates": {"a": 50.0}}, "mean of its templates"),
        ({"n": 3}, "2 scores"),
        ({"run_id": "0" * 12}, "that of its settings"),
        ({"value": 101.0, "templates": {"a": 101.0}}, "less than or equal to 100"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_record(**changes)


def test_an_altered_line_is_named(tmp_path):
    results.append([make_record(), make_record("cb")], tmp_path)
    path = tmp_path / "tuned.jsonl"
    text = path.read_text().replace('"value": 50.0', '"value": 60.0', 1)
    path.write_text(text)
    with pytest.raises(DataError, match=r"tuned\.jsonl, line 1: .*mean of its templates"):
        results.load(tmp_path)


def test_every_missing_cell_is_named():
    record = make_record()
    cells = [
        (replace(record.factors, seed=seed), record.recipe, record.scoring, task)
        for seed in (1, 2)
        for task in ("rte", "cb")
    ]
    with pytest.raises(MissingResultError) as error:
        results.require([record], cells)
    text = str(error.value)
    assert text.startswith("3 results are not recorded")
    assert text.count("toy/cb") == 2 and text.count("toy/rte") == 1
    results.require([record], cells[:1])


def test_examples_are_stored_once(tmp_path):
    examples = [
        Example("rte", str(i), {"answer": "yes"}, ("yes", "no"), 0, ("yes",), "g" * (i % 2))
        for i in range(4)
    ]
    mark = results.note_examples(examples, tmp_path)
    assert results.note_examples(examples, tmp_path) == mark
    assert len(lines(tmp_path / "examples.jsonl")) == 1
    assert results.groups(tmp_path)[mark] == ("0", "g", "2", "g"), "no group means a group apart"
    assert results.note_examples(examples[:3], tmp_path) != mark
    assert results.load(tmp_path) == []


def test_frame_is_flat():
    table = results.frame([make_record(), make_record("cb")])
    assert list(table["task"]) == ["rte", "cb"]
    assert {"seed", "asked_form", "asked_show_options", "value", "recipe"} <= set(table)
    assert not set(asdict(Scoring())) & set(table) - {"form"}


def test_provenance_names_versions_and_commit(tmp_path, monkeypatch):
    found = provenance.stamp()
    assert found["versions"]["python"].startswith("3.") and found["commit"]
    monkeypatch.setattr(provenance.paths, "ROOT", tmp_path)
    assert provenance.stamp()["commit"] == "unknown"
