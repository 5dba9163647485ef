"""Comparisons of answers against definitions written anew from the official scripts."""

import re
import string
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from itertools import permutations
from statistics import fmean
from unicodedata import normalize

import numpy as np
import pandas as pd
import pets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.core.config import Factors, Recipe, Scoring
from flanlib.core.errors import DataError, FlanlibError
from flanlib.data import catalogue
from flanlib.data.adapters import Example, adapt_all
from flanlib.data.catalogue import Task
from flanlib.data.layouts import CANNOT_ANSWER
from flanlib.data.metric_names import METRICS
from flanlib.evaluation import answers, metrics, score_tables
from flanlib.evaluation import tokens as counting
from flanlib.evaluation.answers import COMPARISONS, SIGNATURES, number
from flanlib.prompts import templates
from flanlib.studies import runs

FLAN = catalogue.load("flan")
# fmt: off
PIECES = [
    "the", "The", "a", "An", "cat", "Smith", "Jones", "Jr.", "D.C.", "Spider-Man", "O'Brien", "‘n’",
    "3", "3.0", "$3", "1,500", "1500", "0", "-1", "1e3", "nan", "5-yard", "January", "1999", "½",
    "café", "cafe\u0301", "ＡＢ", "３", "東京", "_x_", "ß", "İ", "ΑΣ", "!", "", ",", ";", "-", "\u00a0", "\n", "`",
]
# fmt: on
TEXT = st.lists(st.sampled_from(PIECES), max_size=5).flatmap(
    lambda parts: st.sampled_from([" ".join(parts), ", ".join(parts), "; ".join(parts)])
)
TEXTS = st.lists(TEXT, min_size=1, max_size=4)
tried = settings(max_examples=100, deadline=None, derandomize=True)


def spaces(text):
    return " ".join(text.split())


def without(text, signs, instead):
    return "".join(instead if sign in signs else sign for sign in text)


def articles(text):
    return re.sub(r"\b(a|an|the)\b", " ", text)


def squad(text):
    return spaces(articles(without(text.lower(), string.punctuation, "")))


def trivia_qa(text):
    lowered = text.replace("_", " ").lower()
    return spaces(articles(without(lowered, string.punctuation + "‘’´`", " ")))


def nq_open(text):
    return squad(normalize("NFD", text))


def f1(form, said, reference, blank=0.0):
    left, right = form(said).split(), form(reference).split()
    if not left or not right:
        return blank if left == right else 0.0
    n = sum((Counter(left) & Counter(right)).values())
    return (
        0.0 if n == 0 else 2 * (n / len(left)) * (n / len(right)) / (n / len(left) + n / len(right))
    )


def best(compare, said, references):
    return max(float(compare(said, one)) for one in references)


def left_out(compare, said, references):
    if len(references) == 1:
        return compare(said, references[0])
    return fmean(
        best(compare, said, [r for j, r in enumerate(references) if j != i])
        for i in range(len(references))
    )


def same(form):
    return lambda said, reference: float(form(said) == form(reference))


OFFICIAL = {
    "squad_em": lambda p, refs: best(same(squad), p, refs),
    "squad_f1": lambda p, refs: best(lambda a, b: f1(squad, a, b, 1.0), p, refs),
    "record_em": lambda p, refs: best(same(squad), p, refs),
    "record_f1": lambda p, refs: best(lambda a, b: f1(squad, a, b), p, refs),
    "trivia_qa_em": lambda p, refs: best(same(trivia_qa), p, refs),
    "trivia_qa_f1": lambda p, refs: best(lambda a, b: f1(trivia_qa, a, b), p, refs),
    "nq_open_em": lambda p, refs: best(same(nq_open), p, refs),
    "coqa_em": lambda p, refs: left_out(same(squad), p, refs),
    "coqa_f1": lambda p, refs: left_out(lambda a, b: f1(squad, a, b, 1.0), p, refs),
}


@pytest.mark.parametrize("metric", OFFICIAL)
def test_comparisons_equal_the_official_ones(metric):
    @tried
    @given(TEXT, TEXTS)
    def equal(said, references):
        assert COMPARISONS[metric](said, references) == pytest.approx(
            OFFICIAL[metric](said, references)
        )

    equal()


# DROP


def is_number(text):
    try:
        return float(text) is not None
    except ValueError:
        return False


def drop_words(span):
    found = []
    for token in re.split(" |-", span):
        token = token.lower()
        token = token if is_number(token) else without(token, string.punctuation, "")
        token = str(float(token)) if is_number(token) else token
        found.append(spaces(articles(token)))
    return " ".join(one for one in found if one)


def drop(said, gold):
    """Exact match and F1; the alignment by trying all of them."""
    said, gold = ([drop_words(s) for s in ([x] if isinstance(x, str) else x)] for x in (said, gold))
    exact = float(set(said) == set(gold) and len(said) == len(gold))

    def share(one, other):
        p, g = set(one.split()), set(other.split())
        wanted = {w for w in g if is_number(w)}
        if wanted and not wanted & {w for w in p if is_number(w)}:
            return 0.0
        precision = len(p & g) / len(p) if p else 1.0
        recall = len(p & g) / len(g) if g else 1.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    n = max(len(said), len(gold))
    short, long = sorted((said, gold), key=len)
    sums = [
        sum(
            share(*((a, b) if short is said else (b, a))) for a, b in zip(short, order, strict=True)
        )
        for order in permutations(long, len(short))
    ]
    return exact, max(sums) / n


SPANS = st.lists(TEXT, min_size=1, max_size=3).map(lambda s: s[0] if len(s) == 1 else tuple(s))


@tried
@given(
    st.one_of(TEXT, st.lists(TEXT, min_size=1, max_size=3)), st.lists(SPANS, min_size=1, max_size=3)
)
def test_drop_equals_the_official_comparison(said, references):
    exact, shares = zip(*(drop(said, gold) for gold in references), strict=True)
    assert answers.drop_exact(said, references) == max(exact)
    assert answers.drop_f1(said, references) == pytest.approx(max(shares), abs=0.0051)


def test_each_annotators_spans_reach_the_metric_and_a_file(tmp_path):
    blank = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": []}
    others = [{**blank, "spans": ["Smith, Jr."]}, {**blank, "spans": ["Ada", "Bo"]}]
    row = {
        "passage": "p",
        "question": "q?",
        "answer": {**blank, "spans": ["Ada", "Bo, Esq."]},
        "validated_answers": others,
    }
    task = FLAN.task("drop")
    example = adapt_all(row, task, "0")[0]
    assert example.answers == (("Ada", "Bo, Esq."), "Smith, Jr.", ("Ada", "Bo"))
    assert example.fields["answer"] == "Ada, Bo, Esq."
    template = next(t for t in templates.of_task(FLAN, task) if not t.inverted)
    prompt = templates.render(example, template)
    assert prompt.target == "Ada, Bo, Esq." and prompt.references == example.answers
    from flanlib.evaluation.score import _references

    table = pd.DataFrame(
        {
            "template": "t",
            "example": ["0", "1"],
            "prediction": ["smith jr", "Bo Ada"],
            "references": _references([prompt, prompt]),
        }
    )
    table.to_parquet(tmp_path / "t.parquet")
    for known in (table, pd.read_parquet(tmp_path / "t.parquet")):
        assert metrics.evaluate(replace(task, metric="drop_em"), known).scores == (100, 0)
        assert metrics.evaluate(replace(task, metric="drop_f1"), known).scores == (100, 33)
        assert metrics.evaluate(replace(task, metric="squad_em"), known).scores == (100, 0)


# CoQA and QuAC


def test_annotators_who_agree_count_as_often_as_they_are():
    row = {
        "story": "s",
        "questions": {"input_text": ["q?"]},
        "answers": {"input_text": ["a red fox"]},
        "additional_answers": {"0": {"input_text": ["fox"]}, "1": {"input_text": ["a red fox"]}},
    }
    task = FLAN.task("coqa")
    assert adapt_all(row, task, "r")[0].answers == ("a red fox", "fox", "a red fox")
    assert task.metric == "coqa_f1"
    assert COMPARISONS["coqa_em"]("red fox", ["a red fox", "fox", "a red fox"]) == 1
    assert COMPARISONS["coqa_em"]("red fox", ["a red fox", "fox"]) == 0.5


def quac_row(*turn):
    return {
        "wikipedia_page_title": "t",
        "background": "b",
        "context": "c CANNOTANSWER",
        "questions": ["q?"],
        "answers": {"texts": [list(turn)]},
        "orig_answers": {"texts": [turn[-1]]},
    }


def quac(said, refs):
    """None where the official script leaves the question out."""
    spans = [r for r in refs if r != CANNOT_ANSWER]
    if len(refs) - len(spans) >= len(spans):
        return float(squad(said) == squad(CANNOT_ANSWER))
    if len(spans) > 1:
        human = [
            best(lambda a, b: f1(squad, a, b), r, spans[:i] + spans[i + 1 :])
            for i, r in enumerate(spans)
        ]
        if fmean(human) < 0.4:
            return None
    return left_out(lambda a, b: f1(squad, a, b), said, spans)


@tried
@given(
    st.lists(
        st.sampled_from(["red fox", "fox", "a dog", "the red hen", CANNOT_ANSWER]),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["red fox", "fox", "", "the", "I don't know."]),
)
def test_quac_equals_the_official_script(references, said):
    found, wanted = answers.quac_f1(said, references), quac(said, references)
    assert (found is None) == (wanted is None)
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_quac_answers_are_counted_as_often_as_given():
    (found,) = adapt_all(quac_row("x", "CANNOTANSWER", "y", "x"), FLAN.task("quac"), "r")
    assert found.answers == ("x", CANNOT_ANSWER, "y", "x")


def test_questions_annotators_disagree_on_do_not_count():
    task = FLAN.task("quac")
    rows = [
        ("0", "red fox", ["red fox", "fox"]),
        ("1", "red", ["red", "blue"]),
        ("2", "no", ["a", "b c", "b c"]),
    ]
    table = pd.DataFrame(rows, columns=["example", "prediction", "references"]).assign(template="t")
    found = metrics.evaluate(task, table)
    first = 100 * (1 + 2 / 3) / 2
    assert found.value == pytest.approx((first + 0) / 2)
    assert found.scores == pytest.approx((first, found.value, 0))
    assert "below 0.4" in found.signature
    with pytest.raises(DataError, match="counts none"):
        metrics.evaluate(task, table[table["example"] == "1"])


# Names


def test_every_name_has_one_comparison_and_says_which():
    texts = {"rouge1", "rouge2", "rouge_l", "rouge_lsum", "bleu", "pearson"}
    assert set(METRICS["generate"]) == set(COMPARISONS) | texts
    assert set(SIGNATURES) == set(COMPARISONS) and all(SIGNATURES.values())
    assert {m for m in METRICS["rank"] if m in COMPARISONS} == {"record_em", "record_f1"}


@pytest.mark.parametrize(
    ("key", "metric"),
    [
        ("squad_v1", "squad_f1"),
        ("squad_v2", "squad_f1"),
        ("trivia_qa", "trivia_qa_em"),
        ("natural_questions", "nq_open_em"),
        ("drop", "drop_f1"),
        ("coqa", "coqa_f1"),
        ("quac", "quac_f1"),
        ("record", "record_em"),
    ],
)
def test_a_benchmark_is_scored_by_its_own_comparison(key, metric):
    assert FLAN.task(key).metric == metric


def test_exact_match_compares_what_normalisation_would_throw_away():
    assert answers.squad_exact("a", ["the"]) == 1, "as the official script"
    assert answers.exact("a", ["the"]) == 0 and answers.exact("", ["the"]) == 0
    assert answers.exact("the", ["the"]) == 1
    assert answers.exact("cafe\u0301", ["Café"]) == 1 and answers.exact("ôté", ["été"]) == 0


# Numbers


# fmt: off
NUMBERS = [
    ("1,200", 1200), ("12,345.67", 12345.67), ("1,200,000", 1_200_000), ("1,200.", 1200),
    ("4,5", 4.5), ("0,125", 0.125), ("1234,567", 1234.567), ("1.200,5", 1200.5),
    ("1.200.000", 1_200_000), ("1.200", 1.2), ("1\u00a0200", 1200), ("1\u202f200,5", 1200.5),
    ("1'200.5", 1200.5), (".5", 0.5), ("-.5", -0.5), ("1e3", 1000), ("2.5E-2", 0.025), ("1e3x", 1),
    ("−3", -3), ("–3", -3), ("－3", -3), ("-3", -3), ("3-5", 3), ("3–5", 3), ("F-16", 16), ("no.5", 5),
    ("-$1,500", -1500), ("$-5", -5), ("€2,50", 2.5), ("３", 3), ("٣٫٥", 3.5), ("50%", 50),
    ("1,2,3", 1), ("1,200,5", 1), ("about 2.5 of 5", 2.5), ("(3)", 3), ("10 - 3", 10), ("2020-05-01", 2020),
    ("none", None), ("", None), ("nan", None), ("inf", None), ("1e999", None), ("9" * 400, None), ("²", None),
]
# fmt: on


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_numbers_are_read_as_written(text, value):
    assert number(text) == (None if value is None else pytest.approx(value))


@tried
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([str, "{:,}".format, "{:e}".format]),
)
def test_a_number_that_python_writes_is_read_back(value, write):
    assert number(f"it is {write(value)} then") == pytest.approx(value, rel=1e-6)


def pearson(said, true):
    rows = [("t", str(i), a, [b]) for i, (a, b) in enumerate(zip(said, true, strict=True))]
    table = pd.DataFrame(rows, columns=["template", "example", "prediction", "references"])
    task = Task(key="t", title="t", dataset="t", cluster="c", kind="generate", metric="pearson")
    return metrics.evaluate(task, table)


def test_pearson_of_right_answers():
    assert pearson(["1,200", "900", "1,100"], ["1200", "900", "1100"]).value == pytest.approx(100)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e-300, 0), (1e307, 0), (1, 1e9)])
def test_pearson_of_numbers_far_from_one(scale, shift):
    x, y = np.array([1, 2, 3, 5, 4.0]), np.array([2, 1, 3, 5, 5.0])
    said, true = ([repr(v) for v in (s * scale + shift).tolist()] for s in (x, y))
    assert pearson(said, true).value == pytest.approx(100 * np.corrcoef(x, y)[0, 1], rel=1e-6)


def test_pearson_of_answers_all_the_same_says_that_it_is_undefined():
    found = pearson(["0.1"] * 7, ["1", "2", "3", "4", "5", "6", "7"])
    assert (
        found.value == 0
        and "undefined, and counted as 0, under 1 of 1 templates" in found.signature
    )
    assert "undefined" not in pearson(["1", "2"], ["1", "2"]).signature


def test_stsb_is_correlated_with_the_scores_as_given():
    task = FLAN.task("stsb")
    given_, chosen = [0.0, 2.6, 3.4, 4.5, 5.0], [1, 2, 3, 5, 4]
    rows = [
        {"sentence1": "a", "sentence2": "b", "label": v, "idx": i} for i, v in enumerate(given_)
    ]
    known = [adapt_all(row, task, str(row["idx"]))[0] for row in rows]
    assert [e.gold for e in known] == [0, 3, 3, 5, 5]
    cells = [
        ("t", e.id, k, e.gold, -float(k != chosen[i]))
        for i, e in enumerate(known)
        for k in range(6)
    ]
    table = pd.DataFrame(cells, columns=["template", "example", "option", "gold", "ll"])
    found = metrics.evaluate(task, table, examples=known)
    assert found.value == pytest.approx(100 * np.corrcoef(chosen, given_)[0, 1])


def test_pearson_with_references_all_the_same_is_refused():
    with pytest.raises(DataError, match="all references are one number"):
        pearson(["1", "2"], ["3", "3.0"])
    with pytest.raises(DataError, match="example 1: the reference is no number"):
        pearson(["1", "2"], ["3", "1e999"])


def test_of_equal_options_the_first_counts_in_whatever_order_the_table_stands():
    rows = [("t", "1", option, 0, -1.0) for option in (1, 0)]
    table = pd.DataFrame(rows, columns=["template", "example", "option", "gold", "ll"])
    task = Task(key="t", title="t", dataset="t", cluster="c", kind="rank", metric="accuracy")
    assert metrics.evaluate(task, table).value == 100


def test_options_that_differ_in_case_or_composition_are_two():
    options = ("Café", "cafe\u0301", "CAFÉ")
    table = pd.DataFrame(
        [("t", str(g), k, g, -float(k != g)) for g in range(3) for k in range(3)],
        columns=["template", "example", "option", "gold", "ll"],
    )
    task = Task(
        key="t",
        title="t",
        dataset="t",
        cluster="c",
        kind="rank",
        metric="accuracy",
        options=options,
    )
    known = [
        Example("t", str(g), {"answer": options[g]}, options, g, (options[g],)) for g in range(3)
    ]
    assert metrics.evaluate(task, table, examples=known).value == 100


@pytest.mark.parametrize(
    ("metric", "answers", "said"),
    [
        ("bleu", ("東京は日本の首都です。", "hay"), "a script without spaces"),
        ("bleu, bleu_tokenizer: ja-mecab", ("hay", "grass"), "needs the packages"),
        ("rouge_l", ("hay", "---"), "no reference has a word for ROUGE"),
        ("pearson", ("3", "hay"), "the reference is no number"),
        ("pearson", ("3", "3"), "all references are one number"),
    ],
)
def test_what_a_metric_cannot_count_shows_before_a_model_is_read(tmp_path, metric, answers, said):
    if "ja-mecab" in metric and any(map(find_spec, counting.PACKAGES["ja-mecab"])):
        pytest.skip("the packages are there")
    found = pets.collection(
        tmp_path / "pets", replaced={"metric: exact_match": f"metric: {metric}"}
    )
    rows = [{"animal": f"animal {n}", "food": food} for n, food in enumerate(answers)]
    pets.lines(tmp_path / "rows", *rows, task="food")
    factors = Factors(model="no-such-model", held_out="habits", arm="base", collection="pets")
    job = runs.Job(
        factors=factors,
        recipe=Recipe(),
        collection=str(found.root),
        requests=((Scoring(), "food"),),
        at=tmp_path,
        rows=str(tmp_path / "rows"),
    )
    with pytest.raises(FlanlibError, match=said):
        runs.compute(job)
    with pytest.raises(FlanlibError, match=said):
        tasks = [found.task("food")]
        next(score_tables.score_tasks(None, found, tasks, Scoring(), out=tmp_path, rows=job.rows))
