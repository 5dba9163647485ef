"""Records: one line per key, sorted, checked, and nothing filled in."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from records import make_record

from flanlib.core import paths, provenance
from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data.adapters import Example
from flanlib.results import store


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_round_trip_keeps_every_field(tmp_path):
    record = make_record(stderr=2.5, sample={"input": "Is it so? – ja"})
    assert store.append([record], tmp_path) == 1
    assert store.load(tmp_path) == [record]


def test_lines_are_sorted_and_known_keys_skipped(tmp_path):
    seeds = [make_record(factors=Factors(collection="toy", model="m", seed=s)) for s in (3, 1, 2)]
    store.append(seeds[:1], tmp_path)
    before = lines(tmp_path / "tuned.jsonl")
    changed = replace(seeds[0], wall_s=9.0)
    assert store.append([*seeds[1:], changed], tmp_path) == 2
    after = lines(tmp_path / "tuned.jsonl")
    assert [json.loads(line)["factors"]["seed"] for line in after] == [1, 2, 3]
    assert after[2] == before[0], "a record that is there stays as it was"


@pytest.mark.parametrize("collection", ["micro", "flan"])
def test_a_record_added_changes_no_other_line(collection, tmp_path):
    """A later field is written where it is known, and an older line stays as it is."""
    for file in sorted((paths.RESULTS / collection).glob("*.jsonl")):
        shutil.copy(file, tmp_path)
    before = {path.name: lines(path) for path in tmp_path.glob("*.jsonl")}
    store.append([make_record(dtype="bfloat16")], tmp_path)
    for name, old in before.items():
        after = lines(tmp_path / name)
        added = [line for line in after if line not in set(old)]
        assert len(added) == (name == "tuned.jsonl") and len(after) == len(old) + len(added)
        for line in map(json.loads, added):
            assert line["dtype"] == "bfloat16" and "n_cut" not in line


def test_arms_have_their_own_files(tmp_path):
    base = make_record(factors=Factors(collection="toy", model="m", arm="base"))
    store.append([make_record(), base], tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.jsonl")) == ["base.jsonl", "tuned.jsonl"]


def test_scoring_is_part_of_the_key(tmp_path):
    plain = make_record()
    bare = make_record(scoring=Scoring(show_options=False))
    assert store.append([plain, bare], tmp_path) == 2


def test_parallel_appends_lose_nothing(tmp_path):
    records = [make_record(factors=Factors(collection="toy", seed=s)) for s in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda r: store.append([r], tmp_path), records))
    assert len(store.load(tmp_path)) == 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": (1e9, -1e9)}, "less than or equal to 100"),
        ({"scores": (float("nan"), 0.0)}, "finite|less than|greater than"),
        ({"stderr": float("inf")}, "finite"),
        ({"stderr": -1.0}, "greater than or equal to 0"),
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
    store.append([make_record(), make_record("cb")], tmp_path)
    path = tmp_path / "tuned.jsonl"
    text = path.read_text().replace('"value": 50.0', '"value": 60.0', 1)
    path.write_text(text)
    with pytest.raises(DataError, match=r"tuned\.jsonl, line 1: .*mean of its templates"):
        store.load(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"<<<<<<< HEAD", "line 2: a mark that a merge"),
        (b"\xff{}", r"line 2: not UTF-8 \(invalid start byte at byte 1\)"),
        (b"\x00\x00", "line 2: "),
        (b"", "line 2: "),
        (b"[" * 5_000, "line 2: "),
        (b"null", "line 2: "),
    ],
)
@pytest.mark.parametrize("name", ["tuned.jsonl", "examples.jsonl"])
def test_damage_is_named_by_file_and_line(name, damage, message, tmp_path):
    store.append([make_record()], tmp_path)
    store.note_examples([Example("rte", "0", {}, None, None, ("a",))], tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(damage + b"\n")
    with pytest.raises(DataError, match=message) as error:
        store.load(tmp_path) if name == "tuned.jsonl" else store.groups(tmp_path)
    assert name in str(error.value) and len(str(error.value)) < 500


def test_examples_that_contradict_themselves_are_named(tmp_path):
    row = {"data": "a" * 12, "task": "rte", "ids": ["0", "1"], "groups": [""]}
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"examples\.jsonl, line 1: .*2 ids but 1 groups"):
        store.groups(tmp_path)
    lines_ = [json.dumps({**row, "groups": groups}) for groups in (["", ""], ["", "g"])]
    path.write_text("\n".join(lines_))
    with pytest.raises(DataError, match=r"line 2: digest a{12} stands there twice"):
        store.groups(tmp_path)


def test_examples_have_to_be_those_of_the_record(tmp_path):
    record = make_record()
    known = {record.data: ("0", "1")}
    store.matched([record], known, "there")
    with pytest.raises(DataError, match=r"there: no line for digest d{12}.*task rte"):
        store.matched([record], {}, "there")
    with pytest.raises(DataError, match=r"there: 3 examples.* has 2 examples"):
        store.matched([record], {record.data: ("0", "1", "2")}, "there")


def test_two_values_for_one_cell_are_named_by_both_lines(tmp_path):
    store.append([make_record()], tmp_path)
    path = tmp_path / "tuned.jsonl"
    other = json.dumps(asdict(make_record(value=60.0)))
    same = json.dumps({**asdict(make_record()), "wall_s": 9.0})
    path.write_text(path.read_text() + same + "\n")
    assert len(store.load(tmp_path)) == 1
    path.write_text(path.read_text() + other + "\n")
    with pytest.raises(DataError, match=r"tuned\.jsonl, line 3: .*tuned\.jsonl, line 1, .*value"):
        store.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"value": 60.0, "templates": {"a": 60.0}}, {"data": "e" * 12}, {"base_digest": "b" * 12}],
)
def test_another_record_of_a_cell_is_neither_dropped_nor_taken(changes, tmp_path):
    old, new = make_record(base_digest="a" * 12), make_record(**changes)
    store.append([old], tmp_path)
    before = (tmp_path / "tuned.jsonl").read_bytes()
    with pytest.raises(DataError, match=f"rte.*{next(iter(changes))}"):
        store.append([make_record("cb"), new], tmp_path)
    assert (tmp_path / "tuned.jsonl").read_bytes() == before
    if "value" in changes:
        with pytest.raises(DataError, match="value"):
            store.append([new], tmp_path, stale=lambda record: True)
        return
    assert store.append([new], tmp_path, stale=lambda record: record == old) == 1
    assert store.load(tmp_path) == [new]


def test_an_older_record_reads_and_says_nothing_of_what_it_does_not_know(tmp_path):
    old = asdict(make_record())
    del old["training_data"], old["base_digest"]
    (tmp_path / "tuned.jsonl").write_text(json.dumps(old) + "\n")
    (found,) = store.load(tmp_path)
    assert (found.training_data, found.base_digest) == ("", "")
    assert store.append([make_record(base_digest="b" * 12)], tmp_path) == 0


def test_a_line_of_the_first_schema_is_read_by_todays_names(tmp_path):
    bins = [[2, 60.0, 50.0]]
    record = make_record(scoring=Scoring(reversed_options=True), responses={"reliability": bins})
    new = record.line()
    scoring = {**new["scoring"]}
    old = {k: v for k, v in new.items() if k not in ("schema", "responses")}
    old["scoring"] = {"turned": scoring.pop("reversed_options"), **scoring}
    old["answering"] = {"sure": bins}
    file = tmp_path / "tuned.jsonl"
    file.write_text(json.dumps(old) + "\n")
    (found,) = store.load(tmp_path)
    assert found == record and found.responses["reliability"] == bins
    assert store.append([make_record("cb")], tmp_path) == 1
    assert [json.loads(line)["schema"] for line in file.read_text().splitlines()] == [3, 3]
    assert record in store.load(tmp_path)


def test_the_interval_that_lines_of_the_second_schema_have_is_left_out(tmp_path):
    new = make_record().line()
    old = {**new, "schema": 2, "low": 48.0, "high": None}
    file = tmp_path / "tuned.jsonl"
    file.write_text(json.dumps(old) + "\n")
    assert store.load(tmp_path) == [make_record()]
    assert store.append([make_record("cb")], tmp_path) == 1
    assert [set(json.loads(line)) for line in file.read_text().splitlines()] == [set(new)] * 2
    file.write_text(json.dumps({**old, "schema": 3}) + "\n")
    with pytest.raises(DataError, match=r"tuned\.jsonl, line 1: .*low"):
        store.load(tmp_path)


@pytest.mark.parametrize("number", [0, 4, "3", None])
def test_a_line_of_another_schema_is_refused(tmp_path, number):
    (tmp_path / "tuned.jsonl").write_text(json.dumps({**make_record().line(), "schema": number}))
    with pytest.raises(DataError, match=rf"tuned.jsonl, line 1: .*schema {number!r} is not one of"):
        store.load(tmp_path)


WRITER = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[1])
from records import make_record; from flanlib.results import store; from flanlib.core.config import Factors
for seed in range(int(sys.argv[3]), int(sys.argv[3]) + 8):
    store.append([make_record(factors=Factors(collection="toy", seed=seed))], Path(sys.argv[2]))
"""


def test_processes_with_build_folders_of_their_own_lose_nothing(tmp_path):
    def start(n):
        environment = {**os.environ, "FLANLIB_BUILD": str(tmp_path / f"build-{n}")}
        command = [sys.executable, "-c", WRITER, Path(__file__).parent, tmp_path / "at", 8 * n]
        return subprocess.Popen([*map(str, command)], env=environment)

    assert [one.wait() for one in [start(n) for n in range(3)]] == [0, 0, 0]
    assert len(store.load(tmp_path / "at")) == 24


def test_a_folder_elsewhere_has_records_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_DATA", str(tmp_path / "data"))
    own, other, spaced = (tmp_path / p for p in ("data/micro", "else/micro", "else/my  pets"))
    for one in (own, other, spaced):
        one.mkdir(parents=True)
    monkeypatch.chdir(other)
    at = tmp_path / "results"
    assert store.folder("micro", at) == store.folder(own, at) == at / "micro"
    assert store.folder(f"{other}/../../data/micro", at) == at / "micro"
    found = store.folder(other, at)
    assert found == store.folder("./", at) == store.folder("../micro", at)
    assert found.name.startswith("micro-") and len(found.name) == len("micro-") + 8
    assert store.folder(tmp_path / "nowhere" / "micro", at).parent == at
    names = {store.folder(x, at).name for x in (other, spaced, "..", "/", "./", tmp_path)}
    assert len(names) == 4 and not names & {"", ".", "..", "micro"}
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)


def test_every_missing_cell_is_named():
    record = make_record()
    cells = [
        (replace(record.factors, seed=seed), record.recipe, record.scoring, task)
        for seed in (1, 2)
        for task in ("rte", "cb")
    ]
    with pytest.raises(MissingResultError) as error:
        store.require([record], cells)
    text = str(error.value)
    assert text.startswith("3 results are not recorded")
    assert text.count("toy/cb") == 2 and text.count("toy/rte") == 1
    store.require([record], cells[:1])


def test_examples_are_stored_once(tmp_path):
    examples = [
        Example("rte", str(i), {"answer": "yes"}, ("yes", "no"), 0, ("yes",), "g" * (i % 2))
        for i in range(4)
    ]
    mark = store.note_examples(examples, tmp_path)
    assert store.note_examples(examples, tmp_path) == mark
    assert len(lines(tmp_path / "examples.jsonl")) == 1
    assert store.groups(tmp_path)[mark] == ("0", "g", "2", "g"), "no group means a group apart"
    assert store.note_examples(examples[:3], tmp_path) != mark
    assert store.load(tmp_path) == []


def test_a_name_that_is_words_is_stored_as_a_digest_where_words_may_not_be(tmp_path):
    groups = (
        "852c07ab5ccb/Who left?",
        "852c07ab5ccb/Who left?",
        "852c07ab5ccb/Who\tcame?",
        "plain",
    )
    examples = [
        Example("multirc", f"eval-{n}", {}, None, None, ("a",), group=g)
        for n, g in enumerate(groups)
    ]
    mark = store.note_examples(examples, tmp_path, words=False)
    (found,) = store.groups(tmp_path).values()
    text = (tmp_path / store.LISTED).read_text()
    assert "Who" not in text and mark in text and "eval-3" in text
    assert found[0] == found[1] != found[2] and found[3] == "plain"
    assert found[0].startswith("852c07ab5ccb/") and len(found[0]) == 25


def test_provenance_names_versions_and_commit(tmp_path, monkeypatch):
    found = provenance.stamp()
    assert found["versions"]["python"].startswith("3.") and found["commit"]
    monkeypatch.setenv("FLANLIB_ROOT", str(tmp_path))
    assert provenance.stamp()["commit"] == "unknown"
