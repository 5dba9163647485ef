"""Figures 8 to 10 on made-up tables: all that is in a table is in the figure."""

from itertools import product

import numpy as np
import pandas as pd
import plotted as drawn
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection

from flanlib import figures
from flanlib.core.errors import MissingResultError
from flanlib.figures import (
    boxes,
    dots,
    fig8_instructions,
    fig9_few_shot,
    fig10_prompt_tuning,
    lines,
    marks,
    style,
)
from flanlib.results import effects, published
from flanlib.results.effects import Estimand
from flanlib.studies import axes

CLUSTERS = ("nli", "commonsense", "closed_book_qa")
FULL = fig8_instructions.FULL
MODULES = {"fig8_table3": fig8_instructions, "fig9": fig9_few_shot, "fig10": fig10_prompt_tuning}


def plans():
    """What each figure's table holds: (arm, x) -> value, and pairs of which it has the difference."""
    ways = dict(zip(fig8_instructions.WAYS, (40, 45, 52, 50, 61), strict=True))
    first = {(arm, ""): value for arm, value in ways.items()}
    pairs = [((arm, ""), ("base", "")) for arm in fig8_instructions.TUNED]
    pairs += [((FULL, ""), (arm, "")) for arm in fig8_instructions.LESS]
    yield "fig8_table3", first, pairs
    keys = list(product(fig9_few_shot.ARMS, ("0", "3")))
    second = dict(zip(keys, (40, 43, 60, 54, 58, 67), strict=True))
    gains = [((arm, x), ("base", x)) for arm, x in keys if arm != "base"]
    gains += [((arm, "3"), (arm, "0")) for arm in fig9_few_shot.ARMS]
    yield "fig9", second, gains
    third = {
        ("base", "none"): 41,
        ("tuned", "none"): 62,
        ("on base", "32"): 44,
        ("on tuned", "32"): 57,
        ("on base", "all"): 69,
        ("on tuned", "all"): 66,
    }
    yield "fig10", third, [(("on tuned", x), ("on base", x)) for x in ("32", "all")]


def made_up(points, gains, clusters=CLUSTERS, per=3):
    """A table whose values all differ; intervals are 3 points each way."""
    whole = [effects.ALL] if len(clusters) > 1 else []
    rows = []

    def add(of, cluster, dataset, value, seeds, wide=3.0):
        numbers = {"value": value, "low": value - wide, "high": value + wide, "seeds": seeds}
        about = {"cluster": cluster, "dataset": dataset, "n": 120 if dataset else 120 * per}
        rows.append({**of._asdict(), **about, **numbers, "group": "", "source": "recorded"})

    for k, cluster in enumerate([*clusters, *whole]):
        names = [f"{cluster}-{n}" for n in range(per)] if cluster != effects.ALL else []
        for d, dataset in enumerate([*names, ""]):
            shift = 2.3 * k + (0.7 * (d - 1) if dataset and per > 1 else 0)
            here = {key: value + shift + 0.1 * n for n, (key, value) in enumerate(points.items())}
            for (arm, x), value in here.items():
                add(Estimand(arm, x), cluster, dataset, value, 0 if arm == "base" else 3)
            for new, old in gains:
                name = Estimand(*new).minus(Estimand(*old))
                add(name, cluster, dataset, here[new] - here[old], 3)
            if cluster != effects.ALL:
                add(Estimand("chance"), cluster, dataset, 30 + k, 0, 0.0)
        for n, (arm, x) in enumerate(points):
            add(Estimand(arm, x, effects.SPREAD), cluster, "", 2 + k + 0.11 * n, 3, np.nan)
    table = pd.DataFrame(rows)[effects.COLUMNS]
    table["n"] *= np.where(table["low"].isna(), 3, 1)  # a spread counts the examples of all seeds
    return table


PLANS = {name: (points, gains) for name, points, gains in plans()}


def table_of(name, clusters=CLUSTERS, old=True):
    points, gains = PLANS[name]
    table = made_up(points, gains, clusters, 1 if name == "fig10" else 3)
    return MODULES[name].with_published(table) if old else table


@pytest.fixture(params=list(PLANS), scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def table(name):
    return table_of(name)


@pytest.fixture(scope="module")
def fig(name, table):
    return MODULES[name].draw(table)


def plotted(fig):
    """Marks as (x, size, hollow; None where measured), and the spans of intervals."""
    found = [mark for ax in fig.axes for mark in drawn.marks(ax)]
    told = [(m.x, m.size, m.fill == "#ffffff" if m.edge == 1.1 else None) for m in found]
    return told, [span for ax in fig.axes for span in intervals(ax)]


def intervals(ax):
    """Ends of the intervals: a thin line joins values, and is none."""
    parts = [c for c in ax.collections if isinstance(c, LineCollection) and c.get_zorder() == 3]
    return [tuple(x[:, 0].tolist()) for part in parts for x in part.get_segments()]


def words_in(fig):
    found = [t.get_text() for t in fig.texts]
    for ax in fig.axes:
        found += [t.get_text() for t in (*ax.texts, *ax.get_yticklabels())]
        found += [ax.get_xlabel(), ax.get_title("left")]
        found += [t.get_text() for t in ax.get_legend().get_texts()] if ax.get_legend() else []
    return found + [t.get_text() for legend in fig.legends for t in legend.get_texts()]


def test_every_value_and_interval_is_drawn(name, table, fig):
    found, spans = plotted(fig)
    at = sorted(x for x, _, _ in found)
    measured = lines.measured(table)
    drawn = measured[(measured["dataset"] == "") & (measured["arm"] != "chance")]
    assert len(drawn) >= 4 * len(PLANS[name][0])
    for row in drawn.itertuples():
        assert np.isclose(at, row.value, atol=1e-9).any(), (row.arm, row.x, row.cluster)
        if not np.isnan(row.low):
            assert any(np.allclose(span, (row.low, row.high)) for span in spans), row.arm
    whole = drawn.dropna(subset=["low"])
    assert len(spans) == len(whole), "an interval for each value and no other"


def test_every_dataset_and_chance_is_drawn(name, table, fig):
    small = [x for x, size, _ in plotted(fig)[0] if size < 3]
    each = table[(table["dataset"] != "") & (table["statistic"] == effects.SCORE)]
    each = each[each["arm"] != "chance"]
    each = each[~each["source"].str.startswith("published")]
    assert len(small) == (0 if name == "fig10" else len(each)), "one dataset is its cluster's mean"
    dotted = {x.get_xdata()[0] for ax in fig.axes for x in ax.lines if x.get_linestyle() == ":"}
    assert dotted == {30, 31, 32}


def test_every_published_value_is_drawn_hollow_where_not_verified(name, table, fig):
    module = MODULES[name]
    old = table[table["source"].str.startswith("published")]
    known = published.cluster_means(list(module.PUBLISHED)) if name == "fig9" else None
    points = published.points(name) if known is None else known[known["cluster"].isin(CLUSTERS)]
    series = points["series" if known is None else "column"]
    assert len(old) == series.isin(list(module.PUBLISHED)).sum() > 0
    found, _ = plotted(fig)
    for row in old.itertuples():
        hollow = not marks.is_firm(row.source)
        assert any(np.isclose(x, row.value) and is_hollow == hollow for x, _, is_hollow in found)
    note = " ".join(module.notes(table))
    recalled = (old["source"] == "published, recalled").sum()
    assert f"{len(old) - recalled} of {len(old)} values verified" in note
    assert (f"hollow: {recalled} recalled" in note) == (recalled > 0)


def test_labels_units_and_n_are_there(name, fig):
    found = words_in(fig)
    flat = "\n".join(found)
    clusters = [style.title(c, short=True) for c in CLUSTERS]
    assert all(any(text.startswith(c) and "n = " in text for text in found) for c in clusters)
    assert any(text.lower().startswith("mean") and "n = " in text for text in found)
    shown = [ax for ax in fig.axes if ax.axison]
    assert all(ax.get_xlabel() and ax.get_title("left") for ax in shown)
    assert all("percent" in ax.get_xlabel() or "points" in ax.get_xlabel() for ax in shown)
    ways = {
        "fig8_table3": [
            *(fig8_instructions.WAYS[arm] for arm in fig8_instructions.TUNED),
            *(dot.name for dot in fig8_instructions._marks()),
            "Translation",
        ],
        "fig9": [
            *fig9_few_shot.ARMS,
            "zero-shot",
            "few-shot",
            "up to 3 exemplars",
            "FLAN,\nSD",
            "FLAN 137B, published",
            "FLAN, best dev template",
            "1 to 16 exemplars by dataset, here up to 3",
        ],
        "fig10": ["no soft prompt", "32 examples", "all examples", "nli-0", "BoolQ", "WSC"],
    }
    assert all(way in flat for way in ways[name])


def test_text_stays_on_the_page(name, table):
    long = table.replace({"cluster": {"commonsense": "reading_comprehension_commonsense"}})
    fig = MODULES[name].draw(long)
    box = fig.get_tightbbox(FigureCanvasAgg(fig).get_renderer())
    width, height = fig.get_size_inches()
    assert width == style.WIDTH
    assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height


def test_words_and_reading_say_the_numbers(name, table):
    module = MODULES[name]
    words, reading = module.describe(table), module.reading(table)
    for arm, x in PLANS[name][0]:
        assert f"{effects.pick(table, arm, x).value:.1f}" in words
    arm, x, against, against_x = {
        "fig8_table3": (FULL, "", "none > instruction", ""),
        "fig9": ("tuned with exemplars", "3", "tuned with exemplars", "0"),
        "fig10": ("on tuned", "32", "on base", "32"),
    }[name]
    less = {"against": against, "against_x": against_x}
    found = effects.pick(table, arm, x, **less)
    assert dots.told(found) in words and dots.told(found) in reading
    for cluster in CLUSTERS:
        one = effects.pick(table, arm, x, cluster, **less)
        assert f"{style.title(cluster, short=True)} ({lines.spelled(one, signed=True)})" in reading
    told = {"fig8_table3": "37.3", "fig9": "NLI +4.6", "fig10": "(+14.3)"}[name]
    assert told in words and told in reading
    assert "values verified" in reading and "3 tuning seeds" in reading
    assert f"rests on at most {120 if name == 'fig10' else 360} examples" in reading
    assert reading._repr_markdown_() == reading


def test_fig9s_published_means_are_those_of_the_papers_figure():
    """But for reading comprehension, whose two values are remembered alone."""
    table = fig9_few_shot.with_published(made_up(*PLANS["fig9"], tuple(style.CLUSTERS)[:10]))
    points = published.points("fig9")
    for point in points.itertuples():
        x = "0" if point.series == "FLAN zero-shot" else "few"
        found = effects.pick(table, fig9_few_shot.FLAN, x, point.cluster)
        same = abs(found.value - float(point.y)) < 0.06
        assert same == (point.status == "verified") and marks.is_firm(found.source)
        assert same or point.cluster == "reading_comprehension"


def test_fig9_has_flans_spread_beside_ours():
    table = table_of("fig9")
    cells = published.scores().loc["commonsense"]
    for x, column in (("0", "flan_zero_std"), ("few", "flan_few_std")):
        of = {"statistic": effects.SPREAD}
        found = effects.pick(table, fig9_few_shot.FLAN, x, "commonsense", **of)
        assert found.value == pytest.approx(cells[column].mean()) and found.n == 4
    reading = fig9_few_shot.reading(table)
    assert "Published FLAN, mean of the same clusters: 3.1 and 1.9" in reading
    assert "exemplars make it smaller in 2 of 3" in reading, "not in commonsense: 1.15, 1.30"


def test_reading_follows_the_sign():
    points, gains = PLANS["fig9"]
    worse = points | {("tuned with exemplars", "3"): 20}
    table = fig9_few_shot.with_published(made_up(worse, gains))
    reading = fig9_few_shot.reading(table)
    assert "published sign in 0 of 3" in reading
    assert "in 3 of 3" in fig9_few_shot.reading(table_of("fig9"))
    line = next(text for text in reading.splitlines() if "- tuned with exemplars:" in text)
    assert "below 0: NLI" in line and "above 0: none" in line


def test_an_interval_over_zero_is_not_decided():
    table = table_of("fig10")
    rows = (table["arm"] == "on tuned") & (table["against"] == "on base")
    table.loc[rows, ["low", "high"]] = [-1.0, 1.0]
    reading = fig10_prompt_tuning.reading(table)
    assert "above 0: none; below 0: none; not decided: NLI" in reading


def test_a_table_without_published_rows_works(name):
    table = table_of(name, old=False)
    module = MODULES[name]
    assert "not found" in words_in(module.draw(table))
    assert "Published" not in module.describe(table) + module.reading(table)


def test_a_table_without_its_differences_is_refused(name, table):
    """As if the study had ceased to make them, or had named them otherwise."""
    rows = table["statistic"] == effects.DIFFERENCE
    other = table["arm"].where(~rows, table["arm"] + " renamed")
    module = MODULES[name]
    for lacking in (table[~rows], table.assign(arm=other)):
        for function in (module.draw, module.describe, module.summary, module.reading):
            with pytest.raises(MissingResultError, match="no value of statistic 'difference'"):
                function(lacking)


def test_one_cluster_has_no_mean(name):
    table = table_of(name, clusters=("nli",))
    module = MODULES[name]
    measured = lines.measured(table)
    assert effects.ALL not in set(measured["cluster"])
    found = words_in(module.draw(table))
    assert not any(text.lower().startswith("mean") and "n = " in text for text in found)
    assert "Natural language inference" in module.reading(table)
    assert len(module.summary(table)) == 1


def test_summary_has_a_row_per_cluster_and_their_mean(name, table):
    summary = MODULES[name].summary(table)
    assert summary["cluster"].tolist()[-1] == "Mean of clusters" and len(summary) == 4
    assert summary["seeds"].tolist() == [3] * 4 and (summary["n"] > 0).all()
    assert summary.notna().all().all()


def test_a_difference_of_published_values_is_as_firm_as_the_weaker():
    table = table_of("fig10")
    firm = effects.pick(table, "published on FLAN", "all", dataset="BoolQ")
    weak = effects.pick(table, "published on LaMDA-PT", "all")
    assert marks.is_firm(firm.source) and not marks.is_firm(weak.source)
    for new, old in ((firm, weak), (weak, firm)):
        found = dots.less(new, old)
        assert not marks.is_firm(found.source) and found.value == new.value - old.value
    assert marks.is_firm(dots.less(firm, firm).source)


def test_the_same_table_gives_the_same_bytes(name, table, fig, tmp_path):
    for folder, page in (("a", fig), ("b", MODULES[name].draw(table))):
        style.save(page, "x", table, "words", tmp_path / folder)
    for suffix in ("svg", "csv"):
        first, second = ((tmp_path / f / f"x.{suffix}").read_bytes() for f in "ab")
        assert first == second


def test_small_type_is_readable(name, table, fig):
    sizes = [t.get_size() for ax in fig.axes for t in (*ax.texts, *ax.get_yticklabels())]
    assert min([*sizes, *(t.get_size() for t in fig.texts)]) >= 6.5
    assert boxes.width_of(MODULES[name].heading(table), 9, "bold") < style.WIDTH - 0.1


@pytest.mark.parametrize("module", MODULES.values())
def test_figures_are_known_by_their_stem(module):
    assert figures.module(module.STEM) is module


def test_tables_here_are_made_like_those_of_the_study(name):
    points = axes.open_axis(MODULES[name].STEM).points()
    values, differences = PLANS[name]
    assert {point.label for point in points} == set(values)
    pairs = {(point.label, other) for point in points for other in point.against}
    assert pairs == set(differences)
