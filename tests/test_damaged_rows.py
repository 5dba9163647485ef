"""Rows as people have them: read right, or refused in one line that says where and why."""

import datetime
import decimal
import gzip
import io
import json
import math
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pets import collection, lines

from flanlib.core.errors import DataError
from flanlib.data import files, sources
from flanlib.data.adapters import adapt_all
from flanlib.data.catalogue import Source, Task
from flanlib.data.columns import plan_of
from flanlib.evaluation import score_tables
from flanlib.prompts import rendering

GOOD = {"text": "fine", "label": 1}
FAST = settings(max_examples=60, deadline=None)


@pytest.fixture
def pets(tmp_path):
    return collection(tmp_path / "pets")


def eval_rows(pets, folder, key="vets"):
    return list(sources.examples(pets, key, "all", rows=folder))


def refused(pets, folder, key="vets"):
    """The error of reading, which `--check` has among its problems."""
    with pytest.raises(DataError) as caught:
        eval_rows(pets, folder, key)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 600
    checked = rendering.check(pets, folder, [key])
    assert said in checked.tasks[0].problems and checked.n_problems >= 1
    return said


# Lines


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a", "label": 1, "text": "b"}', ":2: key 'text' stands twice"),
        ('{"text": "a", "label": 1, "x": {"y": 1, "y": 1}}', ":2: key 'y' stands twice"),
        ('{"text": "half \\ud83d", "label": 1}', ":2: column 'text': \\ud83d is half"),
        ('{"text": "half \\ude00 \\ud83d\\ude00", "label": 1}', "\\ude00 is half of a character"),
        ('{"text": "a", "label": 1, "\\udfff": 1}', "\\udfff is half"),
        ('{"text": "a", "label": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper"),
        ('{"text": "a", "label": 1, "x": ' + "[" * 300 + "]" * 300 + "}", ":2: not JSON in UTF-8"),
        ('{"text": "a", "label": ' + "9" * 5_000 + "}", ":2: not JSON in UTF-8"),
        ('{"text": "a\x00b", "label": 1}', ":2: not JSON in UTF-8"),
        ('["a"]', ":2: a list, not a JSON object"),
        ("null", ":2: a NoneType, not a JSON object"),
        (b'{"text": "caf\xe9", "label": 1}\n', ":2: not JSON in UTF-8"),
    ],
)
def test_a_line_that_is_no_row_is_named(pets, tmp_path, line, said):
    lines(tmp_path, GOOD, line)
    assert f"{tmp_path}/vets/test.jsonl" in (found := refused(pets, tmp_path)) and said in found


def test_a_whole_pair_of_surrogates_is_one_character(pets, tmp_path):
    lines(tmp_path, '{"text": "smile \\ud83d\\ude00", "label": 1}')
    assert eval_rows(pets, tmp_path)[0].fields["text"] == "smile \U0001f600"


def test_the_check_goes_on_behind_a_bad_row_and_a_bad_task(pets, tmp_path):
    lines(tmp_path, GOOD, "{", GOOD, {"text": "b", "label": 5}, {"text": True, "label": 0})
    lines(tmp_path, {"animal": "cat", "food": "fish"}, task="food")
    vets, food = rendering.check(pets, tmp_path).tasks
    places = [f"{tmp_path}/vets/test.jsonl:{n}:" for n in (2, 4, 5)]
    assert vets.n_problems == 3
    assert all(map(str.startswith, vets.problems, places))
    assert (food.n_rows, food.n_problems) == (1, 0)
    pets.root.joinpath("templates", "vets.yaml").write_text("[")
    rendering.templates.load.cache_clear()
    vets, food = rendering.check(pets, tmp_path).tasks
    assert "vets.yaml" in vets.problems[0] and food.n_problems == 0


def test_marks_line_ends_and_blank_lines_are_no_part_of_a_row(pets, tmp_path):
    text = b'\xef\xbb\xbf{"text": "a", "label": 1}\r\n\r\n  \n{"text": "b", "label": 0}'
    lines(tmp_path, text)
    assert [(one.fields["text"], one.gold) for one in eval_rows(pets, tmp_path)] == [
        ("a", 1),
        ("b", 0),
    ]
    path = tmp_path / "vets" / "train.jsonl.gz"
    path.write_bytes(gzip.compress(text))
    assert list(files.read(path)) == list(files.read(tmp_path / "vets" / "test.jsonl"))


# Files


def parquet_bytes():
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("test.jsonl", gzip.compress(b"{}"), "not JSON lines but compressed with gzip"),
        ("test.jsonl", parquet_bytes(), "not JSON lines but Parquet"),
        ("test.jsonl", json.dumps(GOOD).encode("utf-16"), "not JSON lines but UTF-16"),
        ("test.jsonl", b'[\n{"text": "a", "label": 1}\n]', "test.jsonl:1: not JSON"),
        ("test.jsonl", b'[{"text": "a"}]', "one object a line, without [ ] around them"),
        ("test.jsonl", b"", "no rows"),
        ("test.jsonl.gz", b'{"text": "a"}', "cannot be read after line 0: Not a gzipped file"),
        ("test.jsonl.gz", gzip.compress(b"\n" * 9)[:10] + b"\xff" * 20, "cannot be read after"),
        (
            "test.jsonl.gz",
            gzip.compress(b'{"text": "a", "label": 1}\n' * 99)[:-9],
            "cannot be read",
        ),
        ("test.parquet", b"{}", "not readable as Parquet"),
        ("test.parquet", parquet_bytes()[:-20], "not readable as Parquet"),
    ],
)
def test_a_file_that_is_something_else_says_so(pets, tmp_path, name, content, said):
    (tmp_path / "vets").mkdir()
    (tmp_path / "vets" / name).write_bytes(content)
    assert said in (found := refused(pets, tmp_path)) and name in found


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe or a device"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to(path), "a link that leads nowhere"),
        (lambda path: path.symlink_to("nothing"), "a link that leads nowhere"),
    ],
)
def test_what_is_no_regular_file_is_not_opened(pets, tmp_path, make, said):
    (tmp_path / "vets").mkdir()
    make(tmp_path / "vets" / "test.jsonl")
    assert f"test.jsonl: is {said}" in refused(pets, tmp_path)


def test_a_line_without_an_end_is_not_held(pets, tmp_path):
    lines(tmp_path, GOOD, {"text": "x" * files.LONGEST_LINE, "label": 1})
    assert "test.jsonl:2: a line of more than 64 MiB" in refused(pets, tmp_path)


def test_files_of_another_name_are_pointed_at(pets, tmp_path):
    (tmp_path / "vets").mkdir()
    (tmp_path / "vets" / "test.csv").write_text("text,label\n")
    missing = sources.available(pets, tmp_path)["vets"]
    assert "which has test.csv but no train, validation or test of .jsonl" in missing


# Cells

READ = {  # what a text cell may hold -> its text
    5: "5",
    -2.5: "-2.5",
    1e22: "1e+22",
    "  \u3000x ": "x",
}


@pytest.mark.parametrize("cell", READ)
def test_numbers_are_written_out_and_text_is_stripped(pets, tmp_path, cell):
    lines(tmp_path, {"text": cell, "label": 1})
    assert eval_rows(pets, tmp_path)[0].fields["text"] == READ[cell]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (True, "field 'text': a boolean where text should be"),
        (math.inf, "field 'text': an infinite number where text should be"),
        ({"x": 1}, "field 'text': a record with x where text should be"),
        ([["a"]], "field 'text': a list in a list where text should be"),
        (["a", False], "field 'text': a boolean in a list"),
    ],
)
def test_what_is_no_text_is_never_written_out_as_one(pets, tmp_path, cell, said):
    lines(tmp_path, GOOD, {"text": cell, "label": 1})
    found = refused(pets, tmp_path)
    assert f"test.jsonl:2: task vets, row test-1: malformed: {said}" in found


@pytest.mark.parametrize("cell", [None, "", " \t", math.nan])
def test_an_empty_cell_skips_the_row_and_is_counted(pets, tmp_path, cell):
    lines(tmp_path, GOOD, {"text": cell, "label": 1})
    found = rendering.check(pets, tmp_path, ["vets"])
    assert found.n_problems == 0 and found.tasks[0].skipped == {"empty text": 1}


LABELS = {0: 0, 1.0: 1, "1": 1, " 0 ": 0, "good": 1, "bad": 0}


@pytest.mark.parametrize("label", LABELS)
def test_labels_are_read_by_number_or_by_word(pets, tmp_path, label):
    lines(tmp_path, {"text": "a", "label": label})
    assert eval_rows(pets, tmp_path)[0].gold == LABELS[label]


@pytest.mark.parametrize("label", [-1, "-1", -1.0, None, "", math.nan])
def test_no_label_skips_the_row_and_is_counted(pets, tmp_path, label):
    lines(tmp_path, GOOD, {"text": "a", "label": label})
    assert rendering.check(pets, tmp_path, ["vets"]).tasks[0].skipped == {"no label": 1}


@pytest.mark.parametrize(
    "label",
    [
        2,
        -2,
        0.5,
        1e300,
        math.inf,
        -math.inf,
        10**4000,
        "0_1",
        "١",
        "1.0",
        "Good",
        "1e0",
        True,
        [1],
        {"a": 1},
        "9" * 4000,
        "--1",
        "x" * 10000,
    ],
)
def test_what_is_no_label_is_refused_by_row_and_column(pets, tmp_path, label):
    lines(tmp_path, GOOD, {"text": "a", "label": label})
    found = refused(pets, tmp_path)
    assert "test.jsonl:2: task vets, row test-1: label " in found
    assert "is none of the 2 options (bad, good); mend column 'label'" in found


def test_numpy_labels_are_what_they_hold():
    numpy = pytest.importorskip("numpy")
    task = make_task(options=("no", "yes"))
    for label in (numpy.bool_(True), numpy.int8(1), numpy.float32(1)):
        assert adapt_all({"text": "a", "label": label}, task, "r")[0].gold == 1
    with pytest.raises(DataError, match="label -3 is none"):
        adapt_all({"text": "a", "label": numpy.int64(-3)}, task, "r")


def make_task(**changes):
    given = {"key": "t", "title": "", "dataset": "t", "cluster": "c", "kind": "rank"}
    given |= {"metric": "accuracy", "columns": {"fields": ["text"], "label": "label"}}
    return Task(**{**given, "source": Source(), **changes})


def test_settings_belong_to_what_a_task_says_not_to_where_it_lies_in_memory():
    for n in range(40):  # tasks come and go; their places in memory are used again
        task = make_task(options=("a", "b"), columns={"fields": [f"f{n}"], "label": "label"})
        assert plan_of(task).fields[0][0] == f"f{n}"
    assert plan_of(make_task(options=("a", "b"))) is plan_of(make_task(options=("a", "b")))


@pytest.mark.parametrize(
    ("adapter", "row", "said"),
    [
        ("squad", {"answers": {"text": "Paris"}, "title": "t"}, "text where a list should be"),
        ("web_nlg", {"input": "A | b | c", "target": "x"}, "text where a list should be"),
        (
            "dart",
            {"tripleset": ["abc"], "annotations": {"text": ["x"]}},
            "text where a list should",
        ),
        ("drop", {"answer": {"number": b"1", "spans": []}}, "bytes where text should be"),
        ("stsb", {"label": math.inf}, "label inf is not between 0 and 5"),
        ("stsb", {"label": 5.4}, "label 5.4 is not between 0 and 5"),
        ("stsb", {"label": -0.4}, "label -0.4 is not between 0 and 5"),
        ("stsb", {"label": "\u0663"}, "text where a number should be"),
        ("hellaswag", {"ctx_a": "a", "ctx_b": b"b", "ctx": "c"}, "bytes where text should be"),
        ("ag_news", {"description": "d", "label": 1.5}, "label 1.5 is none of"),
    ],
)
def test_a_layout_never_takes_a_text_for_a_list_or_bytes_for_text(adapter, row, said):
    names = {"squad": "text", "web_nlg": "text", "dart": "text", "drop": "text"}
    fields = {"fields": ["title"], "optional": ["title"]}
    if adapter in names:
        settings = {**fields, "answer": names[adapter]}
        task = make_task(kind="generate", adapter=adapter, columns=settings)
    else:
        options = tuple("012345") if adapter == "stsb" else ("a", "b")
        task = make_task(adapter=adapter, options=options, columns={**fields, "label": "label"})
    with pytest.raises(DataError, match="task t, row r") as caught:
        adapt_all({"title": "t", **row}, task, "r")
    assert said in str(caught.value)


def test_options_and_keys_of_a_row_are_lists():
    settings = {"fields": ["text"], "label": "label", "options": "options"}
    task = make_task(columns=settings)
    (found,) = adapt_all({"text": "a", "label": 1, "options": ["x", "y"]}, task, "r")
    assert found.answers == ("y",)
    with pytest.raises(DataError, match=r"options \(column options\): text where a list"):
        adapt_all({"text": "a", "label": 1, "options": "xy"}, task, "r")
    task = make_task(columns={**settings, "keys": "keys"})
    row = {"text": "a", "label": "B", "options": ["x", "y"]}
    assert adapt_all({**row, "keys": ["A", "B"]}, task, "r")[0].gold == 1
    with pytest.raises(DataError, match="1 answer keys for 2 options"):
        adapt_all({**row, "keys": ["B"]}, task, "r")


# Parquet


def save(folder, columns, schema=None):
    path = folder / "vets" / "test.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns, schema=schema)
    pq.write_table(table, path)


def bad_text():
    raw = pa.array([b"fine", b"\xff\xfe"], pa.binary())
    return pa.Array.from_buffers(pa.string(), 2, raw.buffers())


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([b"fine", b"abc"]), "row 0: task vets, row test-0: .*'text': bytes where text"),
        (bad_text(), r"row 1: task vets, row test-1: .*an unreadable string"),
        (pa.array(["a", datetime.datetime(2020, 1, 1)][1:] * 2), "a date and time where text"),
        (pa.array([datetime.date(2020, 1, 1)] * 2), "a date where text should be"),
        (pa.array([2**62, 2**62 + 1], pa.timestamp("us")), "row 0: .*an unreadable timestamp"),
        (pa.array([{"a": 1}] * 2), "a record with a where text should be"),
        (pa.array([[["a"]]] * 2), "a list in a list where text should be"),
        (pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int8())), "a list in a list"),
        (pa.array([True, False]), "a boolean where text should be"),
        (pa.array([datetime.timedelta(1)] * 2), "a duration where text should be"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused(pets, tmp_path, column, said):
    save(tmp_path, {"text": column, "label": pa.array([1, 0])})
    found = refused(pets, tmp_path)
    import re

    assert "test.parquet" in found and re.search(said, found), found


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array([decimal.Decimal("1.50"), decimal.Decimal("-2.00")]), ["1.50", "-2.00"]),
        (pa.array([["a", "b"], ["c"]]), ["a, b", "c"]),
        (pa.array([7, 8], pa.uint64()), ["7", "8"]),
        (pa.array([None, "b"]), ["b"]),
        (pa.array([None, None], pa.null()), []),
    ],
)
def test_a_parquet_column_that_holds_text_is_read(pets, tmp_path, column, texts):
    save(tmp_path, {"text": column, "label": pa.array([1, 0])})
    assert [one.fields["text"] for one in eval_rows(pets, tmp_path)] == texts


def test_a_column_that_nobody_asks_for_may_hold_anything(pets, tmp_path):
    odd = {"when": pa.array([2**62] * 2, pa.timestamp("us")), "raw": pa.array([b"\xff"] * 2)}
    save(tmp_path, {"text": pa.array(["a", "b"]), "label": pa.array([1, 0]), **odd})
    assert [one.gold for one in eval_rows(pets, tmp_path)] == [1, 0]
    assert rendering.check(pets, tmp_path, ["vets"]).n_problems == 0


def test_a_column_that_stands_twice_is_refused(pets, tmp_path):
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array([1])]
    save(tmp_path, pa.Table.from_arrays(columns, names=["text", "text", "label"]))
    assert "test.parquet: column 'text' stands twice" in refused(pets, tmp_path)


# Anything

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
CELLS = st.recursive(
    SCALARS | st.dates() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@FAST
@given(text=CELLS, label=CELLS)
def test_any_cell_is_read_or_refused_by_row(text, label):
    task = make_task(options=("bad", "good"))
    try:
        examples = adapt_all({"text": text, "label": label}, task, "r")
    except DataError as error:
        said = str(error)
        assert said.startswith("task t, row r: ") and "\n" not in said and len(said) < 1_300
        assert "text" in said or "label" in said
        return
    for found in examples:  # none of a row that is no example
        assert isinstance(text, str | int | float | decimal.Decimal | list)
        assert not isinstance(text, bool) and isinstance(found.fields["text"], str)
        assert isinstance(label, int | float | str | decimal.Decimal) and found.gold in (0, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@FAST
@given(line=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_row_or_an_error(tmp_path_factory, line):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line)
    try:
        for place, row in files.objects(path):
            assert place.startswith(f"{path}:")
            assert isinstance(row, dict) or str(row).startswith(f"{place}: ")
            if isinstance(row, dict):
                json.dumps(row, ensure_ascii=False).encode()
    except DataError as error:
        assert "any.jsonl" in str(error)


# Ready-made prompts


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "2", "input": "half \\ud83d", "options": ["a"]}', ":2: column 'input': \\ud83d"),
        ('{"id": "\\ud83d", "input": "a", "options": ["a"]}', ":2: column 'id': \\ud83d is half"),
        ('{"id": "2", "input": "a", "options": ["a", "\\ude00"]}', ":2: column 'options': "),
        (b'{"id": "2", "input": "caf\xe9", "options": ["a"]}\n', ":2: not JSON in UTF-8"),
        ('{"id": "1", "input": "a", "options": ["a"]}', ":2: id '1' stands in"),
        ('{"id": ["1"], "input": "a", "options": ["a"]}', ":2: id is ['1']"),
        ('{"id": "2", "input": "a", "options": [""]}', ":2: options[0] is ''"),
        ('{"id": "2", "input": "a", "options": ["a", "b"], "gold": true}', ":2: gold is True"),
        ('{"id": "2", "input": ' + "[" * 9_999 + "]" * 9_999 + "}", "nested deeper"),
        ('{"id": "2", "input": 3, "options": "' + "x" * 9_999 + '"}', ":2: input is 3"),
    ],
)
def test_ready_made_prompts_are_read_as_strictly(tmp_path, line, said):
    first = {"id": "1", "input": "a", "options": ["b", "c"]}
    path = lines(tmp_path, first, line)
    with pytest.raises(DataError) as caught:
        score_tables.ready_made(path)
    assert f"{path}" in str(caught.value) and said in str(caught.value)
    assert len(str(caught.value)) < 600


def test_ready_made_prompts_may_begin_with_a_mark_and_are_no_pipe(tmp_path):
    path = lines(tmp_path, b'\xef\xbb\xbf{"id": "1", "input": "a", "options": ["b"]}\r\n')
    assert [line["id"] for line in score_tables.ready_made(path)] == ["1"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is a pipe or a device"):
        score_tables.ready_made(tmp_path / "pipe")
