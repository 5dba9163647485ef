"""Figure 14: what is plotted and said of tuning steps, all of them on record or some."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from plotted import large as plotted
from plotted import spans
from test_coverage import FLAN, small, written  # noqa: F401
from test_figures_axes import less, made_up, titled

from flanlib.core import paths
from flanlib.core.errors import MissingResultError
from flanlib.figures import fig14_steps as fig14
from flanlib.figures import style
from flanlib.reporting import values
from flanlib.results import effects
from flanlib.studies import axes, coverage
from flanlib.studies.plans import Point

STEPS = ("200", "400", "800", "1600")
HELD_IN = ("translation", "sentiment")


def curve(held_in=(10.0, 20.0, 30.0, 31.0), held_out=(-2.0, 3.0, 6.0, 5.0)):
    """Base 40; gains by steps, with paired differences of ±4."""
    parts = []
    for group, gains, clusters in (
        ("held-in", held_in, HELD_IN),
        ("held-out", held_out, ("nli", "commonsense", "closed_book_qa")),
    ):
        points = {("base", "0"): 40.0, ("base", "0", effects.SPREAD): 3.0}
        for x, gain in zip(STEPS, gains, strict=True):
            points["tuned", x] = 40.0 + gain
            points[less(("tuned", x), ("base", "0"))] = gain
        for new, old in ((2, 0), (3, 0), (3, 2)):
            names = less(("tuned", STEPS[new]), ("tuned", STEPS[old]))
            points[names] = gains[new] - gains[old]
        parts.append(made_up(points, group, clusters))
    return pd.concat(parts, ignore_index=True)


class Study:
    """As much of an axis as `collect` needs."""

    def __init__(self, table):
        self.load = lambda: table


@pytest.fixture
def table():
    return fig14.collect(Study(curve()))


@pytest.fixture
def part():
    """800 and 1600 steps are not measured."""
    found = curve()
    found = found[~found["x"].isin(STEPS[2:])]
    points = [Point(arm="tuned", x=x, cells=(), group=g) for g in fig14.GROUPS for x in STEPS]
    (rows,) = coverage.points_lacking(points, {1: [p for p in points if p.x in STEPS[:2]]})
    return fig14.collect(Study(pd.concat([found, rows.assign(source="recorded")])))


def test_scores_and_differences_stand_at_the_logarithm_of_steps(table):
    fig = fig14.draw(table)
    for group, gains, n in (("in", (10, 20, 30, 31), 240), ("out", (-2, 3, 6, 5), 360)):
        ax = titled(fig, f"Held {group}: mean of clusters, n = {n}")
        places = [x for x, _ in plotted(ax, "D")]
        assert np.diff(places) == pytest.approx([1, 1, 1])
        assert plotted(ax, "o") == [(pytest.approx(places[0] - 1), 40)]
        assert [y for _, y in plotted(ax, "D")] == [40 + gain for gain in gains]
        assert {(37, 43), *((37 + gain, 43 + gain) for gain in gains)} == set(spans(ax))
        below = fig.axes[fig.axes.index(ax) + 2]
        assert plotted(below, "D") == list(zip(places, gains, strict=True))
        assert (gains[0] - 4, gains[0] + 4) in spans(below)
        assert [x.get_text() for x in below.get_xticklabels()] == ["base", *STEPS]
    assert effects.SPREAD not in set(table["statistic"])
    page = fig14.draw_clusters(table)
    assert [y for _, y in plotted(titled(page, "Sentiment, n = 120"), "D")] == [51, 61, 71, 72]
    assert [y for _, y in plotted(titled(page, "NLI, n = 120"), "D")] == [36, 41, 44, 43]


@pytest.mark.parametrize("draw", [fig14.draw, fig14.draw_clusters])
@pytest.mark.parametrize("profile", ["micro", "small"])
def test_a_dotted_line_is_in_the_legend(profile, draw):
    page = draw(values.read(paths.FIGURES / profile / "fig14_steps.csv"))
    assert any(line.get_linestyle() == ":" for ax in page.axes for line in ax.lines)
    assert "chance" in [t.get_text() for legend in page.legends for t in legend.get_texts()]


def test_it_says_whether_steps_were_enough_and_what_happened_held_out(table):
    found = fig14.reading(table)
    assert "**Held in scores rise** with the profile's 800 steps: +30.0 [+26.0, +34.0]" in found
    assert "**Held out scores rise** with the profile's 800 steps: +6.0 [+2.0, +10.0]" in found
    assert "From 800 to 1600 steps: +1.0 [-3.0, +5.0] points (undecided)" in found
    assert "From 200 to 800 steps: +20.0 [+16.0, +24.0] points (higher)" in found
    assert "200 -2.0 [-6.0, +2.0] (undecided)" in found and "Not measured" not in found
    other = fig14.reading(curve(held_out=(-2.0, -3.0, -6.0, -7.0)))
    assert "**Held out scores fall** with the profile's 800 steps: -6.0" in other
    words = fig14.describe(table)
    assert "Held in, mean over clusters, percent by steps, 0 is the base: 0 40.0, 200 50.0" in words
    assert "Sentiment, held-in, percent by steps: 0 41.0, 200 51.0" in fig14.describe_clusters(
        table
    )
    summary = fig14.summary(table).set_index("tuning steps")
    assert summary.loc[400, "held-out, gain"] == "+3.0 [-1.0, +7.0]"
    assert summary.loc[0, "held-in, score"] == "40.0 [37.0, 43.0]" and summary.loc[0, "seeds"] == 0
    assert set(summary.loc[200:, "seeds"]) == {3} and set(summary["held-in, n"]) == {240}


def test_steps_that_are_not_measured_are_named_and_not_drawn(part):
    fig = fig14.draw(part)
    ax = titled(fig, "Held in: mean of clusters, n = 240")
    assert [y for _, y in plotted(ax, "D")] == [50, 60]
    below = fig.axes[fig.axes.index(ax) + 2]
    assert [x.get_text() for x in below.get_xticklabels()] == ["base", "200", "400"]
    for told in (fig14.describe(part), fig14.reading(part), " ".join(fig14.notes(part))):
        assert "Not measured: 800, 1600 steps." in told
    assert "not measured at the profile's 800 steps" in fig14.reading(part)
    summary = fig14.summary(part).set_index("tuning steps")
    assert (
        summary.loc[1600, "seeds"] == "not measured" and summary.loc[1600, "held-in, score"] == ""
    )


def test_without_held_in_tasks_the_other_half_is_drawn(table):
    alone = table[table["group"] == "held-out"]
    fig = fig14.draw(alone)
    assert len(fig.axes) == 2 and "Held in" not in fig14.describe(alone)


@pytest.mark.parametrize("which", ["table", "part"])
def test_nothing_lies_over_an_edge_and_redrawing_gives_the_same_bytes(which, request, tmp_path):
    given = request.getfixturevalue(which)
    for name, draw in {"one": fig14.draw, "clusters": fig14.SHEETS["clusters"][0]}.items():
        with style.look():
            fig = draw(given)
            FigureCanvasAgg(fig)
            wide, tall = fig.get_size_inches()
            inside = fig.get_tightbbox()
        assert inside.x0 >= 0 and inside.y0 >= 0 and inside.x1 <= wide and inside.y1 <= tall
        assert tall < 1.42 * wide
        first, second = (
            style.save(draw(given), name, given, "words", tmp_path / folder) for folder in "ab"
        )
        assert {k: p.read_bytes() for k, p in first.items()} == {
            k: p.read_bytes() for k, p in second.items()
        }


# Partial records of `small`


def opened(of, seed=1):
    return axes.Axis(replace(of.settings, seed=seed), fig14.STEM)


HELD = ("rte", "arc_easy", "trivia_qa", "piqa", "sst2", "bool_q")


def points(of, seed=1):
    """Place -> cells; of a few tasks that are made known by records of the main result."""
    found = {}
    for point in opened(of, seed).points():
        found.setdefault(point.x, []).extend(point.cells)
    return found


@pytest.fixture
def begun(small):  # noqa: F811
    """A study whose main result has records of some tasks, by which they are known."""
    written(
        [cell for key in HELD for cell in small()._cells_of(FLAN.task(key))],
        small().at,
    )
    return small()


def test_nothing_is_drawn_before_some_number_of_steps_is_complete(begun):
    axis = opened(begun)
    assert [t.key for t in axis.held_in_tasks] == ["sst2", "bool_q"]
    assert {t.key for t in axis.held_out_tasks} == {"rte", "arc_easy", "trivia_qa", "piqa"}
    with pytest.raises(MissingResultError, match="flanlib run --only fig14_steps"):
        axis.load()
    by_x = points(begun)
    assert set(by_x) == {"0", "75", "150", "300", "600"}
    written([cell for cell in by_x["75"] if cell[3] != "bool_q"], begun.at)
    with pytest.raises(MissingResultError):
        opened(begun).load()


def test_complete_steps_are_drawn_for_the_seeds_that_have_them_all(begun):
    first = points(begun)
    written([*first["75"], *first["300"]], begun.at)
    table = opened(begun).load()
    assert set(table.loc[table["arm"] == "tuned", "x"]) == {"75", "300"}
    assert fig14.lacking(table) == ["150", "600"]
    own = {"against": "tuned", "against_x": "75"}
    assert effects.pick(table, "tuned", "300", group="held-in", **own).n > 0
    written(points(begun, 2)["300"], begun.at)
    seeds = opened(begun).load().query("arm == 'tuned'")["seeds"]
    assert set(seeds) == {1}, "seed 2 has but one of the two"
    written(points(begun, 2)["75"], begun.at)
    table = opened(begun).load()
    assert set(table.query("arm == 'tuned'")["seeds"]) == {2}
    assert "Not measured: 150, 600 steps." in fig14.describe(table)
    assert fig14.draw(table).axes
    assert effects.pick(table, "tuned", "75", group="held-in").n > 0


def test_a_table_without_its_differences_is_refused(table):
    lacking = table[table["statistic"] != effects.DIFFERENCE]
    for function in (fig14.draw, fig14.describe, fig14.summary, fig14.reading):
        with pytest.raises(MissingResultError, match=r"no value of .*statistic 'difference'"):
            function(lacking)
