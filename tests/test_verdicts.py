"""Words on whether a figure agrees with the paper follow its numbers."""

import shutil

import pandas as pd
import pytest

from flanlib.core import paths
from flanlib.reporting import blocks, verdicts
from flanlib.reporting.values import Tables, Value

UP, DOWN, OPEN = (
    Value(value=v, low=v - 1, high=v + 1) for v in (2.0, -2.0, 0.5)
)  # above 0, below 0, over it


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Copies of micro's tables, which a test may change."""
    (tmp_path / "micro").mkdir()
    for path in (paths.FIGURES / "micro").glob("*.csv"):
        shutil.copy(path, tmp_path / "micro")
    (tmp_path / "small").symlink_to(paths.FIGURES / "small")
    monkeypatch.setenv("FLANLIB_FIGURES", str(tmp_path))
    return Tables("micro")


def change(tables, figure, arm, against, difference, **where):
    """Put another difference in the place of one that is on record."""
    path = tables.path(figure)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    named = {"cluster": "all", "dataset": "", "arm": arm, "against": against, **where}
    rows = (table[list(named)] == list(named.values())).all(axis=1)
    assert rows.any()
    for key in ("value", "low", "high"):
        table.loc[rows, key] = str(getattr(difference, key))
    table.to_csv(path, index=False)


def test_an_answer_is_the_side_of_the_interval():
    assert verdicts.answered({"a": UP}) == "yes"
    assert verdicts.answered({"a": DOWN, "b": DOWN}) == "no"
    assert verdicts.answered({"a": OPEN}) == "undecided"
    assert verdicts.answered({"a": DOWN, "b": UP, "c": OPEN}) == "yes: b; undecided: c; no: a"


@pytest.mark.parametrize(
    ("word", "figure", "pairs"),
    [
        ("clusters", "fig6", [("paper's order", "paper's order")]),
        (
            "instructions",
            "fig8",
            [(verdicts.FULL, old) for old in ("none > instruction", "dataset-name > instruction")],
        ),
        ("exemplars", "fig9", [(arm, arm) for arm in ("base", "tuned", "tuned with exemplars")]),
        ("soft_prompts", "fig10", [("on tuned", "on base")]),
    ],
)
def test_other_numbers_give_other_words(tables, word, figure, pairs):
    said = {getattr(verdicts, word)(tables)}
    for difference, answer in ((UP, "yes"), (DOWN, "no"), (OPEN, "undecided")):
        for pair in pairs:
            change(tables, figure, *pair, difference)
        found = getattr(verdicts, word)(tables)
        assert answer in found
        said.add(found)
    assert len(said) >= 3


def test_models_that_lose_are_counted(tables):
    change(tables, "fig7", "tuned", "base", DOWN, group="held-out", x="micro-300k")
    assert verdicts.scale(tables).startswith("yes on small models: 1 of 5 sizes loses; yes on the")
    change(tables, "fig7", "tuned", "base", OPEN, group="held-out")
    assert verdicts.scale(tables) == (
        "no on small models: none of 5 sizes loses; undecided on the largest"
    )


def test_a_little_effect_is_a_small_share_of_the_gain(tables):
    change(tables, "fig11", "tuned", "base", Value(value=10, low=8, high=12), x="1")
    for value, said in (
        (0.5, "yes: no effect is shown"),
        (1.5, "yes: little, not none (15 % of the gain with one)"),
        (-5, "no (50 % of the gain with one)"),
    ):
        change(tables, "fig11", "tuned", "tuned", Value(value=value, low=value - 1, high=value + 1))
        assert verdicts.templates(tables) == said


def test_the_page_says_what_the_changed_tables_say(tables):
    empty = "<!-- results:start page -->\n<!-- results:end -->\n"
    before = blocks.filled(empty, "x")
    change(tables, "fig9", "tuned", "tuned", UP)
    change(tables, "fig8", verdicts.FULL, "none > instruction", Value(value=99), cluster="nli")
    after = blocks.filled(empty, "x")
    assert "| exemplars help everywhere | no |" in before
    assert "| exemplars help everywhere | yes: tuned; no: the base, tuned with exemplars |" in after
    assert "**Coreference**: −1.2" in before and "0 gain, 0 lose, 5 undecided." in before
    change(tables, "fig7", "tuned", "base", UP, cluster="coreference", group="held-out")
    change(tables, "fig5", "tuned", "base", DOWN, cluster="nli", dataset="qnli")
    changed = blocks.filled(empty, "x")
    assert "5 gain, 0 lose, 0 undecided." in changed and "−2.0 [−3.0, −1.0] (a loss)." in changed
    assert "most in struct to text" in before
    assert "most in natural language inference (+99.0)" in after
