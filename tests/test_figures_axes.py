"""Figures along an axis: what is plotted, named and said; made-up tables."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from plotted import large as plotted
from plotted import marks, spans

from flanlib import figures
from flanlib.core.config import Factors
from flanlib.data import catalogue
from flanlib.figures import fig6_clusters, fig7_scale, fig11_templates, lines, orders, sheets, style
from flanlib.figures.marks import Series
from flanlib.models import weights
from flanlib.results import effects, published
from flanlib.results.effects import Estimand
from flanlib.studies.plans import Point

HELD_OUT = ("nli", "commonsense", "closed_book_qa")


def made_up(points, group="", clusters=HELD_OUT, seeds=3):
    """Rows of an axis: names of an estimand -> value; each cluster two points above the last.

    Every cluster has one dataset; `all` is the mean. Intervals are ±3; those
    of differences ±4.
    """
    rows = []
    for names, value in points.items():
        of = Estimand(*names)
        wide, step = (4.0, 0.0) if of.against else (3.0, 2.0)
        each = [value + step * (n - (len(clusters) - 1) / 2) for n in range(len(clusters))]
        levels = [(c, d, v) for c, v in zip(clusters, each, strict=True) for d in ("", f"{c}-a")]
        if len(clusters) > 1:
            levels.append(("all", "", value))
        for cluster, dataset, v in levels:
            n = 120 * (len(clusters) if cluster == "all" else 1)
            numbers = {"value": v, "low": v - wide, "high": v + wide, "n": n, "seeds": seeds}
            rows.append({**of._asdict(), "cluster": cluster, "dataset": dataset, **numbers})
    numbers = {"value": 40, "low": 40, "high": 40, "n": 120, "seeds": 0}
    rows += [
        {**Estimand("chance")._asdict(), "cluster": c, "dataset": d, **numbers}
        for c in clusters
        for d in ("", "x")
    ]
    return pd.DataFrame(rows).assign(group=group, source="recorded")[effects.COLUMNS]


def less(new, old):
    """Names of a difference, from (arm, x) twice."""
    return Estimand(*new).minus(Estimand(*old))


def axis():
    """Axes of a figure of their own."""
    return sheets.sheet("heading", [], ["a note"], 2.0)[0].add_subplot()


# Lines


SERIES = (
    Series(arm="base", name="base", marker="o", fill="#333333"),
    Series(arm="tuned", name="tuned", marker="D", shift=0.1, written=".1f"),
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
            "series": ["a", "a", "b"],
            "x": ["1", "2", "1"],
            "y": [30, 31, 1],
            "status": ["verified", "recalled", "verified"],
            "cluster": "",
        }
    )
    rows = lines.published_rows(points, {"a": Estimand("FLAN")})
    table = lines.together(made_up(SMALL), rows)
    ax = lines.draw_published(table, axis(), [Series(arm="FLAN", name="FLAN")], PLACES)
    assert plotted(ax, "o") == [(0, 30), (1, 31)]
    assert [mark.fill for mark in marks(ax)] == [style.INK, "#ffffff"]
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
    table = made_up({less(("tuned", "1"), ("base", "1")): value})
    found = effects.pick(table, "tuned", "1", against="base")
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


# Figure 6


ORDER = ("summarization", "translation", "reading_comprehension")
GROUP = "+".join(HELD_OUT)
OTHER = "sentiment+paraphrase"
MORE = {
    ("base", "0"): 44.0,
    **{("paper's order", x): v for x, v in zip("123", (48.0, 53.0, 51.0), strict=True)},
    **{
        less(("paper's order", x), ("base", "0")): v
        for x, v in zip("123", (4.5, 9.0, 7.0), strict=True)
    },
    ("shuffled order", "1"): 50.0,
    ("shuffled order", "3"): 51.0,
}


SHARED = {
    (names[0], {"2": "half", "3": "all"}.get(names[1], names[1])): value + 1
    for names, value in MORE.items()
    if len(names) == 2
} | {
    less(("paper's order", "1"), ("base", "0")): 4.5,
    less(("paper's order", "half"), ("base", "0")): 9.0,
    less(("paper's order", "all"), ("base", "0")): 7.0,
    less(("paper's order", "all"), ("paper's order", "half")): -2.0,
    less(("paper's order", "all"), ("paper's order", "1")): 5.0,
    less(("shuffled order", "all"), ("shuffled order", "1")): 1.0,
}


@dataclass(frozen=True)
class Order:
    """As much of an axis as Figure 6 asks for."""

    held_out: str = GROUP
    groups: tuple = (GROUP, OTHER)
    tuning_clusters = ORDER
    left_out = ()
    catalogue = catalogue.load("micro")
    seeds = (1, 2, 3)

    @property
    def each_group(self):
        return [replace(self, held_out=group) for group in self.groups]

    def points(self, seed):
        """Two drawn orders in three seeds, for each group."""
        for group in self.groups:
            for x, clusters in (("1", ORDER[seed // 2 :][:1]), ("3", ())):
                cell = (Factors(clusters=clusters), None, None, "rte")
                yield Point(group=group, arm="shuffled order", x=x, cells=(cell,))


def ordered(*tables, groups=(GROUP, OTHER)):
    """Tables put together, with what was added in each step."""
    return orders.with_order(pd.concat(tables, ignore_index=True), Order(groups=groups))


@pytest.fixture
def clusters():
    table = ordered(
        made_up(SHARED, clusters=(*HELD_OUT, *OTHER.split("+"))),
        made_up(MORE, GROUP),
        made_up(MORE, OTHER, OTHER.split("+")),
    )
    return orders.with_published(table)


def titled(fig, start):
    """The one panel whose title starts so."""
    (found,) = [ax for ax in fig.axes if ax.get_title("left").startswith(start)]
    return found


def names(ax):
    return [t.get_text().replace("\n", " ") for t in ax.get_xticklabels()]


def test_fig6_draws_both_orders_from_none_to_all(clusters):
    fig = fig6_clusters.draw(clusters)
    main = titled(fig, "Measured here:\nmean of the paper's group, n = 360")
    assert plotted(main, "o") == [(0, 44)]
    assert plotted(main, "D") == [(1, 48), (2, 53), (3, 51)]
    assert [y for _, y in plotted(main, "s")] == [50, 51]
    assert {(41, 47), (45, 51), (50, 56), (48, 54), (47, 53)} <= set(spans(main))
    assert names(main)[0] == "none: base"
    assert names(main)[1].startswith("Summarization, ") and names(main)[3].startswith("Reading, ")
    assert all(ax.get_xlabel() and "percent" in fig.axes[0].get_ylabel() for ax in fig.axes)
    fig = fig6_clusters.draw_clusters(clusters)
    for cluster, value in zip(HELD_OUT, (42, 44, 46), strict=True):
        ax = titled(fig, f"{style.title(cluster, short=True)}, n = 120")
        assert plotted(ax, "o") == [(0, value)] and plotted(ax, "D")[0] == (1, value + 4)
        assert names(ax) == list("0123") and ax.get_xlabel()


def test_fig6_shows_the_gain_of_each_cluster_with_each_step(clusters):
    ax = titled(fig6_clusters.draw(clusters), "Gain over the base")
    assert names(ax) == ["Summarization", "Translation", "Reading"]
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows[0] == "NLI, n = 120" and rows[-1] == "Paraphrase, n = 120" and len(rows) == 5
    found = [(text.get_text(), text.get_weight()) for text in ax.texts]
    assert found == [("+4", "bold"), ("+9", "bold"), ("+7", "bold")] * 5
    lone = clusters.copy()
    lone.loc[(lone["against"] == "base") & (lone["x"] == "1"), "low"] = -1.0
    ax = titled(fig6_clusters.draw(lone), "Gain over the base")
    assert [t.get_weight() for t in ax.texts] == ["normal", "bold", "bold"] * 5


def test_fig6_draws_the_mean_of_all_groups_and_a_row_for_each(clusters):
    fig = fig6_clusters.draw(clusters)
    whole = titled(fig, "Measured here:\nmean of clusters, n = 600")
    assert plotted(whole, "o") == [(0, 45)] and names(whole) == ["none", "1", "half", "all"]
    assert plotted(whole, "D") == [(1, 49), (2, 54), (3, 52)]
    fig = fig6_clusters.draw_clusters(clusters)
    rows = [text.get_text() for text in fig.texts if "Held out:" in text.get_text()]
    assert rows == [
        "Held out: NLI, Commonsense, Closed-book QA",
        "Held out: Sentiment, Paraphrase",
    ]
    assert plotted(titled(fig, "Paraphrase, n = 120"), "D")[0] == (1, 49)


def test_fig6_counts_the_datasets_tuned_on(clusters):
    steps = effects.series(clusters, "paper's order", GROUP, statistic="cluster added")
    micro = Order.catalogue
    counted = [len({t.dataset for c in ORDER[:n] for t in micro.of_cluster(c)}) for n in (1, 2, 3)]
    assert list(steps["cluster"]) == list(ORDER) and list(steps["n"]) == counted
    drawn = clusters[clusters["statistic"] == "clusters drawn, by seed"]
    assert set(drawn["group"]) == {GROUP, OTHER}
    drawn = drawn[drawn["group"] == GROUP]
    assert list(drawn["seeds"]) == [1, 1, 2, 2, 3, 3]
    assert list(drawn["cluster"][::2]) == [ORDER[0] if n // 2 == 0 else ORDER[1] for n in (1, 2, 3)]
    assert list(drawn["n"][1::2]) == [counted[-1]] * 3
    assert "over examples and 3 tuning seeds" in fig6_clusters.notes(clusters)[0]


def test_fig6_shows_every_published_mean_beside(clusters):
    points = published.points("fig6").set_index(["series", "x"])["y"]
    beside = titled(fig6_clusters.draw(clusters), "Published")
    means = [float(points[orders.HELD_OUT, str(n)]) for n in range(1, 8)]
    assert plotted(beside, "D") == [(n, y) for n, y in enumerate(means, 1)]
    assert names(beside)[4] == f"data to text, {points['number of datasets', '5']}"
    here = titled(fig6_clusters.draw(clusters), "Measured here:\nmean of the paper's group")
    assert not {y for _, y in plotted(here, "D")} & {*means}


@pytest.mark.parametrize("held_out", [("nli",), HELD_OUT])
def test_fig6_of_one_group_has_no_second_mean(held_out):
    group = "+".join(held_out)
    tables = made_up(SHARED, clusters=held_out), made_up(MORE, group, held_out)
    one = ordered(*tables, groups=(group,))
    fig = fig6_clusters.draw(one)
    assert len(fig.axes) == 2 + (len(held_out) > 1)
    assert bool(fig6_clusters.describe_clusters(one)) == (len(held_out) > 1)
    named = "NLI, n = 120" if len(held_out) == 1 else "mean of clusters, n = 360"
    assert titled(fig, f"Measured here:\n{named}")
    assert [t.get_text() for t in titled(fig, "Published").texts] == ["not found"]
    assert "Beside the paper" not in fig6_clusters.reading(one)
    assert "Natural language inference" in fig6_clusters.describe(one)
    assert len(fig6_clusters.summary(one)) == 4


def test_fig6_says_its_numbers(clusters):
    words = fig6_clusters.describe(clusters)
    assert "Mean over clusters, percent by number of tuning clusters: base 0: 45.0" in words
    assert "Mean over Sentiment, Paraphrase" in words
    assert "paper's order 1: 48.0, 2: 53.0, 3: 51.0" in words
    assert "shuffled order 1: 50.0, 3: 51.0" in words and "7: 63.5" in words
    found = fig6_clusters.reading(clusters)
    assert "1 cluster: 49.0 [46.0, 52.0], on half of the clusters: 54.0" in found
    assert "with 1 cluster: +4.5 [+0.5, +8.5] points: higher" in found
    assert "all against 1 cluster +5.0 [+1.0, +9.0] points: higher; against half of the" in found
    assert "of the clusters -2.0 [-6.0, +2.0] points: undecided" in found
    assert (
        "Sentiment, Paraphrase held out: 1 of 2 steps go up; the largest, +5.0, is the one to 2;"
        " the highest mean, 53.0," in found
    )
    assert "from 49.9 to 63.5 (+13.6), here, with NLI, Commonsense" in found
    assert "from 48.0 to 51.0 (+3.0): the direction is the same" in found
    assert "1 cluster 51.0 against 49.0" in found
    assert "Natural language inference +5.0 with Translation; Commonsense +5.0 with" in found
    summary = fig6_clusters.summary(clusters).set_index(["held out", "tuning clusters"])
    first = "NLI, Commonsense, Closed-book QA"
    assert summary.loc[(first, "0"), "paper's order"] == "44.0 [41.0, 47.0]"
    assert summary.loc[(first, "2"), "added"] == "Translation"
    assert summary.loc[(first, "2"), "published"] == "55.0"
    assert summary.loc[("Sentiment, Paraphrase", "2"), "published"] == ""
    assert summary.loc[("each group in turn, mean of all", "all"), "paper's order"].startswith(
        "52.0"
    )


# Figure 7


MODELS = ("micro-300k", "micro-600k", "micro-2m")


def sizes_of(gains=(-6.0, 1.0, 9.0), models=MODELS):
    """Held-out gains as given, held-in ten points more."""
    parts = []
    for group, clusters, more in (
        ("held-out", HELD_OUT, 0.0),
        ("held-in", ("translation", "sentiment"), 10.0),
    ):
        points = {}
        for n, (model, gain) in enumerate(zip(models, gains, strict=True)):
            points["base", model] = 40.0 + n
            points["tuned", model] = 40.0 + n + gain + more
            points[less(("tuned", model), ("base", model))] = gain + more
        parts.append(made_up(points, group, clusters))
    return pd.concat(parts, ignore_index=True)


class Ladder:
    """As much of an axis as Figure 7 asks for."""

    ladder = MODELS


@pytest.fixture
def scale():
    return fig7_scale.with_published(fig7_scale.with_sizes(sizes_of(), Ladder()))


def test_fig7_draws_base_tuned_and_difference_by_size(scale):
    fig = fig7_scale.draw(scale)
    places = [math.log10(n) for n in (287_936, 573_216, 2_473_920)]
    for group, more, n in (("held-out", 0, 360), ("held-in", 10, 240)):
        ax = titled(fig, f"Measured here, {group}:\nmean of clusters, n = {n}")
        assert plotted(ax, "o") == [(at, 40 + n) for n, at in enumerate(places)]
        tuned = [40 + n + gain + more for n, gain in enumerate((-6, 1, 9))]
        assert [y for _, y in plotted(ax, "D")] == tuned
        below = fig.axes[fig.axes.index(ax) + 2]
        assert plotted(below, "D") == list(zip(places, [g + more for g in (-6, 1, 9)], strict=True))
        assert (-6 + more - 4, -6 + more + 4) in spans(below)
        assert names(below) == ["0.29", "0.57", "2.5"]
        assert below.get_xlabel() == "million parameters, log scale"
    fig = fig7_scale.draw_clusters(scale)
    assert plotted(titled(fig, "NLI, n = 120"), "o")[0] == (places[0], 38)
    assert plotted(titled(fig, "Sentiment, n = 120"), "o")[0] == (places[0], 41)


def test_fig7_shows_published_values_hollow_and_only_their_sign(scale):
    fig = fig7_scale.draw(scale)
    ax = titled(fig, "Published, held-out:\nread off by eye")
    points = published.points("fig7").set_index(["series", "x"])["y"].astype(float)
    for series, marker in (("untuned held-out", "o"), ("instruction-tuned held-out", "D")):
        assert [y for _, y in plotted(ax, marker)] == list(points[series])
    below = fig.axes[fig.axes.index(ax) + 1]
    assert below.get_ylabel() == "difference, sign only"
    assert {mark.fill for mark in marks(ax)} == {"#ffffff"}
    assert names(below) == ["0.42", "2", "8", "68", "137"]
    assert "hollow: 10 read-off" in " ".join(fig7_scale.notes(scale))


def test_fig7_names_models_whose_size_is_not_known():
    models = ("owner/some-1b", "owner/some-2b", "micro-2m")
    table = fig7_scale.with_sizes(sizes_of(models=models), Ladder())
    fig = fig7_scale.draw(table)
    assert names(fig.axes[2]) == ["some-1b", "some-2b", "micro-2m"]
    assert fig.axes[2].get_xlabel() == "model"
    assert [t.get_text() for t in titled(fig, "Published").texts] == ["not found"]


def test_a_model_is_counted_from_its_record_or_its_weights(tmp_path):
    assert weights.n_parameters("micro-2m") == 2_473_920
    assert weights.n_parameters("owner/unknown") == 0
    head = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
            "b": {"dtype": "F32", "shape": [5], "data_offsets": [48, 68]},
        }
    ).encode()
    stored = len(head).to_bytes(8, "little") + head + bytes(68)
    (tmp_path / "model.safetensors").write_bytes(stored)
    assert weights.n_parameters(str(tmp_path)) == 17


@pytest.mark.parametrize(
    ("gains", "word"),
    [((-6.0, 1.0, 9.0), "is seen"), ((6.0, 1.0, 9.0), "not seen"), ((-6.0, 1.0, 3.0), "not seen")],
)
def test_fig7_asks_whether_tuning_hurts_the_small_and_helps_the_large(gains, word):
    table = fig7_scale.with_published(fig7_scale.with_sizes(sizes_of(gains), Ladder()))
    found = fig7_scale.reading(table)
    assert f"the pattern is {word.removeprefix('is ')} here" in found
    assert f"micro-300k {gains[0]:+.1f} [{gains[0] - 4:+.1f}, {gains[0] + 4:+.1f}]" in found
    assert "below the untuned one at 422M, 2B, 8B, and above at 68B, 137B" in found
    assert "287,936 to 2,473,920 parameters" in found


def test_fig7_says_its_numbers(scale):
    words = fig7_scale.describe(scale)
    assert "Held-out, mean over clusters, percent: micro-300k base 40.0, tuned 34.0" in words
    more = fig7_scale.describe_clusters(scale)
    assert "Sentiment, held-in, tuned minus base: micro-300k +4.0" in more
    summary = fig7_scale.summary(scale)
    assert list(summary["evaluated on"]) == ["held-out"] * 3 + ["held-in"] * 3
    assert summary["difference"][2] == "+9.0 [+5.0, +13.0]"
    assert summary["parameters"][0] == "287,936"


# Figure 11


def templates_of(values=(55.0, 61.0, 60.0)):
    """Base 44; spreads 11 for the base, then 8, 5, 4."""
    points = {("base", "0"): 44.0}
    for x, value in zip(("1", "4", "10"), values, strict=True):
        points["tuned", x] = value
        points[less(("tuned", x), ("base", "0"))] = value - 44
        if x != "1":
            points[less(("tuned", x), ("tuned", "1"))] = value - values[0]
    apart = {("base", "0", effects.SPREAD): 11.0}
    for x, value in zip(("1", "4", "10"), (8.0, 5.0, 4.0), strict=True):
        apart["tuned", x, effects.SPREAD] = value
    spread = made_up(apart)
    spread = spread[(spread["arm"] != "chance") & (spread["dataset"] == "")]
    parts = [made_up(points), spread.assign(low=np.nan, high=np.nan)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def wordings():
    return fig11_templates.with_published(templates_of())


def test_fig11_draws_scores_and_spread(wordings):
    fig = fig11_templates.draw(wordings)
    main, spread = (
        titled(fig, "Measured here: mean of clusters, n = 360"),
        titled(fig, "Sensitivity"),
    )
    assert plotted(main, "o") == [(-1, 44)]
    assert plotted(main, "D") == [(1, 55), (4, 61), (10, 60)]
    assert {(41, 47), (52, 58), (58, 64), (57, 63)} <= set(spans(main))
    assert plotted(spread, "o") == [(-1, 11)]
    assert plotted(spread, "D") == [(1, 8), (4, 5), (10, 4)]
    assert spans(spread) == [], "a spread has no interval"
    assert names(main) == ["base", "1", "4", "10"] and spread.get_ylim()[0] == 0
    nli = titled(fig, "NLI, n = 120")
    assert plotted(nli, "D") == [(1, 53), (4, 59), (10, 58)]


def test_fig11_draws_nothing_that_was_not_printed(wordings):
    fig = fig11_templates.draw(wordings)
    assert not any(ax.get_title("left").startswith("Published") for ax in fig.axes)
    assert (
        "curves at 1, 4, 10 templates without printed values" in fig11_templates.notes(wordings)[-1]
    )
    assert "no number stands here" in fig11_templates.reading(wordings)
    alone = templates_of()
    assert "Published" not in " ".join(fig11_templates.notes(alone))
    assert "Beside the paper" not in fig11_templates.reading(alone)
    assert fig11_templates.draw(alone).axes


def test_fig11_says_its_numbers(wordings):
    words = fig11_templates.describe(wordings)
    assert "Mean over clusters, percent by templates, 0 is the base: 0 44.0 (SD 11.0)" in words
    assert "10 60.0 (SD 4.0)" in words
    found = fig11_templates.reading(wordings)
    assert "1 +11.0 [+7.0, +15.0] (higher)" in found
    assert "difference +5.0 [+1.0, +9.0] points: higher" in found
    assert "base 11.0; 1 8.0; 4 5.0; 10 4.0" in found
    summary = fig11_templates.summary(wordings).set_index("templates per dataset")
    assert summary.loc["4", "gain over base"] == "+17.0 [+13.0, +21.0]"
    assert summary.loc["none: base", "SD over templates"] == "11.0"


# All three


@pytest.mark.parametrize("stem", ["fig6_clusters", "fig7_scale", "fig11_templates"])
def test_a_changed_value_changes_what_is_written(stem, request, tmp_path):
    fixture = {"fig6_clusters": "clusters", "fig7_scale": "scale", "fig11_templates": "wordings"}
    table, module = request.getfixturevalue(fixture[stem]), figures.module(stem)
    changed = table.copy()
    where = (table["source"] == "recorded") & (table["cluster"] == "nli") & table["low"].notna()
    changed.loc[where & ~table["arm"].isin(["chance"]), "value"] += 0.25
    written = {}
    for name, frame in (("a", table), ("again", table), ("b", changed)):
        files = style.save(module.draw(frame), stem, frame, "words", tmp_path / name)
        written[name] = {kind: path.read_bytes() for kind, path in files.items()}
        for sheet, (draw, _) in figures.sheets_of(stem).items():
            files = style.save(draw(frame), sheet, None, "words", tmp_path / name)
            written[name]["svg"] += files["svg"].read_bytes()
    assert written["a"] == written["again"], "redrawing gives the same bytes"
    assert written["a"]["csv"] != written["b"]["csv"] and written["a"]["svg"] != written["b"]["svg"]
    told = [module.describe, *(words for _, words in figures.sheets_of(stem).values())]
    assert [words(table) for words in told] != [words(changed) for words in told]


@pytest.mark.parametrize("stem", ["fig6_clusters", "fig7_scale", "fig11_templates"])
def test_nothing_lies_over_an_edge(stem, request):
    fixture = {"fig6_clusters": "clusters", "fig7_scale": "scale", "fig11_templates": "wordings"}
    for draw in (figures.module(stem).draw, *(s[0] for s in figures.sheets_of(stem).values())):
        with style.look():
            fig = draw(request.getfixturevalue(fixture[stem]))
            FigureCanvasAgg(fig)
            wide, tall = fig.get_size_inches()
            inside = fig.get_tightbbox()
        assert inside.x0 >= 0 and inside.y0 >= 0 and inside.x1 <= wide and inside.y1 <= tall
        assert tall < 1.42 * wide, "no taller than a page"
        for ax in fig.axes:
            low, high = sorted(ax.get_ylim())
            ends = [y for _, y in plotted(ax)] + [y for span in spans(ax) for y in span]
            assert not ends or (low <= min(ends) and max(ends) <= high), ax.get_title("left")
