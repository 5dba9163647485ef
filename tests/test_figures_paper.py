"""Figure 13 on made-up records: gains against those of the paper's own tables."""

from functools import partial

import numpy as np
import pandas as pd
import plotted
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from records import make_record
from scipy.stats import spearmanr

from flanlib import figures
from flanlib.core import resampling
from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import MissingResultError, ParameterError
from flanlib.data import catalogue
from flanlib.figures import fig13_against_paper as fig13
from flanlib.figures import lines, style
from flanlib.results import effects, estimates, published, ranks
from flanlib.results.estimates import Estimate
from flanlib.studies import arms

N = 30
GROUPS = {"d" * 12: tuple(map(str, range(N)))}
FLAN = catalogue.load("flan")
EVERY = [t for c in ("nli", "closed_book_qa", "struct_to_text") for t in FLAN.of_cluster(c)]
EVERY += FLAN.of_cluster("translation")
SCORED = [task for task in EVERY if task.key != "wnli"]
CLOZE = Scoring(form="cloze", show_options=False)


def old_gain(key):
    """FLAN less LaMDA-PT of one row of the tables, in the metric measured here."""
    metric = published.METRICS[FLAN.task(key).metric]
    row = published.scores().xs((published.PRINTED[key], metric), level=("dataset", "metric"))
    return float((row["flan_zero_avg"] - row["lamda_pt_zero"]).iloc[0])


def made_up(gain, seeds=(1, 2), wide=0.0):
    """Records of base, base asked by cloze, and a model tuned to gain `gain(task)`."""
    for n, task in enumerate(SCORED):
        for arm, scoring, level in (
            ("base", Scoring(), 30.0 + n),
            ("base", CLOZE, 35.0 + n),
            ("tuned", Scoring(), 30.0 + n + gain(task)),
        ):
            for seed in seeds if arm == "tuned" else (0,):
                factors = Factors(collection="flan", held_out=task.cluster, arm=arm, seed=seed)
                noise = np.random.default_rng([n, seed]).normal(0, wide, N) if wide else np.zeros(N)
                yield make_record(
                    task.key,
                    factors=factors,
                    scoring=scoring,
                    cluster=task.cluster,
                    scores=level + noise,
                    value=float((level + noise).mean()),
                    stderr=float(noise.std() / N**0.5),
                    kind=task.kind,
                    dataset=task.dataset,
                    metric=task.metric,
                    chance=0.0,
                )


def table_of(gain, **more):
    records = list(made_up(gain, **more))
    named = effects.named(records)
    measured = estimates.table(named, GROUPS, arms.GAINS).assign(source="recorded")
    found = estimates.by_dataset(named, GROUPS, arms.GAINS)
    return fig13.compare(measured, found, SCORED, EVERY)


def paper(task):
    """A tenth of what the paper reports; nothing where it reports nothing."""
    return old_gain(task.key) / 10 if task.key in published.PRINTED else 0.0


@pytest.fixture(scope="module")
def table():
    return table_of(paper, wide=1.0)


# Matching


def test_every_printed_row_is_a_task_of_flan_in_its_metric():
    table = published.scores()
    for key, name in published.PRINTED.items():
        task = FLAN.task(key)
        assert published.METRICS[task.metric] in table.xs(name, level="dataset").index.unique(
            "metric"
        )
        assert (task.cluster, name) in {place[:2] for place in table.index}, key
    found, why = published.of_tasks([task for task in FLAN.tasks.values()])
    names = set(table.index.unique("dataset")) - set(published.PRINTED.values())
    assert names == {"TQA (wiki)", "WMT14 Fr-En", "WMT16 En-De", "WMT16 En-Ro"}, "not tasks here"
    assert found["dataset"].nunique() == 38 and "rte" not in why
    assert why["stsb"] == "not in the paper's tables"


def test_a_dataset_is_the_mean_of_its_tasks():
    found, _ = published.of_tasks(FLAN.of_cluster("nli"))
    anli = found[found["dataset"] == "anli"].set_index("column")
    assert anli.loc["flan_zero_avg", "value"] == pytest.approx((47.7 + 43.9 + 47.0) / 3)
    assert set(anli["status"]) == {"verified"}
    found, _ = published.of_tasks(FLAN.of_cluster("reading_comprehension"))
    assert "gpt3_zero" not in set(found.loc[found["dataset"] == "squad", "column"]), "v2 alone"
    dart, _ = published.of_tasks([FLAN.task("dart")])
    assert dart.set_index("column").loc["flan_zero_avg", "value"] == 38.4, "Rouge-L alone"


def test_another_metric_is_not_compared():
    from dataclasses import replace

    _, why = published.of_tasks([replace(FLAN.task("drop"), metric="exact_match")])
    assert why == {"drop": "F1 in the paper, exact_match here"}


# Rank correlation


def exact(values, wide=0.0):
    rng = np.random.default_rng(1)
    return [Estimate(v, v + wide * rng.normal(size=resampling.DRAWS), N, 3) for v in values]


def test_spearman_is_the_known_value_and_its_interval_holds_both_sources():
    rng = np.random.default_rng(0)
    one = rng.normal(size=25).round(1)
    other = (one + rng.normal(size=25)).round(1)
    sure, unsure = (ranks.spearman(exact(one, wide), other) for wide in (0.0, 1.5))
    assert sure.value == pytest.approx(spearmanr(one, other).statistic) == unsure.value
    assert sure.n == 25 and sure.seeds == 3
    low, high = sure.interval
    picks = rng.integers(25, size=(2000, 25))
    known = np.percentile([spearmanr(one[p], other[p]).statistic for p in picks], [2.5, 97.5])
    assert (low, high) == pytest.approx(known, abs=0.04)
    assert unsure.interval[0] < low and unsure.interval[1] < high, "errors pull towards 0"


def test_resampling_clusters_keeps_their_datasets_together():
    blocks = ["a"] * 10 + ["b"] * 10
    values = [*np.arange(10.0), *np.arange(100.0, 110.0)]
    others = [*np.arange(10.0)[::-1], *np.arange(100.0, 110.0)[::-1]]
    found = ranks.spearman(exact(values), others, blocks)
    assert set(found.draws.round(6)) == {-1.0, round(found.value, 6)}


def test_few_or_equal_datasets_have_no_rank_correlation():
    assert np.isnan(ranks.spearman(exact([1.0, 2.0, 3.0]), [1, 2, 3]).value)
    assert np.isnan(ranks.spearman(exact([1.0] * 9), range(9)).value)
    assert np.isnan(ranks.spearman([], []).interval).all()


# The figure


def test_gains_in_the_papers_order_correlate_fully():
    found = fig13._ranks(table_of(paper), fig13.GAIN)
    assert found.value == pytest.approx(1) and found.low == pytest.approx(1)
    assert found.n == 16
    turned = table_of(lambda task: -paper(task))
    assert fig13._ranks(turned, fig13.GAIN).value == pytest.approx(-1)
    reading = fig13.reading(turned)
    assert "where FLAN gained more, tuning gains less here" in reading
    assert "the sign is the published one in 0 of 16" in reading


def test_every_dataset_is_drawn_with_its_interval(table):
    gains, bases = fig13.draw(table).axes
    for ax, of in ((gains, fig13.GAIN), (bases, fig13.BASE)):
        mine = effects.series(table, of.arm, against=of.against)
        mine = mine[mine["dataset"] != ""]
        assert len(mine) == 16
        marks, spans = set(plotted.large(ax)), plotted.spans(ax)
        for row in mine.itertuples():
            old = fig13._at(table, fig13.COMPARED[of], row.cluster, row.dataset)
            assert (old.value, row.value) in marks and (row.low, row.high) in spans
        assert len(marks) == 16 and ax.get_xlabel() and ax.get_ylabel()
    handles = [text.get_text() for text in gains.figure.legends[0].get_texts()]
    assert handles == ["NLI", "Closed-book QA", "Struct to text", "Translation"]


def test_what_is_left_out_is_said(table):
    notes = " ".join(fig13.notes(table))
    assert "wnli (no rows)" in notes and "wmt16_csen" in notes
    assert "32 of 32 values verified" in notes and "2 tuning seeds" in notes


def test_words_come_from_the_numbers(table):
    rte = effects.pick(table, "tuned", "", "nli", "rte", against="base")
    ranked = {"statistic": "rank correlation", "against": "base"}
    rho = effects.pick(table, "tuned", "datasets", **ranked)
    told = f"{rho.value:+.2f} [{rho.low:+.2f}, {rho.high:+.2f}]"
    words, reading = fig13.describe(table), fig13.reading(table)
    assert f"rte {lines.spelled(rte, signed=True)} against +5.0" in words and told in words
    assert f"**Gains**: ρ = {told}" in reading
    assert "where FLAN gained more, tuning gains more here" in reading
    summary = fig13.summary(table).set_index("dataset")
    assert summary.loc["rte", ["LaMDA-PT", "FLAN"]].tolist() == [73.3, 78.3]
    assert summary.loc["rte", "gain published"] == "+5.0" and len(summary) == 16


def test_it_fits_the_page_and_comes_out_the_same(table, tmp_path):
    fig = fig13.draw(table)
    box = fig.get_tightbbox(FigureCanvasAgg(fig).get_renderer())
    width, height = fig.get_size_inches()
    assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
    save = partial(style.save, stem="x", table=table, alt="words")
    first, second = (save(fig13.draw(table), folder=tmp_path / name) for name in "ab")
    assert first["svg"].read_bytes() == second["svg"].read_bytes()
    found = pd.read_csv(first["csv"], keep_default_na=False)
    assert not found.duplicated(list(effects.KEYS)).any()


def test_nothing_in_common_is_an_error():
    records = [r for r in made_up(paper) if r.task == "wmt16_translate_csen"]
    named = effects.named(records)
    found = estimates.by_dataset(named, GROUPS, arms.GAINS)
    tasks = [FLAN.task("wmt16_translate_csen")]
    with pytest.raises(MissingResultError, match="no dataset that was scored is in the paper's"):
        fig13.compare(estimates.table(named, GROUPS), found, tasks, tasks)


def test_micro_and_own_collections_are_refused():
    with pytest.raises(ParameterError, match=r"'micro' has none of them; take .*gpu, rehearsal"):
        figures.open_for(fig13.STEM)
    assert figures.open_for(fig13.STEM, profile="gpu").catalogue.name == "flan"
