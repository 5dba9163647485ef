"""Figure 12 and the measures in it: what is counted, plotted and said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotted
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from records import make_record
from toy_collection import reword, toy_catalogue

from flanlib.core import paths
from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import LeakageError, MissingResultError
from flanlib.data.catalogue import Catalogue
from flanlib.evaluation import choices
from flanlib.evaluation.choices import BINS, error_of
from flanlib.figures import audits, fig12_audit, overlaps, style
from flanlib.results import effects, scrutiny, store
from flanlib.results.effects import ALL
from flanlib.studies import leaks

N = 40
MARK = "d" * 12
GROUPS = {MARK: tuple(map(str, range(N)))}
TASKS = {"rte": "nli", "snli": "nli", "creatures": "closed_book_qa"}


def responses(arm):
    """The base is surer than right and says the first option too often."""
    if arm == "base":
        return {
            "calibration_error": 30.0,
            "reliability": [[20, 70.0, 40.0], [60, 90.0, 60.0]],
            "chosen": [80.0, 20.0],
            "gold": [50.0, 50.0],
        }
    return {
        "calibration_error": 5.0,
        "reliability": [[40, 75.0, 70.0], [40, 95.0, 90.0]],
        "chosen": [55.0, 45.0],
        "gold": [50.0, 50.0],
    }


def outcome(arm, seed, turned):
    """Base: 40 percent right, 20 fewer when turned; tuned: 70 whatever the order."""
    if arm == "base":
        right = np.arange(N) < (8 if turned else 16)
    else:
        right = np.random.default_rng(7).permutation(N) < 28
        right = np.roll(right, seed % 2)
    return 100.0 * right


def made_up(tasks=TASKS, seeds=(1, 2)):
    for task, cluster in tasks.items():
        for arm in ("base", "tuned"):
            for seed in seeds if arm == "tuned" else (0,):
                for turned in (False, True):
                    scores = outcome(arm, seed, turned)
                    yield make_record(
                        task,
                        factors=Factors(collection="toy", held_out=cluster, arm=arm, seed=seed),
                        scoring=Scoring(reversed_options=turned),
                        scores=scores,
                        value=float(scores.mean()),
                        responses=responses(arm),
                    )


def counted(kept=0):
    """Leaks as `leaks.count` has them, without reading rows."""
    rows = [
        {"arm": arm, "statistic": leaks.SHARED, "cluster": cluster, "value": value, "n": n}
        for arm, value, n in ((leaks.BARRED, 130, 2000), (leaks.KEPT, kept, 9000))
        for cluster in ("nli", "closed_book_qa", ALL)
    ]
    about = {"arm": leaks.KEPT, "statistic": leaks.DROPPED, "cluster": ALL}
    rows.append({**about, "value": 3, "n": 9003})
    empty = dict.fromkeys(("against", "x", "against_x", "dataset"), "")
    numbers = {"low": np.nan, "high": np.nan, "seeds": 0}
    table = pd.DataFrame(rows).assign(group="leaks", source="counted", **empty, **numbers)
    return table[effects.COLUMNS]


def whole(records, shared=None):
    records = list(records)
    parts = [
        counted() if shared is None else shared,
        scrutiny.order(records, GROUPS),
        scrutiny.reliability(records),
        scrutiny.calibration(records),
        scrutiny.label_bias(records),
        scrutiny.seeds(records, GROUPS),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@pytest.fixture(scope="module")
def table():
    return whole(made_up())


def value(table, group, arm, x="", cluster=ALL, against=""):
    of = {"statistic": scrutiny.STATISTICS.get(group, "")}
    of = {"against": against} if against else of
    return effects.pick(table, arm, x, cluster, group=group, **of)


# Leaks


@pytest.fixture
def toys(tmp_path) -> Catalogue:
    return toy_catalogue(tmp_path)


def counts(found):
    return {(r.arm, r.statistic, r.cluster): (r.value, r.n) for r in found.itertuples()}


def test_rows_without_shared_text_are_counted_as_such(toys):
    found = counts(leaks.count(toys, [["weather"]], seed=1))
    assert found[leaks.BARRED, leaks.SHARED, "weather"] == (0, 70), "rain, and stars its neighbour"
    assert found[leaks.KEPT, leaks.SHARED, "weather"] == (0, 85)
    assert found[leaks.KEPT, leaks.DROPPED, ALL] == (0, 85)


def test_shared_text_is_found_where_it_is_barred_and_dropped(toys):
    barred = {(task, "train-0"): "rain eval 1" for task in ("rain", "stars")}
    reword(toys.root, barred | {("spell", "train-0"): "rain dev 1"})
    found = counts(leaks.count(toys, [["weather"]], seed=1))
    assert found[leaks.BARRED, leaks.SHARED, "weather"] == (2, 70)
    assert found[leaks.KEPT, leaks.SHARED, "weather"] == (0, 84), "the dropped one is not tuned on"
    assert found[leaks.KEPT, leaks.DROPPED, ALL] == (1, 85)


def test_clusters_held_out_together_are_counted_apart(toys):
    tasks = ("rain", "stars", "soup", "bread")
    reword(toys.root, {(task, "train-0"): f"{task} eval 1" for task in tasks})
    found = counts(leaks.count(toys, [["weather", "food"]], seed=1))
    assert found[leaks.BARRED, leaks.SHARED, "weather"] == (1, 150)
    assert found[leaks.BARRED, leaks.SHARED, "food"] == (2, 150)
    assert found[leaks.BARRED, leaks.SHARED, ALL] == (3, 150)


def test_an_evaluation_text_in_tuning_is_refused(toys):
    reword(toys.root, {("soup", "train-0"): "rain eval 1"})
    with pytest.raises(LeakageError, match="soup"):
        leaks.count(toys, [["weather"]], seed=1)


# Measures


def test_turning_the_options_is_a_paired_difference(table):
    row = value(table, scrutiny.ORDER, "base", "reversed", against="base")
    assert row.value == pytest.approx(-20) and row.low < -20 < row.high < 0
    still = value(table, scrutiny.ORDER, "tuned", "reversed", against="tuned")
    assert (still.value, still.low, still.high) == (0, 0, 0), "paired over seeds as well"
    assert still.seeds == 2
    assert value(table, scrutiny.ORDER, "base", "given").value == pytest.approx(40)


def test_calibration_and_label_bias_keep_the_recorded_values(table):
    for group, base, tuned in ((scrutiny.CALIBRATION, 30, 5), (scrutiny.LABEL_BIAS, 30, 5)):
        assert value(table, group, "base").value == pytest.approx(base)
        row = value(table, group, "tuned")
        assert row.value == pytest.approx(tuned) and row.low < tuned < row.high
        change = value(table, group, "tuned", against="base")
        assert change.value == pytest.approx(tuned - base) and change.high < 0
        assert value(table, group, "base").n == 3 * N


def test_the_calibration_error_is_that_of_the_bins_its_interval_resamples():
    other = [
        replace(r, responses={**r.responses, "calibration_error": 99.0})  # of other bins
        for r in made_up({"rte": "nli"}, seeds=(1,))
    ]
    found = scrutiny.calibration(other)
    for arm, error in (("base", 30), ("tuned", 5)):
        row = value(found, scrutiny.CALIBRATION, arm, cluster="nli")
        assert row.value == pytest.approx(error) and row.low < error < row.high


def test_records_and_figure_hold_one_calibration_error():
    found = [r.responses for r in store.load(paths.DATA / "results" / "micro") if r.responses]
    assert len(found) > 1000
    for response in found:
        bins = response["reliability"]
        assert response["calibration_error"] == pytest.approx(error_of(bins), abs=0.006)


def test_turned_records_enter_only_the_order(table):
    turned = [r for r in made_up() if r.scoring.reversed_options]
    for measure in (scrutiny.calibration, scrutiny.label_bias, scrutiny.reliability):
        assert measure(turned).empty


def test_seeds_that_differ_widen_the_interval():
    alike = list(made_up({"rte": "nli"}, seeds=(1, 2, 3)))
    worse = {"reliability": [[40, 75.0, 50.0], [40, 95.0, 70.0]]}
    apart = [
        replace(r, responses={**r.responses, **(worse if r.factors.seed == 3 else {})})
        for r in alike
    ]
    one, other = (
        value(scrutiny.calibration(r), scrutiny.CALIBRATION, "tuned", cluster="nli")
        for r in (alike, apart)
    )
    assert other.high - other.low > one.high - one.low + 5
    assert other.value == pytest.approx(5 + 20 / 3)


def test_reliability_pools_tasks_and_counts_examples_once(table):
    part = table[(table["group"] == "reliability") & (table["arm"] == "tuned")]
    assert part["x"].tolist() == ["75.00", "95.00"] and part["value"].tolist() == [70, 90]
    assert part["n"].tolist() == [240, 240], "three tasks, two seeds, forty prompts each"
    low, high = scrutiny.wilson(70, 60)  # two templates and two seeds share an example
    assert part["low"].iloc[0] == pytest.approx(low)
    assert part["high"].iloc[0] == pytest.approx(high)


def test_a_bin_of_few_examples_is_left_out():
    few = {**responses("tuned"), "reliability": [[18, 45.0, 0.0], [80, 95.0, 90.0]]}
    records = [replace(r, responses=few) for r in made_up({"rte": "nli"}, seeds=(1,))]
    assert scrutiny.reliability(records)["x"].tolist() == ["95.00", "95.00"]


def test_wilson_is_the_known_interval():
    assert scrutiny.wilson(50, 100) == pytest.approx((40.38, 59.62), abs=0.01)
    low, high = scrutiny.wilson(100, 10)
    assert low == pytest.approx(72.25, abs=0.01) and high == pytest.approx(100)


def test_agreement_of_seeds_and_what_chance_gives(table):
    one, two = (outcome("tuned", seed, False) > 50 for seed in (1, 2))
    assert value(table, scrutiny.AGREEMENT, "tuned").value == pytest.approx(
        100 * (one == two).mean()
    )
    assert value(table, scrutiny.AGREEMENT, "chance").value == pytest.approx(
        100 * (0.7**2 + 0.3**2)
    )
    beyond = value(table, scrutiny.AGREEMENT, "tuned", against="chance")
    assert beyond.low < beyond.value < beyond.high


def test_equal_seeds_agree_fully():
    same = [r for r in made_up(seeds=(1, 3))]
    row = value(scrutiny.seeds(same, GROUPS), scrutiny.AGREEMENT, "tuned")
    assert (row.value, row.low, row.high) == pytest.approx((100, 100, 100))


def test_a_record_that_says_not_how_it_answers_is_named():
    silent = [replace(r, responses={}) if r.task == "rte" else r for r in made_up()]
    with pytest.raises(MissingResultError, match=r"3 records have no `responses`.*toy/rte"):
        scrutiny.calibration(silent)


def test_one_seed_agrees_with_nobody():
    assert scrutiny.seeds(made_up(seeds=(1,)), GROUPS).empty


# The figure


def texts(fig):
    found = [t.get_text() for t in fig.texts]
    for ax in fig.axes:
        found += [t.get_text() for t in (*ax.texts, *ax.get_yticklabels())]
        found += [ax.get_xlabel(), ax.get_title("left")]
    return found


def drawn_of(panels, table, rows):
    """The values of each question's panel, and those that the rows of the table have."""
    where = pd.MultiIndex.from_frame(table[["cluster", "dataset"]]).isin(rows)
    shown = table[where & table["arm"].isin(["base", "tuned"])]
    found = []
    for ax, group in zip(panels, audits.QUESTIONS, strict=True):
        statistic = scrutiny.STATISTICS.get(group, effects.DIFFERENCE)
        mine = shown[(shown["group"] == group) & (shown["statistic"] == statistic)]
        drawn = {round(x, 6) for x, _ in plotted.large(ax)}
        found.append((drawn, {round(v, 6) for v in mine["value"]}))
    return found


def test_every_number_of_the_table_is_drawn(table):
    fig = fig12_audit.draw(table)
    bars, curves, *panels = fig.axes
    assert {round(bar.get_width()) for bar in bars.patches} == {0, 130}
    assert {"0 of 9,000 tuned on", "130 of 2,000 not tuned on"} <= set(texts(fig))
    right = {y for _, y in plotted.large(curves)}
    assert {40, 60, 70, 90} <= right
    rows = audits.means_of(table)
    assert rows == [("nli", ""), ("closed_book_qa", ""), (ALL, "")]
    pages = [(fig, panels, rows, f"NLI, n = {2 * N}")]
    more, rows = fig12_audit.draw_datasets(table), audits.rows_of(table)
    assert rows[-1] == (ALL, "") and len(rows) == 4
    pages.append((more, more.axes, rows, f"rte, n = {N}"))
    for page, panels, rows, first in pages:
        for drawn, wanted in drawn_of(panels, table, rows):
            assert drawn == wanted and drawn
        labels = [t.get_text() for t in panels[0].get_yticklabels()]
        assert labels[0] == first and labels[-1] == f"mean of clusters, n = {3 * N}"
        assert all(ax.get_xlabel() for ax in page.axes)


def test_pages_are_no_taller_than_a_page_and_hold_all_that_is_written():
    table = pd.read_csv(
        paths.FIGURES / "micro" / "fig12_audit.csv",
        keep_default_na=False,
        na_values={k: "" for k in ("value", "low", "high")},
    )
    table["n"] = pd.to_numeric(table["n"])
    for draw in (fig12_audit.draw, fig12_audit.draw_datasets):
        with style.look():
            fig = draw(table)
            FigureCanvasAgg(fig)
            wide, tall = fig.get_size_inches()
            inside = fig.get_tightbbox()
        assert inside.x0 >= 0 and inside.y0 >= 0 and inside.x1 <= wide and inside.y1 <= tall
        assert tall < 1.42 * wide


def test_the_papers_overlap_stands_beside_the_leaks(table):
    both = pd.concat([table, overlaps.rows()], ignore_index=True)
    ax = fig12_audit.draw(both).axes[2]
    (marks,) = [line for line in ax.lines if line.get_marker() == "o"]
    drawn = dict(zip(marks.get_xdata().round(1), marks.get_ydata().round(1), strict=True))
    assert len(marks.get_xdata()) == 26
    assert (drawn[99.4], drawn[0.4]) == (10.6, 0.0), "DROP and StoryCloze"
    named = [t.get_text().split(",")[0] for t in ax.texts]
    assert named == ["DROP", "SQuADv2", "ANLI R1", "ANLI R2"]
    told = fig12_audit.reading(both)
    assert "0.2 to 99.4 percent" in told and "(18 sets)" in told and "by 1.1 points" in told
    assert "Published" not in fig12_audit.reading(table)


def test_intervals_are_drawn(table):
    fig = fig12_audit.draw(table)
    row = value(table, scrutiny.CALIBRATION, "base")
    assert (row.low, row.high) in plotted.spans(fig.axes[2])


def test_words_come_from_the_numbers(table):
    reading = fig12_audit.reading(table)
    assert (
        "0 of 9,000 rows tuned on, counted once per mixture, share text" in reading
        and "no leak was found" in reading
    )
    assert "base -20.0" in reading and "tuning makes it smaller" in reading
    assert "interval off 0 in 3 of 3 datasets" in reading
    assert "nothing to agree with" in reading
    leaking = whole(made_up(), counted(kept=12))
    assert "**these are leaks**" in fig12_audit.reading(leaking)
    words = fig12_audit.describe(table)
    assert (
        "130 of 2,000 train rows not tuned on" in words
        and "calibration error, percent, base: 30.0" in words
    )
    summary = fig12_audit.summary(table)
    assert summary["dataset"].tolist() == ["rte", "snli", "creatures", "mean"]


def test_a_single_cluster_and_a_single_seed_are_drawn_and_said(tmp_path):
    table = whole(made_up({"rte": "nli"}, seeds=(1,)))
    fig = fig12_audit.draw(table)
    assert "one seed" in texts(fig)
    assert "nothing can be said" in fig12_audit.reading(table)
    assert "mean of 1 seed" in " ".join(fig12_audit.notes(table)).replace("\n", " ")
    files = style.save(fig, "x", table, fig12_audit.describe(table), tmp_path)
    found = pd.read_csv(files["csv"], keep_default_na=False)
    assert not found.duplicated(list(effects.KEYS)).any()


def test_a_measure_that_is_absent_is_not_left_out_in_silence(table):
    for group in (scrutiny.CALIBRATION, scrutiny.ORDER, scrutiny.LABEL_BIAS):
        lacking = table[(table["group"] != group) | (table["arm"] != "tuned")]
        with pytest.raises(MissingResultError, match=f"no value of group '{group}'"):
            fig12_audit.draw(lacking)


def test_clusters_without_options_are_refused():
    with pytest.raises(MissingResultError, match="no record of a task with options"):
        scrutiny.order([], GROUPS)


@pytest.mark.parametrize("sure", [0.599998, 0.6, 0.69999999, 0.7, 0.89999, 0.99999, 0.5])
def test_a_curve_has_the_bins_of_the_error(sure):
    """Rounding to two places takes no prompt into the next bin."""
    rows = [
        ("a", str(n), option, 0, float(np.log(share)))
        for n in range(20)
        for option, share in enumerate((sure, 1 - sure))
    ]
    table = pd.DataFrame(rows, columns="template example option gold ll".split())
    ((_, mean, _),) = choices.responses(table)["reliability"]
    assert mean == pytest.approx(100 * sure, abs=0.01)
    assert min(int(mean * BINS // 100), BINS - 1) == min(int(sure * BINS), BINS - 1)
