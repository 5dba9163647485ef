"""What a catalogue may say: every fault is one line with file, entry and field."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pets import CATALOGUE, collection, lines

from flanlib.core import documents, paths
from flanlib.core.errors import DataError, FlanlibError, ParameterError, TemplateError
from flanlib.data import catalogue, keys, sources
from flanlib.prompts import rendering
from flanlib.prompts.template import TemplateSet

FAST = settings(max_examples=60, deadline=None)
COLUMNS = "columns: {fields: [text], label: label}"


def problem(folder, *replaced):
    with pytest.raises(DataError) as caught:
        collection(folder, replaced=dict(replaced))
    said = str(caught.value)
    assert said.startswith(f"{folder / 'catalogue.yaml'}")
    assert "\n" not in said and len(said) < 700
    return said


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("[fields]", "columns: Input should be a valid dictionary"),
        ("{fields: [text], label: [label]}", "columns.label: found ['label']; wanted is the name"),
        ("{fields: [text], label: ''}", "columns.label: found ''"),
        ("{fields: [text], label: a..b}", "columns.label: found 'a..b'"),
        ("{fields: 3, label: label}", "columns.fields: found 3; wanted is a list of names"),
        ("{fields: [3], label: label}", "columns.fields: found [3]"),
        ("{fields: text, label: label}", "columns.fields: found 'text'"),
        ("{fields: [], label: label}", "columns.fields: found []"),
        ("{fields: [text, text], label: label}", "columns.fields: found ['text', 'text']"),
        ("{fields: [answer], label: label}", "none of them 'answer'"),
        ("{fields: {text: [1]}, label: label}", "columns.fields: found {'text': [1]}"),
        ("{fields: [text], label: label, clean: [spacs]}", "found 'spacs' (did you mean 'spaces'"),
        ("{fields: [text], label: label, clean: spaces}", "columns.clean: found 'spaces'; wanted"),
        ("{fields: [text], label: label, optional: 3}", "columns.optional: found 3"),
        ("{fields: [text], label: label, optional: [txt]}", "columns.optional: found 'txt' (did"),
        ("{fields: [text], label: label, ask: [x]}", "columns.ask: found 'x'"),
        ("{fields: [text], label: label, group: 3}", "columns.group: found 3"),
        ("{fields: [text], label: label, first: '1'}", "columns.first: found '1'"),
        ("{fields: [text], label: label, first: true}", "columns.first: found True"),
        ("{fields: [text], label: label, names: [a]}", "columns.names: found ['a']; one for each"),
        ("{fields: [text], label: label, map: {a: god}}", "found 'god' (did you mean 'good'"),
        ("{fields: [text], label: label, map: {0: good}}", "key '0' is read as int; put it in"),
        ("{fields: [text], label: label, merge: 'yes'}", "columns.merge: found 'yes'"),
        ("{fields: [text], label: label, n_options: 1}", "columns.n_options: found 1"),
        ("{fields: [text], label: label, lable: x}", "unknown column setting 'lable' (did you"),
        ("{fields: [text]}", "columns lack 'label'"),
        ("{fields: [text], label: label}, adapter: column", "no adapter 'column' (did you mean"),
        ("{fields: [text], label: label}, adaptr: x", "there is no such field (did you mean 'ada"),
    ],
)
def test_column_settings_are_checked_when_the_catalogue_is_read(tmp_path, new, said):
    found = problem(tmp_path, (COLUMNS, f"columns: {new}"))
    assert said in found and ("vets" in found or "catalogue.yaml:" in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("options: [bad, good]", "options: ['', good]", "'vets', options.0: empty"),
        ("options: [bad, good]", "options: [' ', good]", "'vets', options.0: empty"),
        ("options: [bad, good]", "options: ['bad ', good]", "begins or ends with white space"),
        ("options: [bad, good]", 'options: ["a\\nb", good]', "options.0: has a line break"),
        ("options: [bad, good]", "options: [no, yes]", "found False; put it in quotes"),
        (
            "options: [bad, good]",
            "options: [010, 8]",
            ":7: not YAML: '010': write a number in plain",
        ),
        ("options: [bad, good]", "options: [1:30, 8]", "'1:30': write a number in plain digits"),
        ("options: [bad, good]", "options: [10, 8]", "found 10; put it in quotes"),
        ("options: [bad, good]", "options: [good, good]", "options ('good', 'good') are not"),
        ("options: [bad, good]", "options: [good]", "options ('good',) are not distinct"),
        ("options: [bad, good]", "options: [2020-01-01, good]", "put it in quotes"),
        ("options: [bad, good]", "options: bad", "options: Input should be"),
        ("train: train, eval: test", "train: train, evl: test", "source.splits: no split 'evl'"),
        ("train: train, eval: test", "train: 'train[5:10]'", "source.splits.train: split 'train[5"),
        (
            "train: train, eval: test",
            "eval: 'train[:-9]'",
            "source.splits.eval: 'train[:-9]' is no",
        ),
        ("route: manual", "route: manul", "source.route: "),
        ("route: manual", "part: 3/2, route: manual", "source.part: no part"),
        ("route: manual", "part: 0/2, route: manual", "source.part: no part"),
        ("route: manual", "folder: ../up, route: manual", "source.folder: no key"),
        ("route: manual", "folder: /etc, route: manual", "source.folder: no key"),
        ("route: manual", "hub_id: ../../etc, route: manual", "source.hub_id: leads out"),
        ("route: manual", "data_files: {train: ../x}, route: manual", "leads out of its folder"),
        ("route: manual", "data_files: {train: /x}, route: manual", "data_files.train: no path"),
        ("route: manual", "config: abc, route: micro", "source.config: found 'abc'; route micro"),
        ("route: manual", "route: micro", "source.config: found ''"),
        ("title: Reviews of vets", "title: no", "title: Input should be a valid string; found Fa"),
        ("title: Reviews of vets", 'title: "a\\nb"', "title: has a line break"),
        ("dataset: vets", "dataset: vets, templates: ../vets", "templates: no key"),
        ("dataset: vets", "dataset: ../vets", "dataset: no key"),
        ("dataset: vets", "dataset: Food", "dataset 'food' and 'Food' differ only in the case"),
        ("dataset: vets", "dataset: vets, n_train: true", "n_train: Input should be a valid int"),
        ("dataset: vets", "dataset: vets, n_train: .nan", "n_train: "),
        ("dataset: vets", "dataset: vets, n_train: 1_000", "'1_000': write a number in plain"),
        ("domain: NLU}", "domain: NLU, neighbours: habits}", "should be a valid list; found"),
        ("domain: NLU}", "domain: NLU, neighbours: [sentimnt]}", "unknown neighbours"),
        ("key: habits", "key: Sentiment", "cluster 'Sentiment' and 'sentiment' differ only"),
        ("key: food", "key: VETS", "task 'VETS' and 'vets' differ only"),
        ("key: food", "key: vets", "task 'vets' stands twice"),
    ],
)
def test_every_entry_names_its_field(tmp_path, old, new, said):
    assert said in problem(tmp_path, (old, new))


@pytest.mark.parametrize(
    "key",
    [
        "../up",
        "/abs",
        "a/b",
        "a\\\\b",
        "..",
        ".",
        ".hidden",
        "-a",
        "",
        " ",
        "a b",
        "a+b",
        "a,b",
        "a\\nb",
        "a\\0b",
        "a\\tb",
        "a:b",
        "a*b",
        "$a",
        "~",
        "x" * 65,
        "字" * 50,
        "e\\u0301",
        "a\\u202eb",
        "a.",
        "NUL",
        "aux.b",
        "results.jsonl",
    ],
)
def test_a_key_that_is_more_than_a_name_is_refused_for_whatever_it_names(tmp_path, key):
    for old in ("key: vets", "dataset: vets", "key: sentiment"):
        found = problem(tmp_path / old.replace(": ", "-"), (old, f'{old.split(":")[0]}: "{key}"'))
        assert "no key" in found and ("key: " in found or "dataset: " in found)


@pytest.mark.parametrize(
    "key", ["a", "a-b", "a.b", "a$b$c", "anli_r1", "2024", "_x", "兽医", "हिन्दी", "é"]
)
def test_letters_of_any_script_make_a_key(tmp_path, key):
    found = collection(tmp_path, replaced={"key: vets": f"key: '{key}'"})
    assert key in found.tasks


def test_keys_that_are_there_stay(tmp_path):
    for path in paths.DATA.glob("*/catalogue.yaml"):
        found = catalogue.load(path.parent.name)
        for one in (*found.tasks, *found.clusters, *found.datasets()):
            assert keys.key(one) == one


def test_nothing_is_written_outside_of_where_it_was_asked_for(tmp_path):
    problem(tmp_path / "pets", ("key: vets", "key: ../../../escape"))
    assert [p.name for p in tmp_path.iterdir()] == ["pets"]


def test_a_task_of_the_micro_world_that_is_none_is_named(tmp_path):
    found = collection(tmp_path, replaced={"route: manual": "config: '1', route: micro"})
    said = "task vets: route micro has no task of that key"
    with pytest.raises(DataError, match=said):
        list(sources.examples(found, "vets", "eval"))
    assert said in rendering.check(found, None, ["vets"]).tasks[0].problems[0]


# YAML


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("? [a, b]\n: 1\n", "a sequence as a key"),
        ("? {a: b}\n: 1\n", "a mapping as a key"),
        ("1: x\n", "key '1' is read as int"),
        ("no: x\n", "key 'no' is read as bool"),
        ("~: x\n", "key '~' is read as null"),
        ("title: a\ntitle: b\n", ":2: not YAML: key 'title' stands twice"),
        ("[" * 200_000 + "]" * 200_000, "nested deeper than 50 levels"),
        ("{a: " * 200_000, "nested deeper than 50 levels"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(1, 200)), "nested deeper"),
        ("a: &a [*a]\n", "alias 'a' stands in itself"),
        ("a: *b\n", "undefined alias"),
        (
            "a0: &a0 [x, x]\n"
            + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "more than 200000 values, aliases included",
        ),
        (
            "a0: &a0 {k: x}\n"
            + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
            "more than 200000 values, aliases included",
        ),
        ("title: !!binary aGk=\n", "could not determine what tag"),
        ("title: 2001-99-99\n", "'2001-99-99': month must be in 1..12"),
        ("title: " + "1" * 9_999 + "\n", "too long for a number"),
        ("title: 0b_\n", "'0b_': write a number"),
        ("--- {a: 1}\n--- {b: 2}\n", "another document"),
        ("title: \x07\n", "unacceptable character"),
        ('title: "\\ud83d"\n', "escape"),
        (b"title: caf\xe9\n", "not UTF-8 (byte 10)"),
        ("title: x".encode("utf-16"), "not UTF-8"),
        ("", "empty, not a mapping"),
        ("- a\n", "a list, not a mapping"),
        ("title: [x]\nclusterz: []\n", "clusterz: there is no such field (did you mean 'clusters'"),
    ],
)
def test_a_document_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(DataError) as caught:
        collection(tmp_path, text=text)
    found = str(caught.value)
    assert found.startswith(f"{tmp_path / 'catalogue.yaml'}") and said in found
    assert "\n" not in found and len(found) < 700


def test_aliases_merges_and_a_mark_are_read(tmp_path):
    text = CATALOGUE.replace("source: {route", "source: &here {route", 1)
    text = text.replace(
        "source: {route: manual, obtain: your own notes, splits: {train: train, eval: test}}",
        "source: {<<: *here, obtain: your own notes}",
    )
    found = collection(tmp_path, text="\ufeff" + text)
    assert found.task("food").source.splits == {"train": "train", "eval": "test"}
    assert found.task("food").source.obtain == "your own notes"


YAMLISH = st.lists(
    st.sampled_from(
        [
            "title",
            "clusters",
            "tasks",
            "key",
            "a",
            ": ",
            ":",
            "- ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "\n",
            "\n  ",
            "\n    ",
            "&x ",
            "*x",
            "<<",
            "!!set ",
            "!",
            "|",
            ">",
            "'",
            '"',
            "#",
            "~",
            "---\n",
            "...\n",
            "no",
            "1",
            "010",
            "1e9",
            ".nan",
            "2020-01-01",
            "%",
            "@",
            "\t",
            "é",
        ]
    )
    | st.text(string.printable, max_size=3),
    max_size=30,
).map("".join)


@FAST
@given(text=YAMLISH)
def test_any_text_is_a_document_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    for schema, error in ((catalogue._File, DataError), (TemplateSet, TemplateError)):
        with pytest.raises(FlanlibError) as caught:
            documents.read(path, schema, error)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_rows_of_a_key_in_another_script(tmp_path):
    found = collection(tmp_path / "pets", replaced={"key: vets": "key: 兽医"})
    lines(tmp_path / "rows", {"text": "a", "label": 1}, task="兽医")
    assert next(sources.examples(found, "兽医", "all", rows=tmp_path / "rows")).task == "兽医"


@pytest.mark.parametrize("held_out", ["habits+habits", "habits+sentiment+habits"])
def test_a_cluster_is_held_out_once(tmp_path, held_out):
    with pytest.raises(ParameterError, match="held out: 'habits' stands twice"):
        collection(tmp_path).held_out(held_out)
