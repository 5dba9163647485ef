"""Rows from folders, the fetched cache and the micro world, and their cuts."""

import gzip
import json
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.data import catalogue, files, hub, sources, splits
from flanlib.data.catalogue import Source
from flanlib.data.source import cache_folder

FLAN = catalogue.load("flan")
RTE = FLAN.task("rte")


def rte(n, start=0, **changes):
    return [
        {"premise": f"p {i}", "hypothesis": f"h {i}", "idx": i, "label": i % 2, **changes}
        for i in range(start, start + n)
    ]


def write(folder, split, rows, suffix=".jsonl"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}{suffix}"
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
    return path


def take(tmp_path, task, split, **settings):
    return list(sources.examples(FLAN, task, split, rows=tmp_path, **settings))


def ids(found):
    return [one.id for one in found]


# Files


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_json_lines_plain_and_gzipped(tmp_path, suffix):
    path = write(tmp_path, "train", rte(3), suffix)
    assert list(files.read(path)) == rte(3)


def test_parquet_gives_the_same_rows(tmp_path):
    import pyarrow
    import pyarrow.parquet

    nested = [{**row, "answers": {"text": ["a"], "start": [1]}} for row in rte(3)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(nested), tmp_path / "train.parquet")
    assert list(files.read(tmp_path / "train.parquet")) == nested


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"train.jsonl:2: not JSON in UTF-8"),
        (b'{"a": 1}\n\xff\n', r"train.jsonl:2: not JSON in UTF-8"),
        (b"[1]\n", r"train.jsonl:1: a list, not a JSON object"),
        (b"\n", r"train.jsonl: no rows"),
    ],
)
def test_bad_files_name_file_and_line(tmp_path, text, message):
    path = tmp_path / "train.jsonl"
    path.write_bytes(text)
    with pytest.raises(DataError, match=message):
        list(files.read(path))


def test_a_cut_off_gzip_file_is_an_error(tmp_path):
    path = write(tmp_path, "train", rte(500), ".jsonl.gz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read after line"):
        list(files.read(path))


def test_damaged_parquet_is_an_error(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not readable as Parquet"):
        list(files.read(tmp_path / "train.parquet"))


def test_one_split_in_two_formats_is_an_error(tmp_path):
    write(tmp_path / "rte", "train", rte(3))
    write(tmp_path / "rte", "train", rte(3), ".jsonl.gz")
    with pytest.raises(DataError, match=r"stands there twice: train.jsonl, train.jsonl.gz"):
        take(tmp_path, "rte", "train")


# What is missing


def test_a_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(MissingResultError, match=r"no rows in .*rte; run `flanlib fetch --task"):
        take(tmp_path, "rte", "train")
    with pytest.raises(MissingResultError, match="no such folder of rows"):
        take(tmp_path / "nowhere", "rte", "train")


def test_a_manual_task_says_what_to_obtain_in_one_line(tmp_path):
    with pytest.raises(MissingResultError) as caught:
        take(tmp_path, "newsroom", "train")
    message = str(caught.value)
    assert "accept the agreement at lil.nlp.cornell.edu" in message
    assert str(tmp_path / "newsroom") in message
    assert "\n" not in message


def test_available_names_each_gap_and_nothing_else(tmp_path):
    write(tmp_path / "rte", "train", rte(20))
    write(tmp_path / "rte", "validation", rte(5, 100))
    write(tmp_path / "quac", "validation", rte(5))
    here = sources.available(FLAN, tmp_path)
    assert set(here) == set(FLAN.tasks)
    assert {key for key, why in here.items() if why is None} == {"rte", "quac"}
    train = sources.available(FLAN, tmp_path, "train")
    assert "no rows for train" in train["quac"] and "which has validation" in train["quac"]


def test_a_task_for_testing_only_is_never_tuned_on(tmp_path):
    row = {"text": "A saw B as it ran.", "pronoun": "it", "options": ["A", "B"], "label": 0}
    write(tmp_path / "wsc273", "train", [row] * 20)
    write(tmp_path / "wsc273", "validation", [row] * 4)
    assert len(take(tmp_path, "wsc273", "eval")) == 4
    with pytest.raises(MissingResultError, match="has no train split, only eval"):
        take(tmp_path, "wsc273", "train")


def test_a_wrong_column_is_named_with_the_columns_found(tmp_path):
    write(tmp_path / "rte", "train", [{"text": "x", "label": 0}])
    with pytest.raises(DataError, match=r"row train-0: no column .*premise.*found label, text"):
        take(tmp_path, "rte", "train")


def test_there_are_four_splits(tmp_path):
    with pytest.raises(ParameterError, match="no split 'test'"):
        take(tmp_path, "rte", "test")


# Cuts


def test_train_dev_and_eval_share_no_row(tmp_path):
    write(tmp_path / "rte", "train", rte(3_000))
    write(tmp_path / "rte", "validation", rte(300, 5_000))
    train, dev, held = (take(tmp_path, "rte", split) for split in ("train", "dev", "eval"))
    assert (len(train), len(dev), len(held)) == (2_800, 200, 300)
    assert not set(ids(train)) & set(ids(dev))
    assert all(one.id.startswith("validation-") for one in held)
    assert all(one.id.startswith("train-") for one in (*train, *dev))


def test_dev_of_a_partial_copy_is_at_most_a_tenth(tmp_path):
    write(tmp_path / "rte", "train", rte(50))
    write(tmp_path / "rte", "validation", rte(5, 100))
    assert len(take(tmp_path, "rte", "dev")) == 5
    assert len(take(tmp_path, "rte", "train")) == 45


def test_dev_of_a_whole_tiny_set_is_as_flan_cut_it(tmp_path):
    rows = [{**row, "label": row["idx"] % 3} for row in rte(250)]
    write(tmp_path / "cb", "train", rows)
    assert len(take(tmp_path, "cb", "dev")) == 50
    assert len(take(tmp_path, "cb", "train")) == 200


def test_dev_has_its_own_file_where_evaluation_leaves_it_one(tmp_path):
    for split, start in (("train", 0), ("validation", 1_000), ("test", 2_000)):
        write(tmp_path / "snli", split, rte(300, start))
    assert {one.id.split("-")[0] for one in take(tmp_path, "snli", "dev")} == {"validation"}
    assert len(take(tmp_path, "snli", "dev")) == 200
    assert len(take(tmp_path, "snli", "train")) == 300
    assert {one.id.split("-")[0] for one in take(tmp_path, "snli", "eval")} == {"test"}


def test_evaluation_is_not_made_of_tuning_rows_unless_the_catalogue_says_so(tmp_path):
    write(tmp_path / "rte", "train", rte(50))
    with pytest.raises(MissingResultError, match=r"no rows for eval in .*, which has train"):
        take(tmp_path, "rte", "eval")


def test_the_only_file_serves_all_three_splits(tmp_path):
    rows = [
        {"_movie_name": f"m_{i}", "_critic_consensus": "c", "_critics": {"1": f"r {i}"}}
        for i in range(400)
    ]
    key = "opinion_abstracts_rotten_tomatoes"
    write(tmp_path / key, "train", rows)
    parts = [take(tmp_path, key, split) for split in ("train", "dev", "eval")]
    assert [len(part) for part in parts] == [320, 40, 40]
    assert len({one.id for part in parts for one in part}) == 400


def test_sorted_classes_are_mixed_in_every_cut(tmp_path):
    rows = [{"text": f"t {i}", "label": int(i >= 1_000)} for i in range(2_000)]
    write(tmp_path / "imdb", "train", rows)
    write(tmp_path / "imdb", "test", rows)
    for split in ("train", "dev", "eval"):
        found = take(tmp_path, "imdb_reviews", split, limit=100)
        share = sum(one.gold for one in found) / len(found)
        assert 0.3 < share < 0.7, split


def test_a_group_is_never_parted_by_a_cut(tmp_path):
    rows = [
        {"paragraph": f"p {i // 7}", "question": f"q {i // 2}", "answer": f"a {i}", "label": 0}
        for i in range(700)
    ]
    write(tmp_path / "multirc", "train", rows)
    write(tmp_path / "multirc", "validation", rows)
    train, dev = take(tmp_path, "multirc", "train"), take(tmp_path, "multirc", "dev")
    assert len(train) + len(dev) == 700
    assert 63 <= len(dev) <= 70
    here, there = ({one.fields["paragraph"] for one in part} for part in (train, dev))
    assert not here & there
    questions = [one.group for one in take(tmp_path, "multirc", "eval")]
    changes = sum(a != b for a, b in pairwise(questions))
    assert changes == len(set(questions)) - 1


def test_train_holds_at_most_the_cap(tmp_path):
    write(tmp_path / "rte", "train", rte(5_000))
    found = take(tmp_path, "rte", "train", cap=100)
    assert len(found) == 100
    assert not set(ids(found)) & set(ids(take(tmp_path, "rte", "dev")))
    deep = [int(one.id.split("-")[1]) for one in found]
    assert max(deep) > 4_000 and min(deep) < 1_000


def test_rows_without_an_example_are_counted_and_dropped_before_the_cut(tmp_path):
    write(
        tmp_path / "rte", "train", [*rte(100), *rte(100, 100, label=-1), *rte(3, 200, premise="")]
    )
    skipped = Counter()
    assert len(take(tmp_path, "rte", "train", skipped=skipped)) == 90
    assert skipped == {"no label": 100, "empty premise": 3}
    assert len(take(tmp_path, "rte", "dev")) == 10


# Order


def test_the_order_is_drawn_and_always_the_same(tmp_path):
    write(tmp_path / "rte", "train", rte(500))
    first = ids(take(tmp_path, "rte", "train"))
    assert first == ids(take(tmp_path, "rte", "train"))
    assert first != sorted(first)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_a_smaller_limit_is_a_prefix(tmp_path, split):
    write(tmp_path / "rte", "train", rte(500))
    write(tmp_path / "rte", "validation", rte(200, 900))
    many = ids(take(tmp_path, "rte", split, limit=60))
    assert ids(take(tmp_path, "rte", split, limit=7)) == many[:7]
    assert ids(take(tmp_path, "rte", split))[:60] == many


def test_all_is_every_row_in_file_order(tmp_path):
    write(tmp_path / "rte", "train", rte(30))
    write(tmp_path / "rte", "validation", rte(5, 100))
    found = ids(take(tmp_path, "rte", "all"))
    assert found == [*(f"train-{i}" for i in range(30)), *(f"validation-{i}" for i in range(5))]
    raw = dict(sources.rows_of(FLAN, "rte", "all", rows=tmp_path))
    assert list(raw) == found and raw["validation-2"]["idx"] == 102
    assert len(list(sources.rows_of(FLAN, "rte", "dev", rows=tmp_path))) == 30


def test_digest_follows_content_and_order(tmp_path):
    write(tmp_path / "rte", "train", rte(50))
    found = take(tmp_path, "rte", "train")
    assert sources.digest(found) == sources.digest(take(tmp_path, "rte", "train"))
    assert sources.digest(found) != sources.digest(found[::-1])
    write(tmp_path / "rte", "train", [*rte(49), *rte(1, 49, premise="other")])
    assert sources.digest(found) != sources.digest(take(tmp_path, "rte", "train"))


def test_tasks_that_share_sentences_take_disjoint_parts(tmp_path):
    rows = [{"translation": {"en": f"Hello, Row Number {i}!", "da": "x"}} for i in range(300)]
    write(tmp_path / "para_crawl_enda", "train", rows)
    seen = Counter()
    for key in ("true_case", "fix_punct", "word_segment"):
        for split in ("train", "dev"):
            seen.update(one.fields["answer"] for one in take(tmp_path, key, split))
    assert len(seen) == 300 and set(seen.values()) == {1}


def test_evaluation_joins_the_references_of_one_question(tmp_path):
    rows = [
        {"concept_set_idx": i // 3, "concepts": ["a", f"b{i // 3}"], "target": f"t {i}"}
        for i in range(90)
    ]
    write(tmp_path / "common_gen", "train", rows)
    write(tmp_path / "common_gen", "validation", rows)
    held = take(tmp_path, "common_gen", "eval")
    assert len(held) == 30
    assert all(len(one.answers) == 3 and one.answers[0] == one.fields["answer"] for one in held)
    assert all(len(one.answers) == 1 for one in take(tmp_path, "common_gen", "train"))


def test_a_dialogue_is_cut_whole(tmp_path):
    rows = [
        {"story": f"s {i}", "questions": ["a?", "b?"], "answers": {"input_text": ["c", "d"]}}
        for i in range(40)
    ]
    write(tmp_path / "coqa", "train", rows)
    train, dev = take(tmp_path, "coqa", "train"), take(tmp_path, "coqa", "dev")
    assert (len(train), len(dev)) == (72, 8)
    assert not {one.group for one in train} & {one.group for one in dev}


def test_what_is_held_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for n in (4_000, 16_000):
        write(tmp_path / "rte", "train", rte(n))
        tracemalloc.start()
        take(tmp_path, "rte", "train", cap=200)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_split_expressions():
    with pytest.raises(DataError, match=r"split 'train\[5\]' is not like"):
        splits.stretches(replace(RTE, source=Source(splits={"train": "train[5]"})), {})
    assert [
        splits.canonical(name) for name in ("train_r1", "dev_r1", "validation_matched", "test")
    ] == [
        "train",
        "validation",
        "validation",
        "test",
    ]


def test_no_catalogue_cut_lets_a_row_serve_twice(tmp_path):
    for only in (("train",), ("train", "validation"), ("train", "validation", "test")):
        found = {name: tmp_path / name for name in only}
        for task in FLAN.tasks.values():
            made = splits.stretches(task, found)
            for split, stretch in made.items():
                sharing = [s for s in made.values() if s.base == stretch.base]
                assert stretch.shared == (len(sharing) > 1)
                assert sum(s.size is None for s in sharing) == 1 or not stretch.shared, task.key
                assert len({s.before for s in sharing}) == len(sharing), (task.key, split)


# The hub, stood in for by a local repository of data files


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A repository with Parquet files as the `datasets` library writes them."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("FLANLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")

    def make(task, names=("entailment", "not_entailment"), n=40, **source):
        repository = tmp_path / "repository"
        features = datasets.Features(
            {
                "premise": datasets.Value("string"),
                "hypothesis": datasets.Value("string"),
                "idx": datasets.Value("int32"),
                "label": datasets.ClassLabel(names=list(names)),
            }
        )
        for split, start, size in (
            ("train", 0, n),
            ("validation", n, 8),
            ("challenge_train", 0, 3),
        ):
            rows = datasets.Dataset.from_list(rte(size, start), features=features)
            rows.to_parquet(repository / "plain" / split / "0000.parquet")
        found = replace(
            task.source,
            hub_id=str(repository),
            config="",
            data_files={s: f"plain/{s}/*.parquet" for s in ("train", "validation")},
            **source,
        )
        task = replace(task, source=found)
        return replace(FLAN, tasks={task.key: task}), task

    return make


def test_fetch_writes_the_named_splits_and_the_cache_reads_offline(stand_in, tmp_path):
    toy, task = stand_in(RTE)
    lines = []
    assert hub.fetch(toy, progress=lines.append) == {"rte": None}
    assert [line.split(",")[0] for line in lines] == [
        "[1/1] rte: train: 40 rows",
        "[1/1] rte: validation: 8 rows",
    ]
    (tmp_path / "repository").rename(tmp_path / "gone")
    train = list(sources.examples(toy, task, "train"))
    assert len(train) == 36
    assert len(list(sources.examples(toy, task, "eval"))) == 8
    assert sources.available(toy, None) == {"rte": None}


def test_fetch_goes_on_where_it_stopped(stand_in):
    toy, task = stand_in(RTE)
    opened = []

    def fail_second(task, name):
        opened.append(name)
        if opened == ["train", "validation"]:
            raise ConnectionError("no route\nto host")
        return hub.split_of(task, name)

    quiet = {"progress": lambda line: None, "read": fail_second}
    assert hub.fetch(toy, **quiet) == {"rte": "ConnectionError: no route"}
    where = cache_folder(toy, task)
    assert sorted(p.name for p in where.iterdir()) == ["manifest.json", "train.parquet"]
    assert hub.fetch(toy, **quiet) == {"rte": None}
    assert opened == ["train", "validation", "validation"]
    with (where / "train.parquet").open("ab") as file:
        file.write(b"x")
    lines = []
    hub.fetch(toy, progress=lines.append, read=fail_second)
    assert any("changed since it was fetched" in line for line in lines)
    assert opened[3:] == ["train"]


def test_classes_are_mapped_by_name_not_by_number(stand_in):
    toy, task = stand_in(RTE, names=("not_entailment", "entailment"))
    assert hub.fetch(toy, progress=lambda line: None) == {"rte": None}
    for one in sources.examples(toy, task, "all"):
        odd = int(one.fields["premise"].split()[1]) % 2
        assert one.fields["answer"] == ("yes" if odd else "no")


def test_unknown_classes_are_an_error_and_not_kept(stand_in):
    toy, task = stand_in(RTE, names=("up", "down"))
    hub.fetch(toy, progress=lambda line: None)
    with pytest.raises(DataError, match="has classes up, down; task rte knows entailment"):
        list(sources.examples(toy, task, "train"))


def test_a_layout_that_does_not_fit_is_not_kept(stand_in):
    toy, task = stand_in(replace(RTE, columns={**RTE.columns, "fields": ["context"]}))
    reason = hub.fetch(toy, progress=lambda line: None)["rte"]
    assert "no column 'context'" in reason
    assert not (cache_folder(toy, task) / "train.parquet").exists()


def test_large_splits_are_kept_as_a_shuffled_sample(stand_in):
    toy, task = stand_in(RTE)
    lines = []
    hub.fetch(toy, progress=lines.append, pool=10)
    assert "train: 10 rows of 40" in lines[0]
    kept = [row["idx"] for _, row in sources.rows_of(toy, task, "train")]
    assert max(kept) > 20 and kept != sorted(kept)


def test_streams_are_sampled_too(stand_in):
    toy, task = stand_in(RTE, stream=True)
    assert hub.fetch(toy, progress=lambda line: None, pool=10) == {"rte": None}
    assert len(list(sources.rows_of(toy, task, "train"))) == 10
    assert len(list(sources.rows_of(toy, task, "eval"))) == 8


def test_manual_tasks_are_skipped_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_CACHE", str(tmp_path))
    lines = []
    found = hub.fetch(FLAN, ["newsroom"], progress=lines.append)
    assert found["newsroom"].startswith("not on the hub: accept the agreement")
    assert len(lines) == 1 and "\n" not in lines[0]


# The micro world


def test_micro_rows_come_from_the_reported_world():
    tasks = pytest.importorskip("flanlib.micro.tasks")
    micro = catalogue.load("micro")
    key = next(iter(micro.tasks))
    found = list(sources.examples(micro, key, "dev", limit=5))
    assert len(found) == 5
    raw = [row for _, row in islice(sources.rows_of(micro, key, "dev"), 5)]
    assert raw == list(islice(tasks.rows(key, "dev"), 5))
    assert sources.available(micro)[key] is None


def test_rows_without_an_example_are_named_and_counted(tmp_path):
    (tmp_path / "rte").mkdir()
    row = {"premise": "a", "hypothesis": "b", "label": -1}
    lines = [json.dumps(row), json.dumps(row | {"label": 0, "premise": " "})]
    (tmp_path / "rte" / "test.jsonl").write_text("\n".join(lines))
    said = r"task rte: no example in .*test\.jsonl: 1 no label, 1 empty premise"
    with pytest.raises(MissingResultError, match=said):
        list(sources.examples(catalogue.load("flan"), "rte", "eval", rows=tmp_path))
