"""Labels of a Parquet file mean its own class names, whatever their numbers."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pets import collection

from flanlib.core.errors import DataError
from flanlib.data import catalogue, sources
from flanlib.prompts import rendering

FLAN = catalogue.load("flan")


def save(path, columns, names=None, column="label", meta=None):
    """A file as the `datasets` library writes it, with names for one column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if names is not None:
        feature = {"_type": "ClassLabel", "names": names}
        meta = json.dumps({"info": {"features": {column: feature}}}).encode()
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata({b"huggingface": meta} if meta else None), path)


def vets(tmp_path, names, labels=(0, 1), replaced=None, **given):
    """Answers of the reviews, in the order of the file, and the collection."""
    pets = collection(tmp_path / "pets", replaced=replaced or {})
    rows = {"text": [f"visit {i}" for i in range(len(labels))], "label": pa.array(labels)}
    save(tmp_path / "rows" / "vets" / "test.parquet", rows, names, **given)
    return pets, tmp_path / "rows"


def answers(pets, rows, key="vets"):
    return [one.fields["answer"] for one in sources.examples(pets, key, "all", rows=rows)]


@pytest.mark.parametrize(
    ("names", "labels", "wanted"),
    [
        (["good", "bad"], [0, 1], ["good", "bad"]),
        (["bad", "good"], [0, 1], ["bad", "good"]),
        (["Good", "BAD"], [0, 1], ["good", "bad"]),
        (["good", "bad"], [1.0, None, 0.0, -1.0], ["bad", "good"]),
        (["1", "0"], [0, 1], ["good", "bad"]),
        (["0", "1"], [0, 1], ["bad", "good"]),
        (None, [0, 1], ["bad", "good"]),
    ],
)
def test_the_names_decide_which_option_a_number_is(tmp_path, capsys, names, labels, wanted):
    pets, rows = vets(tmp_path, names, labels)
    assert answers(pets, rows) == wanted
    checked = rendering.check(pets, rows, ["vets"])
    assert (checked.n_problems, checked.tasks[0].notes) == (0, [])
    assert "trust" not in capsys.readouterr().err


def test_other_words_are_taken_in_order_and_it_is_said_once(tmp_path, capsys):
    pets, rows = vets(tmp_path, ["awful", "lovely"], [1, 0])
    assert answers(pets, rows) == answers(pets, rows) == ["good", "bad"]
    said = capsys.readouterr().err
    assert said.count("has classes awful, lovely; they are taken for the options bad, good") == 1
    assert "on trust" in said and "test.parquet" in said
    found = rendering.check(pets, rows, ["vets"])
    assert found.n_problems == 0 and len(found.tasks[0].notes) == 1
    assert found.table().endswith("0 problems; 1 taken on trust")


def test_a_word_at_another_place_is_no_matter_of_trust(tmp_path):
    pets, rows = vets(tmp_path, ["good", "awful"])
    with pytest.raises(DataError, match=r"'good' is in both, at another place; .*`names`"):
        answers(pets, rows)
    assert rendering.check(pets, rows, ["vets"]).n_problems == 1


@pytest.mark.parametrize("label", [2, 7, -2])
def test_a_label_beyond_the_names_is_an_error_with_file_and_row(tmp_path, label):
    pets, rows = vets(tmp_path, ["good", "bad"], [0, -1, label, label])
    said = rf"test.parquet, row 2: column 'label': label {label}, but the file names 2 classes"
    with pytest.raises(DataError, match=said):
        answers(pets, rows)
    checked = rendering.check(pets, rows, ["vets"]).tasks[0]
    assert checked.n_problems == 2 and checked.skipped == {"no label": 1}


@pytest.mark.parametrize(
    "meta",
    [
        b"{damaged",
        b"\xff",
        b"[]",
        b'{"info": []}',
        b'{"info": {"features": [1]}}',
        b"[" * 100_000,
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": "bad"}}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": [1, 2]}}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "a"]}}}}',
    ],
)
def test_damaged_metadata_are_an_error_with_the_file(tmp_path, meta):
    pets, rows = vets(tmp_path, None, meta=meta)
    with pytest.raises(DataError, match=r"vets/test.parquet: .*metadata") as caught:
        answers(pets, rows)
    assert "\n" not in str(caught.value)
    assert rendering.check(pets, rows, ["vets"]).tasks[0].problems == [str(caught.value)]


def test_names_of_the_catalogue_win_and_are_compared_as_words(tmp_path):
    named = {"label: label}": "label: label, names: [neg_review, pos_review]}"}
    pets, rows = vets(tmp_path, ["Pos review", "Neg review"], replaced=named)
    assert answers(pets, rows) == ["good", "bad"]
    pets, rows = vets(tmp_path, ["up", "down"], replaced=named)
    with pytest.raises(DataError, match="has classes up, down; task vets knows neg_review"):
        answers(pets, rows)


def test_values_of_a_map_and_letters_of_keys_are_named_by_the_file(tmp_path):
    mapped = {"label: label}": "label: label, map: {'0': bad, '4': good, '2': null}}"}
    pets, rows = vets(tmp_path, ["4", "2", "0"], [0, 1, 2], replaced=mapped)
    assert answers(pets, rows) == ["good", "bad"]
    pets, rows = vets(tmp_path, ["good", "bad"], [0, 1], replaced=mapped)
    assert answers(pets, rows) == ["good", "bad"]
    keys = {
        "question_stem": ["q"] * 2,
        "fact1": ["f"] * 2,
        "choices": [{"text": list("wxyz"), "label": list("ABCD")}] * 2,
        "answerKey": [0, 3],
    }
    save(tmp_path / "openbookqa" / "test.parquet", keys, list("DCBA"), column="answerKey")
    assert answers(FLAN, tmp_path, "openbookqa") == ["z", "w"]


def test_classes_named_like_the_columns_of_options(tmp_path):
    columns = {"goal": ["g"] * 2, "sol1": ["a"] * 2, "sol2": ["b"] * 2, "label": [0, 1]}
    save(tmp_path / "piqa" / "test.parquet", columns, ["sol2", "sol1"])
    assert answers(FLAN, tmp_path, "piqa") == ["b", "a"]


def test_the_flan_tasks_without_names_of_their_own(tmp_path, capsys):
    save(
        tmp_path / "yelp_polarity" / "test.parquet",
        {"text": ["a", "b"], "label": [0, 1]},
        ["positive", "negative"],
    )
    assert answers(FLAN, tmp_path, "yelp_polarity_reviews") == ["positive", "negative"]
    text = {"text": ["Some words with no agency at all"] * 2, "label": [0, 3]}
    save(tmp_path / "ag_news" / "test.parquet", text, ["World", "Sports", "Business", "Sci/Tech"])
    assert answers(FLAN, tmp_path, "ag_news_subset") == ["World", "Science/Tech"]
    apart = {"title": ["t"] * 2, "description": ["d"] * 2, "label": [0, 3]}
    save(tmp_path / "ag_news" / "test.parquet", apart, ["World", "Sports", "Business", "Sci/Tech"])
    assert answers(FLAN, tmp_path, "ag_news_subset") == ["World", "Science/Tech"]
    assert "on trust" in capsys.readouterr().err
    paws = {"sentence1": ["a"] * 2, "sentence2": ["b"] * 2, "label": [0, 1]}
    save(tmp_path / "paws" / "test.parquet", paws, ["0", "1"])
    assert answers(FLAN, tmp_path, "paws_wiki") == ["no", "yes"]
    assert "paws" not in capsys.readouterr().err


def test_classes_of_a_label_within_a_record(tmp_path):
    pets = collection(tmp_path / "pets", replaced={"label: label": "label: meta.label"})
    rows = {"text": ["a", "b", "c"], "meta": [{"label": 0}, {"label": 1}, None]}
    feature = {"label": {"_type": "ClassLabel", "names": ["good", "bad"]}}
    meta = json.dumps({"info": {"features": {"meta": feature}}}).encode()
    save(tmp_path / "rows" / "vets" / "test.parquet", rows, meta=meta)
    found = sources.examples(pets, "vets", "all", rows=tmp_path / "rows")
    assert [next(found).fields["answer"] for _ in range(2)] == ["good", "bad"]
    with pytest.raises(DataError, match=r"test\.parquet, row 2: .*no column 'meta\.label'"):
        next(found)


@pytest.mark.parametrize(
    ("names", "table", "wanted"),
    [
        (["pos", "neg"], "'0': good, '1': bad", ["good", "bad"]),
        (["pos", "neg", "none"], "pos: good, neg: bad, none: null", ["good", "bad"]),
        (["Pos", "NEG"], "pos: good, neg: bad", ["good", "bad"]),
        (["neg", "pos", "odd"], "pos: good, neg: bad", ["bad", "good"]),
        (["good", "bad"], "'0': bad, '1': good", ["good", "bad"]),
    ],
)
def test_a_map_of_labels_counts_before_the_order_of_options(tmp_path, names, table, wanted):
    replaced = {"label: label": f"label: label, map: {{{table}}}"}
    assert answers(*vets(tmp_path, names, replaced=replaced)) == wanted


def test_a_class_that_a_map_of_names_lacks_is_refused(tmp_path):
    replaced = {"label: label": "label: label, map: {pos: good, neg: bad}"}
    pets, rows = vets(tmp_path, ["neg", "pos", "odd"], [0, 2], replaced=replaced)
    with pytest.raises(DataError, match=r"row 1: .*label 'odd' is none of pos, neg"):
        answers(pets, rows)
