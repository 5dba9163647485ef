"""Metrics against values worked out by hand and by other libraries."""

import numpy as np
import pandas as pd
import pytest
import sacrebleu
from scipy.stats import pearsonr

from flanlib.core import resampling
from flanlib.core.errors import DataError, ParameterError
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Task
from flanlib.data.metric_names import CORPUS_LEVEL, METRICS
from flanlib.evaluation import answers, metrics
from flanlib.evaluation.choices import choices, responses
from flanlib.evaluation.sums import mean_of_sums


def task(metric="accuracy", kind="rank") -> Task:
    return Task(key="t", title="T", dataset="t", cluster="nli", kind=kind, metric=metric)


def ranked(rows, **columns) -> pd.DataFrame:
    """Table of (template, example, gold, scores)."""
    found = [
        (template, example, k, gold, ll, 1 + k, 2, ll / 2)
        for template, example, gold, scores in rows
        for k, ll in enumerate(scores)
    ]
    names = ["template", "example", "option", "gold", "ll", "n_tokens", "n_bytes", "ll_null"]
    return pd.DataFrame(found, columns=names).assign(task="t", **columns)


def written(rows) -> pd.DataFrame:
    names = ["template", "example", "prediction", "references"]
    return pd.DataFrame(rows, columns=names).assign(task="t")


def example(key, group="", options=("0", "1"), gold=0, references=("0",), **fields) -> Example:
    return Example("t", key, {**fields, "answer": references[0]}, options, gold, references, group)


def random_table(n=40, labels=3, seed=0, templates=("a", "b")) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, labels, n)
    return ranked(
        [
            (t, str(e), int(gold[e]), rng.normal(size=labels).tolist())
            for t in templates
            for e in range(n)
        ]
    )


def test_accuracy_by_hand():
    table = ranked(
        [
            ("a", "1", 0, [-1, -2]),
            ("a", "2", 1, [-1, -2]),
            ("b", "1", 0, [-1, -2]),
            ("b", "2", 1, [-3, -2]),
        ]
    )
    found = metrics.evaluate(task(), table)
    assert found.templates == {"a": 50.0, "b": 100.0}
    assert found.value == 75.0
    assert found.chance == 50.0
    assert found.n == 2
    assert found.scores == (100.0, 50.0)
    assert found.examples == ("1", "2")


@pytest.mark.parametrize(
    ("choice", "right"), [("sum", [0]), ("token", [1]), ("byte", [1]), ("pmi", [1])]
)
def test_choices_by_hand(choice, right):
    table = pd.DataFrame(
        {
            "template": "a",
            "example": "1",
            "option": [0, 1],
            "gold": 0,
            "ll": [-2.0, -3.0],
            "n_tokens": [1, 2],
            "n_bytes": [4, 7],
            "ll_null": [-1.0, -3.0],
        }
    )
    assert choices(table, choice)["option"].tolist() == right


def test_margin_and_confidence():
    found = choices(ranked([("a", "1", 0, [-1.0, -2.5, -4.0])]))
    assert found["margin"].tolist() == [1.5]
    assert found["confidence"][0] == pytest.approx(1 / (1 + np.exp(-1.5) + np.exp(-3)))


def test_reordering_options_reorders_choices():
    table = random_table()
    turned = table.assign(option=2 - table["option"], gold=2 - table["gold"]).iloc[::-1]
    a, b = choices(table), choices(turned)
    pair = a.merge(b, on=["template", "example"])
    assert (pair["option_x"] == 2 - pair["option_y"]).all()
    assert metrics.evaluate(task(), turned).value == metrics.evaluate(task(), table).value


@pytest.mark.parametrize(("metric", "average"), [("macro_f1", "macro"), ("f1", "binary")])
def test_f1_equals_scikit_learn(metric, average):
    sklearn = pytest.importorskip("sklearn.metrics")
    table = random_table(labels=2 if metric == "f1" else 3, templates=("a",))
    best = choices(table)
    wanted = sklearn.f1_score(best["gold"], best["option"], average=average)
    assert metrics.evaluate(task(metric), table).value == pytest.approx(100 * wanted)


def test_bleu_equals_sacrebleu():
    texts = ["the cat sat on the mat today", "a dog barks loudly at night", "hello there my friend"]
    truths = [
        ["the cat sat on a mat", "there sat a cat on the mat"],
        ["the dog barks at night"] * 2,
    ]
    truths.append(["hello there friend", "hello my good friend"])
    table = written(
        [("a", str(n), t, r) for n, (t, r) in enumerate(zip(texts, truths, strict=True))]
    )
    wanted = sacrebleu.corpus_bleu(texts, [list(r) for r in zip(*truths, strict=True)])
    found = metrics.evaluate(task("bleu", "generate"), table)
    assert found.value == pytest.approx(wanted.score)
    assert found.signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert found.low <= found.value <= found.high


def test_bleu_without_long_matches_is_smoothed_as_sacrebleu_does():
    texts, truths = ["one two three x", "p q r s t"], ["one two three y z", "q p s r t"]
    table = written(
        [("a", str(n), t, [r]) for n, (t, r) in enumerate(zip(texts, truths, strict=True))]
    )
    wanted = sacrebleu.corpus_bleu(texts, [truths]).score
    assert wanted > 1
    assert metrics.evaluate(task("bleu", "generate"), table).value == pytest.approx(wanted)


def test_rouge_takes_the_best_reference_and_splits_sentences():
    table = written([("a", "1", "One thing. Another thing.", ["Another thing. One thing.", "no"])])
    lsum = metrics.evaluate(task("rouge_lsum", "generate"), table)
    whole = metrics.evaluate(task("rouge_l", "generate"), table)
    assert lsum.value == pytest.approx(100.0)
    assert whole.value == pytest.approx(50.0)
    assert "rougeLsum" in lsum.signature


def test_pearson_equals_scipy():
    rng = np.random.default_rng(1)
    gold, said = rng.integers(0, 6, 30), rng.integers(0, 6, 30)
    options = tuple("012345")
    table = ranked([("a", str(n), int(gold[n]), np.eye(6)[said[n]].tolist()) for n in range(30)])
    examples = [example(str(n), options=options, gold=int(gold[n])) for n in range(30)]
    found = metrics.evaluate(task("pearson"), table, examples=examples)
    assert found.value == pytest.approx(100 * pearsonr(said, gold).statistic)


def test_constant_answers_correlate_with_nothing():
    table = ranked([("a", str(n), n % 2, [1.0, 0.0]) for n in range(6)])
    examples = [example(str(n), gold=n % 2) for n in range(6)]
    found = metrics.evaluate(task("pearson"), table, examples=examples)
    assert found.value == 0.0 and found.chance == 0.0, "guesses correlate with nothing"
    assert metrics.evaluate(task("accuracy"), table, examples=examples).chance == 50.0


@pytest.mark.parametrize(
    ("metric", "labels"),
    [("f1", 2), ("f1", 3), ("macro_f1", 3), ("multirc_f1", 2), ("accuracy", 3)],
)
def test_chance_is_what_guesses_get(metric, labels):
    n, rng = 4000, np.random.default_rng(0)
    gold = np.minimum(rng.integers(0, labels + 2, n), labels - 1)  # labels unlike in number
    rows = [("a", str(e), int(gold[e]), rng.normal(size=labels).tolist()) for e in range(n)]
    examples = [example(str(e), options=tuple("abc"[:labels]), gold=int(gold[e])) for e in range(n)]
    found = metrics.evaluate(task(metric), ranked(rows), examples=examples)
    assert found.value == pytest.approx(found.chance, abs=2.0)
    if metric == "multirc_f1":
        assert found.chance == pytest.approx(200 * (gold == 1).mean() * 0.5 / (gold.mean() + 0.5))


@pytest.mark.parametrize("metric", METRICS["rank"])
def test_every_metric_of_ranked_options_is_counted(metric):
    """All right is 100 percent, and what guessing gets is less."""
    table = ranked([("a", str(n), n % 2, [float(n % 2 == 0), float(n % 2)]) for n in range(8)])
    examples = [
        example(str(n), gold=n % 2, references=(str(n % 2),), paragraph="p", question=str(n))
        for n in range(8)
    ]
    found = metrics.evaluate(task(metric), table, examples=examples)
    assert found.value == pytest.approx(100.0) and 0 <= found.chance < 100


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_that_is_named_and_not_counted_says_where_it_belongs(kind, monkeypatch):
    monkeypatch.setitem(METRICS, kind, [*METRICS[kind], "new"])
    table = random_table(3) if kind == "rank" else written([("a", "1", "x", ["x"])])
    with pytest.raises(
        ParameterError, match=r"'new' is named in METRICS .*nothing counts it; give"
    ):
        metrics.evaluate(task("new", kind), table)


def test_multirc_counts_answers_and_questions():
    rows = [("1", 1, [0, 1]), ("2", 0, [0, 1]), ("3", 0, [1, 0]), ("4", 1, [0, 1])]
    table = ranked([("a", key, gold, scores) for key, gold, scores in rows])
    examples = [
        example(key, group="p", options=("no", "yes"), paragraph="p", question=question)
        for key, question in zip("1234", "xxyy", strict=True)
    ]
    f1 = metrics.evaluate(task("multirc_f1"), table, examples=examples)
    assert f1.value == pytest.approx(100 * 2 * 2 / (3 + 2))
    exact = metrics.evaluate(task("multirc_em"), table, examples=examples)
    assert exact.value == pytest.approx(50.0)


def test_record_compares_words_not_places():
    examples = [example("1", options=("The Hague", "hague", "Delft"), references=("Hague",))]
    table = ranked([("a", "1", 1, [3.0, 1.0, 0.0])])
    assert metrics.evaluate(task("record_em"), table, examples=examples).value == 100.0
    assert metrics.evaluate(task("accuracy"), table, examples=examples).value == 0.0


@pytest.mark.parametrize(
    ("said", "references", "exact", "f1"),
    [
        ("The cat!", ["a cat"], 1, 1),
        ("black cat", ["cat"], 0, 2 / 3),
        ("", ["cat"], 0, 0),
        ("two", ["one", "Two."], 1, 1),
        ("a", ["the"], 0, 1),
        ("%", ["%"], 1, 1),
    ],
)
def test_squad_rules(said, references, exact, f1):
    assert answers.exact(said, references) == exact
    assert answers.token_f1(said, references) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("said", "references", "exact", "f1"),
    [
        ("3", ["3.0"], 1, 1),
        ("$1,500", ["1500"], 1, 1),
        ("4 yards", ["3 yards"], 0, 0),
        ("yards 3 long", ["3 yards"], 0, 0.8),
        (["Bo Smith", "Ada"], [("Ada", "Bo Smith")], 1, 1),
        ("Ada", [("Ada", "Bo")], 0, 0.5),
        ("Ada", ["Ada, Bo"], 0, 0.67),
        ("Washington", ["Washington, D.C."], 0, 0.67),
        ("5 January 1999", ["January 5, 1999"], 0, 1),
        ("Smith; Jones", ["Smith; Jones Ltd"], 0, 0.8),
        ("2", [("Ada", "Bo"), "2"], 1, 1),
        ("the 5-yard line", ["5 yard line"], 1, 1),
        ("", ["Ada"], 0, 0),
        ("Ada", ["Bo", "Ada"], 1, 1),
    ],
)
def test_drop_rules(said, references, exact, f1):
    assert answers.drop_exact(said, references) == exact
    assert answers.drop_f1(said, references) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("said", "true", "share"),
    [
        ("kitten", "sitting", 1 - 3 / 7),
        ("", "abc", 0),
        ("", "", 1),
        ("abc", "abc", 1),
        ("ab", "ba", 0),
    ],
)
def test_edit_similarity(said, true, share):
    assert answers.edit_similarity(said, [true]) == pytest.approx(share)


def test_number_is_the_first_in_the_text():
    assert [answers.number(t) for t in ("3", "about 2.5 of 5", "-1,5", "none")] == [
        3,
        2.5,
        -1.5,
        None,
    ]


def test_interval_of_accuracy_is_the_binomial_one():
    rng = np.random.default_rng(3)
    right = rng.random(400) < 0.7
    table = ranked([("a", str(n), 0, [1.0, 0.0] if r else [0.0, 1.0]) for n, r in enumerate(right)])
    found = metrics.evaluate(task(), table)
    p = right.mean()
    stderr = 100 * np.sqrt(p * (1 - p) / 400)
    assert found.stderr == pytest.approx(stderr, rel=0.1)
    assert found.low == pytest.approx(100 * p - 1.96 * stderr, abs=0.8)
    assert found.high == pytest.approx(100 * p + 1.96 * stderr, abs=0.8)
    assert metrics.evaluate(task(), table) == found


def test_groups_widen_the_interval():
    table = ranked(
        [("a", str(n), 0, [1.0, 0.0] if n // 10 % 2 else [0.0, 1.0]) for n in range(100)]
    )
    apart = metrics.evaluate(task(), table)
    together = metrics.evaluate(
        task(), table, examples=[example(str(n), group=str(n // 10)) for n in range(100)]
    )
    assert together.stderr > 2.5 * apart.stderr
    alone = metrics.evaluate(
        task(), table, examples=[example(str(n), group="g") for n in range(100)]
    )
    assert np.isnan([alone.stderr, alone.low, alone.high]).all()


def test_calibration_error_by_hand():
    sure, unsure = [0.0, np.log(1 / 9)], [0.0, np.log(2 / 3)]
    rows = [("a", str(n), 0 if n < 5 else 1, sure) for n in range(10)]
    rows += [("a", str(n), 0 if n < 16 else 1, unsure) for n in range(10, 20)]
    found = responses(ranked(rows))["calibration_error"]
    assert found == pytest.approx(100 * (0.5 * abs(0.5 - 0.9) + 0.5 * abs(0.6 - 0.6)))


def test_close_calls_by_hand():
    table = ranked([("a", "1", 0, [0.0, -0.01]), ("a", "2", 0, [0.0, -0.5])])
    assert responses(table, dtype="bfloat16")["close"] == 50.0
    assert "close" not in responses(table, dtype="float32")


def test_of_equal_options_the_first_is_chosen():
    assert choices(ranked([("a", "1", 0, [-1.0, -1.0])]).iloc[::-1])["option"].tolist() == [0]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda t: t[~((t["template"] == "b") & (t["example"] == "3"))],
            "'b' has 9 of 10 examples",
        ),
        (lambda t: t[:0], "score table is empty"),
    ],
)
def test_a_table_with_holes_is_an_error(broken, message):
    with pytest.raises(DataError, match=message):
        metrics.evaluate(task(), broken(random_table(10)))


def test_an_unknown_example_or_metric_is_an_error():
    table = random_table(3)
    with pytest.raises(DataError, match="example '0', which is not among the 1"):
        metrics.evaluate(task(), table, examples=[example("other")])
    with pytest.raises(ParameterError, match="no metric 'bleu' for ranked options"):
        metrics.evaluate(task("bleu"), table)
    with pytest.raises(ParameterError, match="no metric 'accuracy' for written answers"):
        metrics.evaluate(task(), written([("a", "1", "x", ["x"])]))
    with pytest.raises(ParameterError, match="no choice 'best'"):
        metrics.evaluate(task(), table, choice="best")
    with pytest.raises(ParameterError, match="calibrate=True"):
        metrics.evaluate(task(), table.drop(columns="ll_null"), choice="pmi")
    with pytest.raises(DataError, match="give `examples`"):
        metrics.evaluate(task("record_em"), table)


def test_examples_give_the_order():
    table = random_table(5)
    examples = [example(str(n)) for n in (4, 2, 0, 1, 3)]
    found = metrics.evaluate(task(), table, examples=examples)
    assert found.examples == ("4", "2", "0", "1", "3")
    plain = metrics.evaluate(task(), table)
    assert found.scores[0] == plain.scores[plain.examples.index("4")]


def test_templates_that_take_turns_have_an_interval_though_few_examples_have_them():
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 2, 24)
    found = [
        (f"t{(2 * e + k) % 8}", str(e), int(gold[e]), rng.normal(size=2).tolist())
        for e in range(24)
        for k in range(2)
    ]
    examples = [example(str(e), gold=int(gold[e])) for e in range(24)]
    for metric in ("accuracy", "f1"):
        got = metrics.evaluate(task(metric), ranked(found), examples=examples, in_turn=True)
        assert got.low < got.value < got.high and 3 < got.stderr < 20
    cells, groups = np.ones((2, 4, 1)), list("abcd")
    cells[1, 1:] = 0.0  # the second template was asked of one example of four, and is right
    asked = cells[..., 0] > 0
    drawn = metrics.draws("t", cells, groups, lambda s: 100 * np.minimum(s[..., 0], 1), asked=asked)
    assert set(drawn) == {100.0}, "a template that was not drawn counts as nothing"


@pytest.mark.parametrize("metric", METRICS["rank"])
def test_what_is_a_mean_of_the_examples_scores_and_what_is_not(metric):
    rng = np.random.default_rng(5)
    rows = [("a", str(n), int(n % 3 == 0), rng.normal(size=2).tolist()) for n in range(40)]
    asked = {"paragraph": "p", "options": ("1", "2"), "references": ("1",)}
    examples = [example(str(n), question=str(n // 3), **asked) for n in range(40)]
    found = metrics.evaluate(task(metric), ranked(rows), examples=examples)
    assert (found.value == pytest.approx(np.mean(found.scores))) == (metric not in CORPUS_LEVEL)


@pytest.mark.parametrize("metric", METRICS["generate"])
def test_of_written_answers_likewise(metric):
    said = ["3 cats on a mat", "2 dogs", "1 bird in the old tree", "2 owls"]
    true = [["3 cats sat on a mat"], ["1 dog"], ["1 bird sat in a tree"], ["2 old owls"]]
    table = written([("a", str(n), *pair) for n, pair in enumerate(zip(said, true, strict=True))])
    found = metrics.evaluate(task(metric, "generate"), table)
    assert (found.value == pytest.approx(np.mean(found.scores))) == (metric not in CORPUS_LEVEL)


def test_a_draw_in_which_no_example_counts_is_left_out():
    cells = np.array([[[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]])  # the third does not count
    asked = np.ones((1, 3), bool)
    drawn = metrics.draws("t", cells, list("abc"), mean_of_sums, asked=asked)
    share = 1 - len(drawn) / resampling.DRAWS
    assert share == pytest.approx(1 / 27, abs=0.015), "three times the third"
    assert set(drawn) == {0.0, 100 / 3, 50.0, 200 / 3, 100.0}
    none = metrics.draws("t", 0 * cells, list("abc"), mean_of_sums, asked=asked)
    assert np.isnan(none).all()
