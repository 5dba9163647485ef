"""Figures along an axis: what is plotted, named and said; made-up tables."""

import numpy as np
import pandas as pd
import pytest

from flanlib.figures import lines, style

HELD_OUT = ("nli", "commonsense", "closed_book_qa")


def made_up(points, group="", clusters=HELD_OUT, seeds=3):
    """Rows of an axis: arm, x -> value; each cluster two points above the last.

    Every cluster has one dataset; `all` is the mean. Intervals are ±3; those
    of differences ±4.
    """
    rows = []
    for (arm, x), value in points.items():
        wide = 4.0 if " - " in arm else 3.0
        step = 0.0 if " - " in arm else 2.0
        each = [value + step * (n - (len(clusters) - 1) / 2) for n in range(len(clusters))]
        levels = [(c, d, v) for c, v in zip(clusters, each, strict=True) for d in ("", f"{c}-a")]
        if len(clusters) > 1:
            levels.append(("all", "", value))
        for cluster, dataset, v in levels:
            n = 120 * (len(clusters) if cluster == "all" else 1)
            rows.append((group, arm, x, cluster, dataset, v, v - wide, v + wide, n, seeds))
    rows += [(group, "chance", "", c, d, 40, 40, 40, 120, 0) for c in clusters for d in ("", "x")]
    return pd.DataFrame(rows, columns=lines.COLUMNS[:-1]).assign(source="recorded")


def plotted(ax, marker):
    """Marks of a shape: (x, y), in order."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in ax.lines
        if line.get_marker() == marker and len(line.get_xdata()) == 1
    ]


def spans(ax):
    """Intervals drawn, as (low, high)."""
    return [
        tuple(x.get_ydata()) for x in ax.lines if len(set(x.get_xdata())) == 1 < len(x.get_xdata())
    ]


def axis():
    """Axes of a figure of their own."""
    return lines.sheet("heading", [], ["a note"], 2.0)[0].add_subplot()


# Lines


SERIES = (
    lines.Series(arm="base", name="base", marker="o", fill="#333333"),
    lines.Series(arm="tuned", name="tuned", marker="D", shift=0.1, labelled=True),
)
PLACES = {"1": 0.0, "2": 1.0}
SMALL = {("base", "1"): 40.0, ("base", "2"): 42.0, ("tuned", "1"): 50.0, ("tuned", "2"): 60.0}


def test_a_panel_has_every_value_its_interval_and_chance():
    ax = lines.draw(made_up(SMALL), axis(), SERIES, PLACES, "nli")
    assert plotted(ax, "o") == [(0, 38), (1, 40)]
    assert plotted(ax, "D") == [(0.1, 48), (1.1, 58)]
    assert {(35, 41), (37, 43), (45, 51), (55, 61)} <= set(spans(ax))
    assert [x.get_ydata()[0] for x in ax.lines if x.get_linestyle() == ":"] == [40]
    assert not ax.texts
    ax = lines.draw(made_up(SMALL), axis(), SERIES, PLACES, "nli", labelled=True)
    assert [t.get_text() for t in ax.texts] == ["48.0", "58.0"]


def test_what_is_not_in_the_table_is_not_drawn():
    table = made_up(SMALL)
    table.loc[(table["arm"] == "tuned") & (table["x"] == "2"), "value"] = np.nan
    ax = lines.draw(table, axis(), SERIES, PLACES)
    assert plotted(ax, "D") == [(0.1, 50)]


def test_published_values_are_hollow_unless_verified():
    points = pd.DataFrame(
        {
            "series": ["a", "a", "b"], "x": ["1", "2", "1"], "y": [30, 31, 1],
            "status": ["verified", "recalled", "verified"], "cluster": "",
        }
    )  # fmt: skip
    table = lines.together(made_up(SMALL), lines.published_rows(points, {"a": "FLAN"}))
    ax = lines.draw_published(table, axis(), [lines.Series(arm="FLAN", name="FLAN")], PLACES)
    assert plotted(ax, "o") == [(0, 30), (1, 31)]
    fills = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert fills == [style.INK, "white"]
    note = lines.note_on_published(table)
    assert "1 of 2 values verified" in note and "hollow: 1 recalled" in note
    empty = lines.draw_published(made_up(SMALL), axis(), [SERIES[0]], {})
    assert [t.get_text() for t in empty.texts] == ["not found"]
    assert lines.note_on_published(made_up(SMALL)) == ""


def test_panels_are_the_mean_and_the_clusters_or_the_one_cluster():
    assert lines.panels_of(made_up(SMALL), "tuned") == ("all", list(HELD_OUT))
    assert lines.panels_of(made_up(SMALL, clusters=("nli",)), "tuned") == ("nli", [])
    assert lines.title(made_up(SMALL), "nli", "tuned") == "NLI, n = 120"
    assert lines.title(made_up(SMALL), "all", "tuned") == "mean of clusters, n = 360"


@pytest.mark.parametrize(("value", "word"), [(5, "higher"), (-5, "lower"), (1, "undecided")])
def test_a_difference_is_judged_by_its_interval(value, word):
    found = lines.row(made_up({("tuned - base", "1"): value}), "tuned - base", "1")
    assert lines.verdict(found) == word
    assert lines.spelled(found, signed=True) == f"{value:+.1f} [{value - 4:+.1f}, {value + 4:+.1f}]"


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "1 tuning seed;"), (3, "3 tuning seeds;"), (0, "0 tuning seeds;")]
)
def test_the_note_counts_seeds(seeds, words):
    assert words in lines.note_on_seeds(made_up(SMALL, seeds=seeds))


def test_two_seed_counts_are_told_as_a_span():
    table = pd.concat([made_up(SMALL, seeds=1), made_up(SMALL, seeds=3)])
    assert "1–3 tuning seeds" in lines.note_on_seeds(table)
