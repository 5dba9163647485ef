"""Every source layout and label trap of the FLAN collection, row by row."""

import json
import re
import timeit
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.core.errors import DataError
from flanlib.core.paths import ROOT
from flanlib.data import catalogue, cleaners, sources
from flanlib.data.adapters import adapt_all, cut_key
from flanlib.data.cleaners import CLEANERS, stripped_lines, visible
from flanlib.data.layouts import SkipRow
from flanlib.prompts import templates

FLAN = catalogue.load("flan")
ROWS = json.loads((Path(__file__).parent / "fixtures" / "rows.json").read_text(encoding="utf-8"))
REAL = ROOT.parent / "shared" / "realdata"


def adapt(row, task, row_id):
    """The first example in a row; `SkipRow` says why there is none."""
    skipped = Counter()
    if found := adapt_all(row, task, row_id, skipped):
        return found[0]
    raise SkipRow(next(iter(skipped), "empty"))


def example(key, **changes):
    return adapt({**ROWS[key], **changes}, FLAN.task(key), "r")


def skip_reason(key, **changes):
    with pytest.raises(SkipRow) as caught:
        example(key, **changes)
    return str(caught.value)


# The catalogue


def test_both_ways_of_counting():
    counted = {t.dataset for t in FLAN.tasks.values() if t.in_paper}
    assert len(counted) == 62
    assert len(FLAN.clusters) == 12
    assert len(FLAN.tasks) == 72
    sizes = {k: len({t.dataset for t in FLAN.of_cluster(k) if t.in_paper}) for k in FLAN.clusters}
    assert list(sizes.values()) == [7, 4, 4, 4, 3, 4, 8, 5, 2, 3, 7, 11]


def test_neighbours_leave_with_the_cluster_held_out():
    assert {t.cluster for t in FLAN.held_out("nli").tuning}.isdisjoint({"nli", "paraphrase"})
    left = {t.cluster for t in FLAN.held_out("reading_comprehension_commonsense").tuning}
    assert left.isdisjoint({"reading_comprehension", "commonsense"})
    for key in ("reading_comprehension", "commonsense"):
        left = {t.cluster for t in FLAN.held_out(key).tuning}
        assert "reading_comprehension_commonsense" not in left
        assert len(left) == 10


def test_every_ledger_entry_is_a_sentence_and_every_hub_id_is_full():
    for task in FLAN.tasks.values():
        assert not task.substitution or task.substitution.endswith(".")
        assert task.source.route == "manual" or task.source.hub_id.count("/") == 1, task.key
        assert (task.source.route == "manual") <= bool(task.source.obtain), task.key
        if task.source.data_files:
            assert task.source.revision == "refs/convert/parquet"
            assert not any("challenge" in name for name in task.source.data_files.values())


# A fixture row per task


@pytest.mark.parametrize("key", FLAN.tasks)
def test_fixture_row_gives_the_fields_its_templates_name(key):
    task = FLAN.task(key)
    found = adapt_all(ROWS[key], task, "r")
    assert found
    stem = FLAN.root / "templates" / f"{task.template_set}.yaml"
    for one in found:
        assert one.fields["answer"] == one.answers[0] != ""
        assert all(isinstance(text, str) for text in one.fields.values())
        if stem.is_file():
            named = set(templates.load(FLAN.root, task.template_set).fields)
            assert named == set(one.fields) - {"answer"}
        if task.kind == "rank":
            assert one.options[one.gold] == one.fields["answer"]
            assert len(set(one.options)) == len(one.options) >= 2
        else:
            assert one.options == () and one.gold is None


def test_fixtures_and_tasks_are_the_same_set():
    assert set(ROWS) == set(FLAN.tasks)


@pytest.mark.parametrize("key", FLAN.tasks)
def test_real_rows_adapt(key):
    task = FLAN.task(key)
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not here")
    if sources.available(FLAN, REAL, "all")[key]:
        pytest.skip(f"no rows of {key} in {REAL}")
    skipped, n = Counter(), 0
    for one in sources.examples(FLAN, key, "all", rows=REAL, skipped=skipped):
        n += 1
        required = set(one.fields) - set(task.columns.get("optional", ()))
        assert all(one.fields[name] for name in required), one
        if one.options:
            assert len(set(one.options)) == len(one.options) >= 2
            assert one.options[one.gold] == one.answers[0] == one.fields["answer"]
    assert n > 0
    assert set(skipped) <= {"nothing to restore"}


# Labels


@pytest.mark.parametrize("key", ["rte", "snli", "piqa", "cosmos_qa", "imdb_reviews", "multirc"])
@pytest.mark.parametrize("label", [-1, "-1", "", None])
def test_hidden_and_undecided_labels_are_skipped(key, label):
    assert skip_reason(key, label=label) == "no label"


@pytest.mark.parametrize(
    ("key", "column"),
    [("winogrande", "answer"), ("hellaswag", "label"), ("openbookqa", "answerKey")],
)
def test_empty_text_labels_are_skipped(key, column):
    assert skip_reason(key, **{column: ""}) == "no label"
    assert skip_reason("stsb", label=-1.0) == "no label"


def test_label_orders_differ_between_datasets():
    answers = {
        key: [example(key, label=i).fields["answer"] for i in range(n)]
        for key, n in (("snli", 3), ("cb", 3), ("rte", 2), ("wnli", 2))
    }
    assert answers["snli"] == ["yes", "it is not possible to tell", "no"]
    assert answers["cb"] == ["yes", "no", "it is impossible to say"]
    assert answers["rte"] == ["yes", "no"]
    assert answers["wnli"] == ["no", "yes"]


def test_labels_may_be_class_names():
    assert example("cb", label="contradiction").fields["answer"] == "no"
    assert example("wnli", label="entailment").fields["answer"] == "yes"
    assert example("trec", coarse_label="HUM").fields["answer"] == "human"
    assert example("trec", coarse_label=3).fields["answer"] == "human"


def test_answers_that_count_from_one():
    assert example("winogrande", answer="2").fields["answer"] == "Carl"
    assert example("story_cloze", answer_right_ending=2).fields["answer"] == "Mia bought a piano."
    assert example("story_cloze").fields["answer"] == "Mia ran home soaked."
    with pytest.raises(DataError, match="task winogrande, row r: label '3'"):
        example("winogrande", answer="3")


def test_a_one_based_label_is_never_taken_for_an_option_text():
    found = example("winogrande", option1="2", option2="7", answer="2")
    assert found.fields["answer"] == "7"


def test_sentiment140_values():
    assert example("sentiment140", sentiment=0).fields["answer"] == "negative"
    assert example("sentiment140", sentiment=4).fields["answer"] == "positive"
    assert skip_reason("sentiment140", sentiment=2) == "label 2 is left out"
    with pytest.raises(DataError, match="label 1 is none of 0, 4, 2"):
        example("sentiment140", sentiment=1)


def test_yelp_labels_are_indices_though_its_names_are_1_and_2():
    assert example("yelp_polarity_reviews", label=0).fields["answer"] == "negative"
    assert example("yelp_polarity_reviews", label=1).fields["answer"] == "positive"


def test_ag_news_counts_from_one_where_the_title_is_apart():
    assert example("ag_news_subset").fields["answer"] == "Sports"
    joined = {"text": "Some words with no agency at all", "label": 1}
    found = adapt(joined, FLAN.task("ag_news_subset"), "r")
    assert found.fields == {"title": "", "text": joined["text"], "answer": "Sports"}


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        (
            "Oil Climbs a Little (Reuters) Reuters - Oil rose.",
            "Oil Climbs a Little",
            "Reuters - Oil",
        ),
        ("Stocks Are Lower NEW YORK (Reuters) - Shares fell.", "Stocks Are Lower", "NEW YORK (Reu"),
        ("Team didn #39;t win PARIS -- They lost.", "Team didn't win", "PARIS -- They"),
    ],
)
def test_ag_news_joined_titles(text, title, rest):
    found = adapt({"text": text, "label": 2}, FLAN.task("ag_news_subset"), "r")
    assert found.fields["title"] == title
    assert found.fields["text"].startswith(rest)


@pytest.mark.parametrize(("score", "answer"), [(4.4, "4"), (2.5, "3"), (0.0, "0"), (5.0, "5")])
def test_stsb_rounds_half_up(score, answer):
    assert example("stsb", label=score).fields["answer"] == answer


def test_a_label_out_of_range_names_task_row_and_value():
    with pytest.raises(DataError, match="task rte, row r: label 7 is none of the 2 options"):
        example("rte", label=7)


def test_hellaswag_begins_the_broken_off_sentence_with_a_capital():
    row = {"ctx": "A man walks. he", "ctx_a": "A man walks.", "ctx_b": "he"}
    assert example("hellaswag", **row).fields["context"] == "A man walks. He"
    assert example("hellaswag", **row | {"ctx_a": "A man"}).fields["context"] == "A man he"
    row = {"ctx": "[header] How to boil", "ctx_a": "[header] How to boil", "ctx_b": ""}
    assert example("hellaswag", **row).fields["context"] == "How to boil"


@pytest.mark.parametrize(
    ("value", "aliases", "written"),
    [
        ("GREEN BAY PACKERS", ["Green bay packers", "Green Bay Packers"], "Green Bay Packers"),
        ("BEETHOVEN", ["L. v. Beethoven"], "BEETHOVEN"),
        ("NATO", ["Nato"], "NATO"),
        ("Carbon", ["CARBON"], "Carbon"),
    ],
)
def test_trivia_qa_does_not_shout_where_an_alias_does_not(value, aliases, written):
    found = example("trivia_qa", answer={"value": value, "aliases": aliases})
    assert found.fields["answer"] == written
    assert set(found.answers) == {written, *aliases}


# Options


def test_answer_keys_are_letters_or_digits():
    choices = {"text": ["a1", "b1", "c1", "d1"], "label": ["1", "2", "3", "4"]}
    assert example("arc_easy", choices=choices, answerKey="3").fields["answer"] == "c1"
    assert example("openbookqa", answerKey=" B ").fields["answer"] == "turn to stone"
    with pytest.raises(DataError, match="answer key 'E' is none of A, B, C, D"):
        example("arc_easy", answerKey="E")


def test_choices_may_be_a_list_of_records():
    listed = [{"text": t, "label": k} for t, k in zip("wxyz", "ABCD", strict=True)]
    with pytest.raises(DataError, match="task arc_easy"):
        example("arc_easy", choices="wxyz")
    assert example("arc_easy", choices=listed, answerKey="D").fields["answer"] == "z"


def test_arc_keeps_four_choices():
    choices = {"text": ["a", "b", "c"], "label": ["A", "B", "C"]}
    assert skip_reason("arc_challenge", choices=choices) == "3 options, not 4"


def test_equal_options_become_one_and_the_right_answer_stays():
    found = example("cosmos_qa", answer0="x", answer1="y", answer2="x", answer3="z", label=2)
    assert found.options == ("x", "y", "z")
    assert found.gold == 0
    assert skip_reason("piqa", sol1="same", sol2="same ") == "options repeat"
    assert skip_reason("piqa", sol2=" ") == "empty option"


def test_record_gap_entities_and_answers():
    found = example(
        "record", entities=["Kim Lee", "Ana Ruiz", "Kim Lee "], answers=["Ana Ruiz", "Ana Ruiz"]
    )
    assert found.fields["query"] == "____ lifted the cup afterwards."
    assert found.fields["passage"] == "Ana Ruiz beat Kim Lee in the final."
    assert found.options == ("Kim Lee", "Ana Ruiz")
    assert found.gold == 1 and found.answers == ("Ana Ruiz",)
    both = example("record", answers=["Kim Lee", "Ana Ruiz"])
    assert both.options[both.gold] == "Kim Lee" and both.answers == ("Kim Lee", "Ana Ruiz")
    assert skip_reason("record", answers=[]) == "no label"
    assert skip_reason("record", answers=["Bo"]) == "no entity is the answer"
    with pytest.raises(DataError, match="row r: malformed: query has no @placeholder"):
        example("record", query="no gap")


# Answers


def test_squad_answers_and_unanswerable_questions():
    assert example("squad_v1").fields["title"] == "Sample Town"
    assert example("squad_v2").answers == ("unanswerable",)
    empty = {"text": [], "answer_start": []}
    assert skip_reason("squad_v1", answers=empty) == "no answer"
    listed = [{"text": "1820", "answer_start": 27}, {"text": "in 1820", "answer_start": 24}]
    assert example("squad_v1", answers=listed).answers == ("1820", "in 1820")


def test_drop_answers():
    blank = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": []}
    date = {**blank, "date": {"day": "4", "month": "May", "year": "1901"}}
    several = {**blank, "spans": ["Ann", "Bo"]}
    assert example("drop").answers == ("21",)
    assert example("drop", answer=date).answers == ("4 May 1901",)
    assert example("drop", answer=several).answers == (("Ann", "Bo"),)
    assert example("drop", answer=several).fields["answer"] == "Ann, Bo"
    town = {**blank, "spans": ["Washington, D.C."]}
    assert example("drop", answer=town).answers == ("Washington, D.C.",)
    twice = example("drop", answer={**blank, "spans": ["Ann", "Ann"]})
    assert (twice.answers, twice.fields["answer"]) == ((("Ann", "Ann"),), "Ann")
    assert skip_reason("drop", answer=blank) == "empty answer"
    more = {"number": ["", "20"], "date": [{"day": "1"}, {}], "spans": [["x", "y"], []]}
    assert example("drop", validated_answers=more).answers == ("21", ("x", "y"), "20")


@pytest.mark.parametrize("zero", [0, "0", 0.0])
def test_a_number_that_is_zero_is_an_answer(zero):
    none = {"day": "", "month": "", "year": ""}
    found = example("drop", answer={"number": zero, "date": none, "spans": []})
    assert found.answers == (str(zero),)
    for absent in (None, float("nan"), ""):
        dated = {"number": absent, "date": {**none, "year": 1999}, "spans": None}
        assert example("drop", answer=dated).answers == ("1999",)


def test_drop_in_the_layout_of_spans_and_types():
    row = {"passage": "p", "question": "q?", "answers_spans": {"spans": ["a", "b"]}}
    task = FLAN.task("drop")
    assert adapt({**row}, task, "r").answers == (("a", "b"),)
    row["answers_spans"] = {"spans": ["a, b", "3", "a, b"], "types": ["span", "number", "span"]}
    assert adapt(row, task, "r").answers == ("a, b", "3")
    row["answers_spans"]["types"] = ["number", "span", "number"]
    assert adapt(row, task, "r").answers == ("a, b", "3")
    row["answers_spans"] = {"spans": ["3", "4"], "types": ["number", "number"]}
    assert adapt(row, task, "r").answers == ("3", "4")


def test_trivia_qa_aliases_and_hidden_answers():
    found = example("trivia_qa")
    assert found.answers == ("River Ex", "The Ex")
    hidden = {"value": "<unk>", "aliases": []}
    assert skip_reason("trivia_qa", answer=hidden) == "empty answer"


def test_questions_get_their_mark_once():
    assert example("natural_questions").fields["question"].endswith("hall?")
    assert example("natural_questions", question="why?").fields["question"] == "why?"
    assert example("bool_q").fields["question"].endswith("monday?")


def test_boolq_title():
    found = example("bool_q")
    assert found.fields["title"] == "City Museum"
    assert found.fields["passage"] == "The City Museum is closed on Mondays."
    other = {"question": "is it", "passage": "No dashes here.", "answer": True}
    plain = adapt(other, FLAN.task("bool_q"), "r")
    assert (plain.fields["title"], plain.fields["answer"]) == ("", "yes")


def test_math_is_unwrapped():
    found = example("math_dataset")
    assert (found.fields["question"], found.fields["answer"]) == ("Solve 3*k + 2 = 11 for k.", "3")
    bare = example("math_dataset", question="Solve b = 2 for b.", answer="2")
    assert bare.fields["question"] == "Solve b = 2 for b."


# One row, several examples


def test_multirc_groups_by_paragraph_and_question():
    here = example("multirc")
    other = example("multirc", question="Why?", idx={"paragraph": -1, "question": -1, "answer": 1})
    assert here.group != other.group and cut_key(here) == cut_key(other) != ""
    assert here.fields["response"] == "She sold it"


def test_coqa_turns_carry_their_history():
    first, second = adapt_all(ROWS["coqa"], FLAN.task("coqa"), "r")
    assert first.fields["history"] == "none"
    assert second.fields["history"] == "Q: Who planted a tree?\nA: Ina"
    assert (first.id, second.id) == ("r.0", "r.1")
    assert first.group == second.group


def test_coqa_as_records_with_additional_answers():
    row = {
        "story": "s",
        "questions": {"input_text": ["q?"]},
        "answers": {"input_text": ["a"]},
        "additional_answers": {"0": {"input_text": ["b"]}, "1": {"input_text": ["a"]}},
    }
    assert adapt(row, FLAN.task("coqa"), "r").answers == ("a", "b", "a")


def test_coqa_with_a_turn_missing_is_malformed():
    with pytest.raises(DataError, match="task coqa, row r: malformed"):
        example("coqa", questions=["one?"])


def test_quac_turns_and_unanswerable_questions():
    row = {
        **ROWS["quac"],
        "background": "",
        "questions": ["When did they meet?", "Why?"],
        "answers": {"texts": [["They met in 2001."], ["CANNOTANSWER"]]},
        "orig_answers": {"texts": ["They met in 2001.", "CANNOTANSWER"]},
    }
    first, second = adapt_all(row, FLAN.task("quac"), "r")
    assert first.fields["section"] == "They met in 2001."
    assert first.fields["background"] == ""
    assert second.answers == ("I don't know",)
    assert second.fields["history"] == "Q: When did they meet?\nA: They met in 2001."


def test_dart_triples_and_texts():
    row = {
        "tripleset": [["[TABLECONTEXT]", "[TITLE]", "Judges"], ["A", "B_C", "d\ne"]],
        "annotations": {"source": ["x", "y"], "text": ["One.", "Two."]},
    }
    first, second = adapt_all(row, FLAN.task("dart"), "r")
    assert first.fields["triples"] == "table | title | Judges\nA | B_C | d e"
    assert (first.answers, second.answers) == (("One.",), ("Two.",))
    with pytest.raises(DataError, match="a triple has 2 parts"):
        adapt({**row, "tripleset": [["a", "b"]]}, FLAN.task("dart"), "r")


def test_web_nlg_in_both_layouts():
    found = example("web_nlg_en", references=["Sample Tower is 90 metres tall.", "It is 90 m."])
    assert found.fields["triples"] == "Sample Tower | height | 90 (metres)"
    assert found.answers == ("Sample Tower is 90 metres tall.", "It is 90 m.")
    nested = {
        "modified_triple_sets": {"mtriple_set": [["A_B | c | d"]]},
        "lex": {"text": ["One.", "Two."], "lid": ["1", "2"]},
    }
    both = adapt_all(nested, FLAN.task("web_nlg_en"), "r")
    assert [one.fields["answer"] for one in both] == ["One.", "Two."]
    assert {one.fields["triples"] for one in both} == {"A B | c | d"}


def test_wiki_lingua_nested_and_flat():
    nested = {
        "article": {"section_name": ["m", "n"], "document": ["Boil.", ""], "summary": ["B.", "E."]}
    }
    skipped = Counter()
    found = adapt_all(nested, FLAN.task("wiki_lingua_english_en"), "r", skipped)
    assert [(one.fields["article"], one.fields["answer"]) for one in found] == [("Boil.", "B.")]
    assert skipped == {"empty article": 1}
    flat = {"source": "s", "target": "t", "references": ["t", "u"]}
    assert adapt(flat, FLAN.task("wiki_lingua_english_en"), "r").answers == ("t", "u")


# Text


def test_translation_goes_from_the_first_language_of_its_key():
    found = example("wmt16_translate_deen")
    assert found.fields["source"] == "Der Laden ist geschlossen."
    assert found.fields["answer"] == "The shop is closed."
    assert found.fields["source_language"] == "German"
    assert found.fields["target_language"] == "English"
    assert example("wmt14_enfr").fields["target_language"] == "French"
    assert skip_reason("wmt14_enfr", translation={"en": " ", "fr": "x"}) == "empty source"


def test_sentences_to_retype():
    assert example("fix_punct").fields["text"] == "Hello Ana How are you"
    assert example("true_case").fields["text"] == "hello, ana! how are you?"
    assert example("word_segment").fields["text"] == "Hello,Ana!Howareyou?"
    plain = {"en": "lower words", "da": "x"}
    assert skip_reason("true_case", translation=plain) == "nothing to restore"
    assert skip_reason("fix_punct", translation=plain) == "nothing to restore"


def test_numbered_reviews():
    reviews = {str(i): f"Review {i}." for i in range(14)}
    found = example("opinion_abstracts_rotten_tomatoes", _critics=reviews)
    assert found.fields["movie"] == "sample movie"
    assert found.fields["reviews"].splitlines()[0] == "1. Review 0."
    assert len(found.fields["reviews"].splitlines()) == 10


def test_gigaword_leaves_out_hidden_words():
    assert example("gigaword").fields["answer"] == "council approves park"
    assert skip_reason("gigaword", document="it cost ## euros") == "hidden words"
    assert skip_reason("gigaword", summary="UNK wins") == "hidden words"


def test_multi_news_parts_and_dash():
    found = example("multi_news")
    assert found.fields["articles"] == "First report on the storm.\n\nSecond report on the storm."
    assert found.fields["answer"].startswith("A storm")


@pytest.mark.parametrize(
    ("name", "text", "cleaned"),
    [
        ("breaks", "one<br /><br />two", "one\ntwo"),
        ("escapes", 'Good.\\nWill ""return"".', 'Good.\nWill "return".'),
        ("quotes", "what is ``this''", 'what is "this"'),
        ("quoted", 'what is ""this""', 'what is "this"'),
        ("quoted", '"who said ""no""?"', 'who said "no"?'),
        ("quoted", '"""No"" is what?"', '"No" is what?'),
        ("quoted", '"all of it"', '"all of it"'),
        ("wikihow", "[header] How to [title] Boil. [step] Heat it.", "How to. Boil. Heat it."),
        ("wikihow", "[substeps] Heat [it].", "Heat [it]."),
        ("unescape", "AT&amp;T", "AT&T"),
        ("notices", "Media playback is unsupported on your device\nRain fell.", "Rain fell."),
        ("spaces", "a  b\n\nc", "a b\n\nc"),
        ("entities", "Bread &amp; wine  #36;5 <b>now</b>", "Bread & wine $5  now"),
        (
            "entities",
            "Holt  amp; Co, T amp;T:  quot;Yes, quot; he said",
            'Holt & Co, T&T: "Yes," he said',
        ),
        ("bytes", "b'3\\n'", "3"),
        ("dateline", "(CNN) -- The river rose.", "The river rose."),
        ("dateline", "LONDON, England (CNN) -- Rain fell.", "Rain fell."),
        ("dateline", "(CNN)Rain fell.", "Rain fell."),
        (
            "dateline",
            "By . Jo Doe . PUBLISHED: . 10:12 EST, 5 June 2013 . | . UPDATED: . 10:13 EST, 5 June"
            " 2013 . Rain fell.",
            "Rain fell.",
        ),
        ("dateline", "He (Bo) said -- no.", "He (Bo) said -- no."),
        ("chat", "A: hi\r\nB: <file_photo>\nA: <file_other>", "A: hi\nB: [photo]\nA: [file]"),
    ],
)
def test_cleaners(name, text, cleaned):
    assert CLEANERS[name](text) == cleaned


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("the\u200b right", "the right"),
        ("9\u00b019\u2032E\ufeff / \ufeff47", "9\u00b019\u2032E / 47"),
        ("a star \x96 and\x85 friend", "a star \u2013 and\u2026 friend"),
        ("now a \xe2\x80\x9clegitimate\xe2\x80\x9d one", "now a \u201clegitimate\u201d one"),
        ("\xabCAF\xc9\xbb \xc3\xa9", "\xabCAF\xc9\xbb \xc3\xa9"),
        ("\u0417\u0434\u0440\u0430\u0432 caf\xe9", "\u0417\u0434\u0440\u0430\u0432 caf\xe9"),
    ],
)
def test_the_invisible_is_removed_from_every_text(text, seen):
    assert visible(text) == seen
    assert example("natural_questions", question=text).fields["question"].startswith(seen)


# Malformed rows and settings


def test_a_missing_column_is_named_with_those_that_are_there():
    row = {"premise": "p", "label": 0}
    with pytest.raises(DataError, match=r"task rte, row r: no column .*hypothesis.*premise"):
        adapt(row, FLAN.task("rte"), "r")


def test_nothing_becomes_the_word_none():
    assert skip_reason("rte", premise=None) == "empty premise"
    assert skip_reason("rte", premise=float("nan")) == "empty premise"
    assert example("squad_v1", title=None).fields["title"] == ""
    assert example("natural_questions", answer=[None, "x"]).answers == ("x",)


def test_wrong_settings_are_errors():
    task = FLAN.task("rte")
    with pytest.raises(DataError, match="no adapter 'nope'"):
        adapt(ROWS["rte"], replace(task, adapter="nope"), "r")
    with pytest.raises(DataError, match="unknown column setting 'feilds'"):
        adapt(ROWS["rte"], replace(task, columns={**task.columns, "feilds": []}), "r")
    with pytest.raises(DataError, match="columns lack 'label'"):
        adapt(ROWS["rte"], replace(task, columns={"fields": ["premise"]}), "r")


@pytest.mark.parametrize(
    ("key", "label", "answer"),
    [("rte", True, "yes"), ("rte", 1.0, "no"), ("paws_wiki", True, "yes"), ("wic", False, None)],
)
def test_labels_of_other_types_are_read_for_what_they_mean(key, label, answer):
    expected = answer or FLAN.task(key).options[0]
    assert example(key, label=label).fields["answer"] == expected


def test_half_a_label_is_an_error_and_nan_is_none():
    with pytest.raises(DataError, match=r"task rte, row r: label 0\.5 is none of the 2 options"):
        example("rte", label=0.5)
    assert skip_reason("rte", label=float("nan")) == "no label"


def test_a_malformed_row_says_where():
    with pytest.raises(DataError, match="a record with x where text should be"):
        example("rte", premise={"x": 1})
    with pytest.raises(DataError, match="no column 'en'; found translation; in translation: de"):
        example("wmt16_translate_deen", translation={"de": "x"})
    with pytest.raises(DataError, match=r"malformed: .*; null: translation"):
        example("wmt16_translate_deen", translation=None)


# Cleaners, in time that grows with the text

OLD = {  # the patterns that say what the cleaners do, slowly
    "breaks": lambda text: re.sub(r"\s*(?:<br ?/?>\s*)+", "\n", text).strip(),
    "lines": lambda text: re.sub(r"\s*\n\s*", "\n", text).strip(),
    "sections": lambda text: [
        part for part in re.split(r"\s*\[(?:header|title|step|substeps)\]\s*", text.strip()) if part
    ],
    "dateline": lambda text: dateline_of(text),
}
PIECES = ["<br>", "<br />", "<br/>", " ", "\n", "\r", "\x1c", "\u3000", "\xa0", "a", "b.", "[step]"]
PIECES += [
    "[title]",
    "UPDATED: ",
    "1999 ",
    "PUBLISHED:",
    "(CNN) ",
    "-- ",
    "Rome (AP) - ",
    "2001. | . ",
]


def dateline_of(text):
    stamp = re.compile("^" + cleaners._STAMP.pattern, re.DOTALL)
    while found := stamp.match(text):
        text = text[found.end() :]
    return cleaners._PLACE.sub("", text, count=1).strip()


@settings(max_examples=100, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=20).map("".join))
def test_cleaners_give_what_their_patterns_say(text):
    assert CLEANERS["breaks"](text) == OLD["breaks"](text)
    assert stripped_lines(text) == OLD["lines"](text)
    assert cleaners._parts(cleaners._HOW.split(text)) == OLD["sections"](text)
    assert CLEANERS["dateline"](text) == OLD["dateline"](text)


def article(text):
    row = {"document": text, "summary": "s"}
    return adapt(row, FLAN.task("multi_news"), "r").fields["articles"]


@pytest.mark.parametrize("run", [" ", "\n", " \n", "UPDATED: 1999 ", "<br>", "<br", "[step]", "("])
@pytest.mark.parametrize(
    "clean", [*CLEANERS.values(), visible, article], ids=[*CLEANERS, "visible", "multi_news"]
)
def test_a_long_run_costs_its_length(clean, run):
    def seconds(n):
        text = "good" + run * (n // len(run)) + "film"
        return min(timeit.repeat(lambda: clean(text), repeat=3, number=1))

    n = 4_000
    while seconds(n) < 0.002 and n < 120_000:
        n *= 4
    # In proportion it is 8 times, squared 64; a busy machine may have it wrong a few times.
    assert any(seconds(8 * n) < 30 * seconds(n) + 0.05 for _ in range(6))
