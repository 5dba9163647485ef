"""Figures: what is plotted and written, not pixels; no model needed."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import plotted
import pytest
from matplotlib.colors import to_rgb
from records import make_record

from flanlib import figures
from flanlib.core import paths
from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.figures import (
    boxes,
    datasets,
    dots,
    fig1_pipeline,
    fig2_paradigms,
    fig3_taxonomy,
    fig4_templates,
    fig5_zero_shot_gains,
    lines,
    questions,
    style,
)
from flanlib.models import weights
from flanlib.results import effects, estimates, published
from flanlib.results.effects import Estimand
from flanlib.studies import arms, profiles, study

N = 24
WAYS = {
    "base": ("base", Scoring(), 30),
    "base-no-options": ("base", Scoring(show_options=False), 40),
    "base-cloze": ("base", Scoring(form="cloze", show_options=False), 50),
    "tuned": ("tuned", Scoring(), 60),
}


def made_up(clusters=("nli", "closed_book_qa"), seeds=(1, 2)):
    """Records whose means are known: 30, 40, 50 and 60 percent."""
    for cluster in clusters:
        for task in (f"{cluster}-a", f"{cluster}-b"):
            for name, (arm, scoring, level) in WAYS.items():
                for seed in seeds if name == "tuned" else (0,):
                    factors = Factors(model="micro-2m", held_out=cluster, arm=arm, seed=seed)
                    noise = np.random.default_rng(seed + len(task)).normal(0, 15, N)
                    scores = level + noise - noise.mean()
                    sample = {"example": "1", "input": "so?\nOPTIONS:\n- ja\n- nein"}
                    yield make_record(
                        task,
                        factors=factors,
                        scoring=scoring,
                        scores=scores,
                        value=float(level),
                        cluster=cluster,
                        sample={**sample, "answer": name, "target": "ja"},
                    )


@pytest.fixture(scope="module")
def table():
    records = list(made_up())
    groups = {"d" * 12: tuple(map(str, range(N)))}
    named = effects.named(records)
    parts = [estimates.chance(records), estimates.table(named, groups, arms.GAINS)]
    whole = pd.concat(parts, ignore_index=True).assign(source="recorded")
    return fig5_zero_shot_gains.with_published(whole)


@pytest.fixture
def micro():
    return study.open_study()


def texts(fig):
    found = [t.get_text() for t in fig.texts]
    for ax in fig.axes:
        found += [t.get_text() for t in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels())]
        found += [ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")]
    return found


def test_nothing_imports_a_model():
    code = (
        "import sys\nfrom flanlib import figures\n"
        "[figures.module(stem) for stem in figures.STEMS]\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'a model library was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT)


@pytest.mark.parametrize("stem", figures.STEMS)
def test_every_figure_has_its_functions_and_its_notebook(stem):
    module = figures.module(stem)
    assert stem == module.STEM
    assert all(callable(getattr(module, name)) for name in ("collect", "draw", "describe"))
    assert (paths.NOTEBOOKS / f"{stem}.ipynb").is_file()


def test_an_unknown_figure_is_refused():
    with pytest.raises(ParameterError, match="fig5_zero_shot_gains"):
        figures.module("fig99")


# Writing


def test_saving_twice_gives_the_same_bytes(table, tmp_path):
    for folder in ("a", "b"):
        fig = fig5_zero_shot_gains.draw(table)
        style.save(fig, "x", table, "in words", tmp_path / folder)
    for suffix in ("svg", "png", "csv"):
        first, second = ((tmp_path / f / f"x.{suffix}").read_bytes() for f in "ab")
        assert first == second, suffix
    svg = (tmp_path / "a" / "x.svg").read_text()
    assert "<dc:date>" not in svg and "<desc" in svg and 'role="img"' in svg


def test_a_figure_without_words_or_numbers_is_refused(table, tmp_path):
    fig, _ = boxes.page(1, 1)
    with pytest.raises(DataError, match="description"):
        style.save(fig, "x", table, " ", tmp_path)
    with pytest.raises(DataError, match="table"):
        style.save(fig, "x", table.iloc[:0], "words", tmp_path)


def test_only_a_profiles_own_study_writes_to_figures(micro, tmp_path):
    tracked, at = paths.FIGURES / "micro", paths.BUILD / "figures"
    assert figures.folder("fig5_zero_shot_gains", micro) == tracked
    part = study.Study(replace(micro.settings, held_out="nli"))
    assert figures.folder("fig5_zero_shot_gains", part) == at / "micro,held_out=nli"
    again = study.Study(replace(micro.settings, recompute="sentiment, nli"))
    assert figures.folder("fig5_zero_shot_gains", again) == at / "micro,recompute=nli+sentiment"
    flan = study.open_study(collection="flan")
    assert figures.folder("fig4_templates", flan, dataset="snli") == tracked
    assert figures.folder("fig4_templates", micro, dataset="rte") == at / "micro,dataset=rte"
    assert figures.folder("fig3_taxonomy", micro) == at / "micro", "its usual one is flan"
    assert figures.folder("fig3_taxonomy", flan) == tracked
    rehearsal = study.open_study(profile="rehearsal", rows=str(tmp_path))
    assert figures.folder("fig5_zero_shot_gains", rehearsal).parent == at


def test_further_sheets_are_written_beside_the_figure(micro, table, tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_FIGURES", str(tmp_path))
    stem, words = "fig5_zero_shot_gains", {"text": "More of it."}
    sheets = {"more": (fig5_zero_shot_gains.draw, lambda table: words["text"])}
    monkeypatch.setattr(fig5_zero_shot_gains, "SHEETS", sheets)
    shown = figures.publish(stem, table, micro)
    names = {path.name for path in (tmp_path / "micro").iterdir()}
    assert names == {f"{stem}.{s}" for s in ("svg", "png", "csv")} | {
        f"{stem}_more.svg",
        f"{stem}_more.png",
    }
    assert set(shown.files.values()) == set((tmp_path / "micro").iterdir())
    assert shown.files["more.svg"] == shown.sheets[0].files["svg"]
    assert "More of it. (collection micro" in shown.files["more.svg"].read_text()
    assert shown._repr_html_().count("<img") == 2
    words["text"] = ""
    assert figures.publish(stem, table, micro).sheets == ()
    assert len(list((tmp_path / "micro").iterdir())) == 3, "what is not drawn does not stay"


def test_rows_do_not_move_a_figure_but_one_that_shows_them(tmp_path):
    here, tracked = paths.BUILD / "figures", paths.FIGURES / "small"
    for rows in ("", str(tmp_path)):
        small = study.open_study(profile="small", rows=rows)
        for stem in ("fig1_pipeline", "fig5_zero_shot_gains", "fig13_against_paper"):
            assert figures.folder(stem, small) == tracked
        assert (figures.folder("fig4_templates", small) == tracked) is (not rows)
    assert figures.folder("fig4_templates", small).parent == here
    other = study.open_study(profile="small", seed=2)
    assert figures.folder("fig5_zero_shot_gains", other) == here / "small,seed=2"


def test_folders_of_figures_tell_apart_whatever_they_are_drawn_from(micro, tmp_path):
    settings = {"profile": "micro", "collection": "micro", "model": "micro-2m"}
    found = set()
    for parent in ("a", "b"):
        for part in ("rows", "models/m", "micro", "my pets"):
            (tmp_path / parent / part).mkdir(parents=True)
        shutil.copy(micro.catalogue.root / "catalogue.yaml", tmp_path / parent / "micro")
        shutil.copy(micro.catalogue.root / "catalogue.yaml", tmp_path / parent / "my pets")
        changes = [
            {"rows": str(tmp_path / parent / "rows")},
            {"model": str(tmp_path / parent / "models" / "m")},
            {"collection": str(tmp_path / parent / "micro")},
            {"collection": str(tmp_path / parent / "my pets")},
        ]
        for change in changes:
            found.add(profiles.label(profiles.Settings(**{**settings, **change})))
    assert len(found) == 8 and all(re.fullmatch(r"micro,\w+=[\w.-]+-[0-9a-f]{8}", x) for x in found)
    same = profiles.Settings(**{**settings, "collection": str(micro.catalogue.root)})
    assert profiles.label(same) == "micro", "another way of writing the usual collection"
    long = profiles.label(profiles.Settings(**settings), dataset="x" * 999)
    assert len(long) < 200


def test_cluster_colours_are_distinct_also_in_grey_and_cover_the_catalogue(micro):
    assert set(micro.catalogue.clusters) <= set(style.CLUSTERS)
    colours = [colour for *_, colour in style.CLUSTERS.values()]
    assert len(set(colours)) == len(style.CLUSTERS) == 12
    for one in range(12):
        for other in range(one):
            gap = np.abs(np.subtract(to_rgb(colours[one]), to_rgb(colours[other]))).max()
            assert gap > 0.15
    shapes = [mark.marker for mark in style.ARMS.values()]
    assert len(set(shapes)) == len(shapes), "arms differ in shape, not in colour alone"


# Text in boxes


def test_wrapped_lines_fit_and_lose_nothing():
    text = "one two three four five six seven\n\nan_unbroken_word_that_is_far_too_long_for_a_line"
    lines = boxes.wrap(text, 1.0, 7)
    assert all(boxes.width_of(line, 7) <= 1.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert "" in lines, "an empty line stays"


def test_long_text_keeps_beginning_and_end():
    lines = boxes.wrap("\n".join(map(str, range(50))), 1.0, 7, max_lines=6)
    assert lines == ["0", "1", "2", "[…]", "48", "49"]


# Figure 5


def point(ax, marker, place):
    return [x for x, y in plotted.large(ax, marker) if y == place]


def test_fig5_plots_means_intervals_and_gains(table):
    fig = fig5_zero_shot_gains.draw(table)
    scores, gains, old = fig.axes
    marks = datasets.present(table, datasets.SCORES)
    rows = dots.stacks(table, ["nli"], marks, "tuned")
    for dot in rows[0].dots:
        assert point(scores, dot.marker, dot.shift) == [WAYS[dot.arm][2]]
    for dot, value in zip(rows[0].dots, (30, 20, 10), strict=False):
        assert point(gains, dot.marker, dot.shift) == [pytest.approx(value)]
    gain = effects.pick(table, "tuned", cluster="nli", against="base")
    assert (gain.low, gain.high) in plotted.spans(gains)
    labels = [t.get_text() for t in scores.get_yticklabels()]
    assert labels == ["NLI\nn = 48", "Closed-book QA\nn = 48", "mean of clusters\nn = 96"]
    assert all(ax.get_xlabel() for ax in (scores, gains, old))


def old_marks(fig):
    """Published marks as (value, marker, whether hollow)."""
    return [(mark.x, mark.marker, mark.fill == "#ffffff") for mark in plotted.marks(fig.axes[2])]


def test_fig5_draws_each_published_mean_and_hollow_what_is_recalled(table):
    old = table[table["source"].str.startswith("published")]
    marks = old_marks(fig5_zero_shot_gains.draw(table))
    assert sorted(x for x, *_ in marks) == sorted(old["value"]) and len(marks) == 6
    assert not any(hollow for *_, hollow in marks)
    assert "6 of 6 values verified" in " ".join(fig5_zero_shot_gains.notes(table))
    weak = table.replace("published, verified", "published, recalled")
    marks = old_marks(fig5_zero_shot_gains.draw(weak))
    assert all(hollow for *_, hollow in marks)
    note = " ".join(fig5_zero_shot_gains.notes(weak))
    assert "0 of 6 values verified; hollow: 6 recalled" in note


def test_fig5_without_its_gains_is_refused(table):
    lacking = table[(table["statistic"] != effects.DIFFERENCE) | (table["against"] != "base")]
    for function in (
        fig5_zero_shot_gains.draw_gains,
        fig5_zero_shot_gains.describe,
        fig5_zero_shot_gains.summary,
        fig5_zero_shot_gains.reading,
    ):
        with pytest.raises(MissingResultError, match="no value of statistic 'difference'"):
            function(lacking, *([boxes.page(1, 1)[1]] if "draw" in function.__name__ else []))


def test_fig5_says_how_many_seeds(table):
    assert "2 tuning seeds" in fig5_zero_shot_gains.notes(table)[0]
    more = table.copy()
    more.loc[(more["cluster"] == "nli") & (more["seeds"] > 0), "seeds"] = 3
    said = "tuning seeds (2: Closed-book QA; 3: NLI)"
    assert said in fig5_zero_shot_gains.notes(more)[0]
    more.loc[(more["cluster"] == "nli") & (more["against"] != ""), "seeds"] = 1
    assert "(1–3: NLI; 2: Closed-book QA)" in fig5_zero_shot_gains.notes(more)[0]


def test_fig5_prints_the_mean_gains_beside_their_intervals(table):
    for shift in (0.0, -60.0):
        moved = table.copy()
        rows = (moved["statistic"] == effects.DIFFERENCE) & (moved["cluster"] == effects.ALL)
        moved.loc[rows, ["value", "low", "high"]] += shift
        ax = fig5_zero_shot_gains.draw(moved).axes[1]
        gain = effects.pick(moved, "tuned", cluster="all", against="base")
        texts = list(ax.texts)
        assert texts[0].get_text() == lines.spelled(gain, True).replace("-", "−")
        assert len(texts) == 3, "one for each base"
        ends = moved.loc[rows, ["low", "high"]]
        slack = 0.02 * (ax.get_xlim()[1] - ax.get_xlim()[0])  # hinting widens letters on a screen
        for text in texts:
            box = text.get_window_extent()
            left, right = (ax.transData.inverted().transform((x, 0))[0] for x in (box.x0, box.x1))
            most = ends["low"].min() + slack, ends["high"].max() - slack
            assert right < most[0] or left > most[1], "beside the intervals, to a hair"
            assert ax.get_window_extent().x0 < box.x0 and box.x1 < ax.get_window_extent().x1


def test_fig5_draws_the_mean_of_chances(table):
    ax = fig5_zero_shot_gains.draw(table).axes[0]
    found = effects.pick(table, "chance", cluster=effects.ALL)
    dotted = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted[-1] == found.value and len(dotted) == 3


def test_fig5_csv_is_tidy(table, tmp_path):
    files = style.save(fig5_zero_shot_gains.draw(table), "x", table, "words", tmp_path)
    found = pd.read_csv(files["csv"], keep_default_na=False)
    assert list(found.columns) == effects.COLUMNS
    assert {"chance", "base", "base-no-options", "base-cloze", "tuned"} <= set(found["arm"])
    assert not found.duplicated(list(effects.KEYS)).any()
    means = effects.series(found, "tuned")
    means = means[means["dataset"] == ""]
    assert means["value"].astype(float).tolist() == [60, 60, 60]


def test_fig5_says_where_values_were_not_found(table):
    published = table["source"].str.startswith("published")
    without = table[~(published & (table["cluster"] == "closed_book_qa"))]
    fig = fig5_zero_shot_gains.draw(without)
    assert [t.get_text() for t in fig.axes[2].texts].count("not found") == 1


def test_fig5_has_no_panel_for_what_is_published_where_nothing_is(table):
    """As for a collection of one's own."""
    alone = table[~table["source"].str.startswith("published")]
    assert len(fig5_zero_shot_gains.draw(alone).axes) == 2
    assert not any("Wei" in line for line in fig5_zero_shot_gains.notes(alone))


def test_fig5_words_and_reading_come_from_the_numbers(table):
    words = fig5_zero_shot_gains.describe(table)
    assert "Natural language inference: base 30.0, tuned 60.0 percent, gain +30.0" in words
    assert "Mean of clusters: base 30.0" in words
    reading = fig5_zero_shot_gains.reading(table)
    assert "Natural language inference (+30.0)" in reading.splitlines()[0]
    assert "plain text to be continued +10.0" in reading, "each base is told of"
    assert "in 2 of 2 clusters" in reading
    summary = fig5_zero_shot_gains.summary(table)
    assert summary["tuned"].tolist() == [60, 60, 60] and summary["seeds"].tolist() == [2, 2, 2]


# Figures 1 to 4


@pytest.fixture
def recorded(micro, table):
    """The micro study, with made-up records in place of the tracked ones."""
    measured = table[~table["source"].str.startswith("published")]

    class Recorded(study.Study):
        def records(self, at):
            return list(made_up())

        def table(self, again=()):
            return measured

    return Recorded(micro.settings)


def test_fig1_shows_recorded_answers_and_bars(recorded):
    table = fig1_pipeline.collect(recorded, "nli")
    unseen = table[table["panel"] == "unseen"]
    assert list(unseen["cluster"]) == ["nli", "closed_book_qa", "commonsense"]
    assert list(unseen["task"])[:2] == ["nli-a", "closed_book_qa-a"], "the first of the cluster"
    for cluster in ("nli", "closed_book_qa"):
        found = questions.answers(table, cluster)
        assert found == {"Base": "base", "Instruction-tuned": "tuned", "Right answer": "ja"}
    assert questions.answers(table, "commonsense") == {}, "nothing of it is on record here"
    assert "not on record yet" in questions.note(table)
    tuning = table[table["panel"] == "tuning"]
    assert len(tuning) == tuning["cluster"].nunique() == 4
    assert not set(unseen["cluster"]) & set(tuning["cluster"])
    assert not {"nli", "paraphrase"} & set(tuning["cluster"]), "held out, with its neighbour"
    fig = fig1_pipeline.draw(table)
    heights = [round(bar.get_height(), 1) for bar in fig.axes[1].patches]
    assert {30, 60} <= set(heights)
    assert set(published.points("fig1")["y"].astype(float)) <= set(heights)
    summary = fig1_pipeline.summary(table)
    assert list(summary["base"])[1] == "not measured" and list(summary["seeds"]) == [2, "", 2]
    assert summary["tuned"][0].startswith("60.0 [") and summary["FLAN 137B zero-shot"][0] == "56.2"
    assert texts(fig).count("not measured") == 2, "reading comprehension has no record here"


def test_fig1_reads_its_gains_beside_the_published_ones(recorded):
    table = fig1_pipeline.collect(recorded, "nli")
    reading = fig1_pipeline.reading(table)
    gain = table[(table["panel"] == "gain") & (table["cluster"] == "nli")].iloc[0]
    spelled = f"tuning +30.0 [{gain.low:+.1f}, {gain.high:+.1f}] percentage points (helps)"
    assert f"Natural language inference: {spelled}; published FLAN +13.3" in reading
    assert "Reading comprehension: not measured." in reading
    assert "Same direction as published in 2 of 2 clusters" in reading
    assert "2 tuning seeds" in " ".join(fig1_pipeline.notes(table))


def test_fig1_says_what_is_not_recorded(micro):
    class Empty(study.Study):
        def records(self, at):
            return []

        def table(self, again=()):
            return pd.DataFrame(columns=effects.COLUMNS)

    table = fig1_pipeline.collect(Empty(micro.settings), "nli")
    found = texts(fig1_pipeline.draw(table))
    assert found.count("not measured") == 6 and "Answers: not recorded yet" in found
    assert fig1_pipeline.reading(table).count("not measured.") == 3


FIG2 = {
    "single-task": {"8": 40.0, "32": 50.0, "128": 70.0, "512": 80.0, "all": 90.0},
    "few-shot base": {"0": 45.0, "1": 42.0, "3": 38.0},
    "instruction-tuned": {"0": 60.0},
}


def paradigms(tasks=(("nli", "snli"),), **changed):
    """An axis table of Figure 2, intervals 4 points to either side; each task 2 above the last."""
    values = {way: dict(points) for way, points in FIG2.items()}
    for way, points in changed.items():
        values[way.replace("_", "-")].update(points)
    (goal,) = values["instruction-tuned"].values()
    for way in ("single-task", "few-shot base"):
        less = {x: v - goal for x, v in values[way].items()}
        values[way, "instruction-tuned"] = less
    levels = [(c, d, 2 * n) for n, (c, name) in enumerate(tasks) for d in (name, "")]
    levels += [("all", "", 1)] if len(tasks) > 1 else []
    rows = []
    for way, points in {**values, "chance": {"": 33.0}}.items():
        seeds = 0 if way == "few-shot base" else 3
        for x, v in points.items():
            of = Estimand(way, x)
            if isinstance(way, tuple):
                of = Estimand(way[0], x).minus(Estimand(way[1], "0"))
            for c, d, more in levels:
                at = v if of.against else v + more
                numbers = {"value": at, "low": at - 4, "high": at + 4, "n": N, "seeds": seeds}
                rows.append({**of._asdict(), "cluster": c, "dataset": d, **numbers})
    return pd.DataFrame(rows).assign(group="", source="recorded")[effects.COLUMNS]


def marks(ax):
    return [y for _, y in plotted.large(ax, "D")]


def test_fig2_draws_every_point_with_its_interval_on_one_scale():
    fig = fig2_paradigms.draw(paradigms())
    page, *panels = fig.axes
    for ax, (way, points) in zip(panels, FIG2.items(), strict=True):
        assert marks(ax) == list(points.values())
        assert [t.get_text() for t in ax.get_xticklabels()] == list(points)
        assert all((v - 4, v + 4) in plotted.spans(ax) for v in points.values())
        assert ax.get_ylim() == panels[0].get_ylim() and ax.get_xlabel()
        n, seeds = ax.get_title("left"), ", 3 seeds" if way != "few-shot base" else ""
        assert n == f"n = {N}{seeds}"
    assert any("snli" in text for text in texts(fig)), page


def test_fig2_of_several_tasks_has_their_mean_and_a_panel_each():
    tasks = (("nli", "snli"), ("commonsense", "copa"))
    fig = fig2_paradigms.draw(paradigms(tasks))
    _, *large = fig.axes
    nli, commonsense = fig2_paradigms.draw_clusters(paradigms(tasks)).axes
    for ax, points in zip(large, FIG2.values(), strict=True):
        assert marks(ax) == [v + 1 for v in points.values()]
    for ax, more, name in ((nli, 0, "NLI"), (commonsense, 2, "Commonsense")):
        assert marks(ax) == [v + more for v in FIG2["single-task"].values()]
        across = {x.get_ydata()[0] for x in ax.lines if x.get_linestyle() == "--"}
        assert across == {FIG2["few-shot base"]["3"] + more}
        assert ax.get_title("left").startswith(name)
    assert any("mean of 2 datasets" in text for text in texts(fig))
    found = fig2_paradigms.reading(paradigms(tasks))
    assert "Natural language inference (snli) 128, Commonsense (copa) 128" in found
    never = fig2_paradigms.reading(paradigms(tasks, instruction_tuned={"0": 95.0}))
    assert "(snli) none" in never
    words = fig2_paradigms.describe_clusters(paradigms(tasks))
    assert "Commonsense, copa, percent: single-task 8: 42.0" in words
    assert not fig2_paradigms.describe_clusters(paradigms())


def test_fig2_says_how_many_examples_are_needed():
    found = fig2_paradigms.reading(paradigms())
    assert "reaches that with 128 examples: 70.0 [66.0, 74.0] percent" in found
    assert "+10.0 [+6.0, +14.0] points against instruction tuning: higher" in found
    assert "best with 0 exemplars, 45.0 [41.0, 49.0] percent" in found
    assert "more examples raise it, intervals apart" in found
    never = fig2_paradigms.reading(paradigms(instruction_tuned={"0": 95.0}))
    assert "does not reach that" in never and "its best is 90.0" in never
    at_once = fig2_paradigms.reading(paradigms(single_task={"8": 61.0}))
    assert "reaches that with 8 examples" in at_once
    assert "+1.0 [-3.0, +5.0] points against instruction tuning: undecided" in at_once


def test_fig2_words_and_summary_come_from_the_numbers():
    words = fig2_paradigms.describe(paradigms())
    assert "90.0 [86.0, 94.0] percent at all training examples of task A" in words
    assert "60.0 [56.0, 64.0] percent at 0 exemplars" in words
    summary = fig2_paradigms.summary(paradigms())
    assert len(summary) == sum(map(len, FIG2.values())) and summary["n"].unique() == [N]
    assert summary["minus instruction tuning"].iloc[[0, -1]].tolist() == [
        "-20.0 [-24.0, -16.0]",
        "",
    ]


def test_a_correlation_below_zero_stands_within_its_panels(table):
    table = table.copy()
    mine = (table["arm"] == "tuned") & (table["statistic"] == "score") & (table["dataset"] != "")
    table.loc[table[mine].index[0], ["value", "low", "high"]] = -9.0, -12.0, -6.0
    small, large = fig5_zero_shot_gains.draw(table).axes[0], datasets.draw(table).axes[0]
    assert small.get_xlim()[0] < -9.0, "the mark alone"
    assert large.get_xlim()[0] < -12.0, "with its interval"


def test_fig3_counts_62_datasets_in_12_clusters():
    table = fig3_taxonomy.collect(study.open_study(collection="flan"))
    assert len(table) == 62 and table["cluster"].nunique() == 12
    per_cluster = table.groupby("cluster").agg(
        ours=("dataset", "size"), paper=("in_paper", "first")
    )
    assert (per_cluster["ours"] == per_cluster["paper"]).all()
    assert table["n_used"].dropna().max() <= 30_000 * table["tasks"].max()
    found = " ".join(texts(fig3_taxonomy.draw(table)))
    assert all(title in found for title in ("CosmosQA", "WMT-16 EN/TR", "SQuAD (2 parts)"))
    assert "[…]" not in found


@pytest.mark.parametrize("dataset", ["snli", "squad", "gazette"])
def test_fig4_shows_every_template_as_it_is_read(micro, dataset):
    table = fig4_templates.collect(micro, dataset)
    shown = table[table["part"] == "template"]
    assert 8 <= len(shown) <= 10 and shown["inverted"].sum() <= 3
    ranked = shown[shown["ranked"].astype(bool)]
    assert ranked["text"].str.contains("OPTIONS:").all()
    found = texts(fig4_templates.draw(table))
    assert all(any(text.startswith(name) for text in found) for name in shown["name"])


def test_fig4_refuses_an_unknown_dataset(micro):
    with pytest.raises(ParameterError, match="no task 'sentences'"):
        fig4_templates.collect(micro, "sentences")


def test_a_rehearsal_is_marked_across(table):
    fig = fig5_zero_shot_gains.draw(table)
    style.stamp(fig, "collection flan", "REHEARSAL: nothing meant")
    found = texts(fig)
    assert "REHEARSAL" in found and "collection flan. REHEARSAL: nothing meant" in found


def test_a_figure_without_records_names_what_is_missing(micro, tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_RESULTS", str(tmp_path))
    with pytest.raises(MissingResultError, match="results are not recorded"):
        figures.redraw("fig5_zero_shot_gains", micro)


# Published numbers


def test_published_means_are_of_the_datasets_that_all_columns_have():
    means = published.cluster_means(("flan_zero_avg", "gpt3_zero"))
    cells = published.cells().pivot(
        index=["cluster", "dataset", "metric"], columns="column", values="value"
    )
    both = cells.loc["nli", ["flan_zero_avg", "gpt3_zero"]].dropna()
    found = means[means["cluster"] == "nli"].set_index("column")
    assert found["value"].to_dict() == pytest.approx(both.mean().to_dict())
    assert found["n"].tolist() == [5, 5] and set(found["status"]) == {"verified"}


def test_published_struct_to_text_averages_twelve_scores_of_four_datasets():
    means = published.cluster_means(("flan_zero_avg", "flan_few_avg"))
    found = means[means["cluster"] == "struct_to_text"].set_index("column")
    assert found["value"].round(2).to_dict() == {"flan_zero_avg": 39.21, "flan_few_avg": 49.41}
    assert found["n"].tolist() == [4, 4]
    closed = means[means["cluster"] == "closed_book_qa"].set_index("column")
    assert closed["n"].tolist() == [4, 4], "TriviaQA counts once"
    assert closed["value"].round(2).tolist() == [53.70, 57.15], "as in the paper's Figure 9"


def test_a_published_mean_is_as_weak_as_its_weakest_part(tmp_path, monkeypatch):
    text = (paths.PUBLISHED / "flan_cells.csv").read_text().splitlines(keepends=True)
    (place,) = [n for n, line in enumerate(text) if line.startswith("nlu,RTE,NLI,acc,gpt3_zero,")]
    text[place] = text[place].replace("verified", "recalled")
    (tmp_path / "flan_cells.csv").write_text("".join(text))
    monkeypatch.setenv("FLANLIB_PUBLISHED", str(tmp_path))
    published._read.cache_clear()
    means = published.cluster_means(("flan_zero_avg", "gpt3_zero")).set_index("cluster")
    published._read.cache_clear()
    assert set(means.loc["nli", "status"]) == {"recalled"}
    assert set(means.drop("nli")["status"]) == {"verified"}


def test_flan_is_ahead_of_zero_shot_gpt3_where_the_paper_says():
    assert published.ahead_of_gpt3() == (20, 25)
    table = published.scores()
    one = table.dropna(subset=["glam_one"]).drop(["DROP", "SQuADv2"], level="dataset")
    assert ((one["flan_zero_best"] > one["glam_one"]).sum(), len(one)) == (11, 19)
    seven = table.loc[["commonsense", "coreference"]].drop("DPR", level="dataset")
    record = table.xs("ReCoRD", level="dataset")
    better = [(part["flan_zero_avg"] > part["lamda_pt_zero"]).sum() for part in (seven, record)]
    assert better == [3, 0] and len(seven) + len(record) == 7


def test_every_cell_of_the_tables_is_firm():
    assert set(published.cells()["status"]) == {"verified", "corrected"}


def test_published_overlap_is_what_its_columns_say():
    found = published.contamination()
    share = 100 * found["n_clean"] / found["n_total"]
    assert (share - found["percent_clean"]).abs().max() < 0.1 and len(found) == 26
    more = 100 * (found["score_clean"] / found["score_total"] - 1)
    assert (more - found["percent_difference"]).abs().max() < 0.7, "scores are rounded"
    assert found["percent_clean"].is_monotonic_increasing


def test_published_figure_1_is_the_mean_of_its_table():
    found = published.points("fig1")
    cells = published.cells()
    names = ["ANLI R1", "ANLI R2", "ANLI R3", "CB", "RTE"]
    own = cells[(cells["column"] == "flan_zero_avg") & cells["dataset"].isin(names)]["value"].mean()
    bar = found[(found["series"] == "FLAN 137B zero-shot") & (found["cluster"] == "nli")]
    assert float(bar["y"].iloc[0]) == pytest.approx(own, abs=0.051)


def test_an_unknown_published_figure_is_refused():
    with pytest.raises(DataError, match="fig10"):
        published.points("fig99")


class Unwritable(pd.DataFrame):
    """A table on a disk that is full."""

    def to_csv(self, *_, **__):
        raise OSError(28, "No space left on device")


def test_the_files_of_a_figure_come_together(table, tmp_path):
    fig = fig5_zero_shot_gains.draw(table)
    files = style.save(fig, "x", table, "words", tmp_path)
    before = [path.read_bytes() for path in files.values()]

    with pytest.raises(OSError, match="No space left") as caught:
        style.save(fig, "x", Unwritable(table), "other words", tmp_path)
    assert caught.value.filename == str(files["csv"])
    assert [path.read_bytes() for path in files.values()] == before
    assert sorted(tmp_path.iterdir()) == sorted(files.values())


def test_a_damaged_record_of_a_model_is_named(tmp_path):
    for content in ("", "[]", '{"n_parameters": "many"}'):
        (tmp_path / "pretraining.json").write_text(content)
        with pytest.raises(DataError, match=r"pretraining\.json: .*; give a folder saved by"):
            weights.n_parameters(str(tmp_path))
    (tmp_path / "pretraining.json").unlink()
    for content in (b"", b"\xff" * 20, b"\x02" + bytes(7) + b"[]"):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(DataError, match="not a safetensors file"):
            weights.n_parameters(str(tmp_path))
