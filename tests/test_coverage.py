"""A main result drawn from records alone: without rows, without a model, and in part."""

from dataclasses import replace

import numpy as np
import plotted
import pytest
from records import make_record

from flanlib import figures
from flanlib.commands import verbs_pages
from flanlib.core import paths
from flanlib.core.config import run_id
from flanlib.core.errors import MissingResultError, StaleResultError
from flanlib.data import catalogue
from flanlib.data.adapters import Example
from flanlib.figures import boxes, datasets, style
from flanlib.figures import fig5_zero_shot_gains as fig5
from flanlib.figures import fig13_against_paper as fig13
from flanlib.results import contents, effects, published, store
from flanlib.studies import axes, coverage, profiles, study

N = 6
FLAN = catalogue.load("flan")
GROUPS = [set(group) for group in profiles.GROUPS]
LEVELS = {"base": 40, "base-no-options": 45, "base-cloze": 48, "base-chat": 50, "tuned": 52}


def level(record):
    return float(LEVELS[effects.arm(record)])


def written(cells, at, value=level, dtype=lambda record: ""):
    """Records of some cells, whose rows nobody has."""
    for factors, recipe, scoring, key in cells:
        task = FLAN.task(key)
        examples = [
            Example(
                task=key,
                id=f"validation-{i}",
                fields={"answer": ""},
                options=(),
                gold=None,
                answers=("",),
            )
            for i in range(N)
        ]
        kept = {name: getattr(task, name) for name in ("dataset", "cluster", "kind", "metric")}
        if factors.arm != "base":
            kept |= {"training_data": "t" * 12, "mixture": "m" * 12}
        record = make_record(
            key,
            factors=factors,
            recipe=recipe,
            scoring=scoring,
            **kept,
            scores=(0.0,) * N,
            run_id=run_id(factors, recipe),
            phrasing=contents.phrasing(FLAN, task, scoring),
            base_digest="b" * 12,
            data=store.note_examples(examples, at),
            chance=50.0,
        )
        percent = value(record)
        scores = percent + 10 * np.random.default_rng(factors.seed).permutation([1, -1] * (N // 2))
        changes = {
            "value": percent,
            "dtype": dtype(record),
            "scores": tuple(scores),
            "templates": {"a": percent},
        }
        store.append([replace(record, **changes)], at)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The study `small` on a machine that has neither rows nor model, and no record yet."""
    for name in ("BUILD", "CACHE"):
        monkeypatch.setenv(f"FLANLIB_{name}", str(tmp_path / name.lower()))
    profile = replace(profiles.PROFILES["small"], results=tmp_path / "results")
    monkeypatch.setitem(profiles.PROFILES, "small", profile)
    return lambda **given: study.open_study(profile="small", **given)


TASKS = ("rte", "cb", "arc_easy", "trivia_qa", "piqa", "hellaswag", "sst2", "bool_q", "common_gen")


def cells(of, tasks=TASKS, seed=1):
    found = replace(of, settings=replace(of.settings, seed=seed))
    return [cell for key in tasks for cell in found._cells_of(FLAN.task(key))]


def test_without_records_and_rows_there_is_nothing_to_draw(small):
    with pytest.raises(MissingResultError, match="no task to score"):
        small().load()


def test_the_tasks_are_those_on_record_and_nothing_else_is_needed(small, capsys):
    written(cells(small()), small().at)
    found = small()
    assert {t.key for tasks in found.tasks.values() for t in tasks} == set(TASKS)
    assert set(found.left_out) > set(TASKS), "none has rows here"
    table = found.load()
    for control, gain in (("base", 12), ("base-chat", 2)):
        assert effects.pick(table, "tuned", cluster="nli", against=control).value == gain
    whole = {FLAN.task(key).cluster for key in TASKS}
    assert set(coverage.clusters_lacking(table)) == set(found.clusters) - whole
    assert found.ensure().equals(table), "there is nothing to compute"
    said = capsys.readouterr().err
    assert said.count("not on this machine to compare with: the rows scored;") == 1
    assert said.count("\n") == 1, "one line for what concerns the same tasks"
    shown = figures.redraw("fig5_zero_shot_gains", found)
    assert "Not measured yet: Paraphrase, Translation, Reading + commonsense, Coref" in shown.alt
    assert "datasets.svg" in shown.files


def test_ablations_share_the_tuned_models_of_the_main_result(small):
    """Without rows as well: which clusters go together is not for the rows at hand to say."""
    written(cells(small()), small().at)
    axis = axes.Axis(small().settings, "fig6_clusters")
    assert [set(group) for group in axis.groups] == GROUPS
    for part in axis.each_group:
        main = {small().tuned_without(cluster) for cluster in part.groups[part.at_hand]}
        assert main == {part.tuned()}
    one = axes.Axis(small(held_out="nli").settings, "fig6_clusters")
    assert one.groups == (("nli",),)


def test_only_complete_clusters_are_drawn_and_the_others_are_named(small):
    at = small().at
    first = [key for key in TASKS if FLAN.task(key).cluster in GROUPS[0]]
    written([c for c in cells(small()) if c[0].arm == "base" or c[3] in first], at)
    written([c for c in cells(small(), first[:-1], seed=2) if c[0].arm != "base"], at)
    table = small().load()
    assert set(table.loc[table["arm"] == "tuned", "cluster"]) == {*GROUPS[0], "all"}
    assert set(table.loc[table["arm"] == "base", "cluster"]) == {*GROUPS[0], "all"}
    lacking = coverage.clusters_lacking(table)
    assert lacking == [c for c in small().clusters if c not in GROUPS[0]] and len(lacking) == 7
    seeds = effects.series(table, "tuned")
    seeds = seeds[seeds["dataset"] == ""].set_index("cluster")
    assert dict(seeds["seeds"]) == {"nli": 2, "closed_book_qa": 2, "commonsense": 1, "all": 1}
    drawn = fig5.with_published(table)
    words = (
        "Not measured yet: Sentiment, Paraphrase, Struct to text, Translation, Reading,"
        " Reading + commonsense, Coreference."
    )
    assert words in fig5.notes(drawn) and fig5.describe(drawn).endswith(words)
    assert fig5.rows_of(drawn) == ["nli", "commonsense", "closed_book_qa", "all"]
    old = drawn[drawn["source"].str.startswith("published")]
    assert set(old["cluster"]) == GROUPS[0]
    against = fig13.collect(small())
    left = against[against["statistic"] == fig13.LEFT_OUT].set_index("dataset")["x"]
    assert left["sst2"] == "not measured" and left["anli"] == "no rows"


def test_a_cluster_without_one_way_of_asking_the_base_is_not_complete(small):
    chat = [c for c in cells(small()) if not (c[2].chat and c[3] == "piqa")]
    written(chat, small().at)
    lacking = coverage.clusters_lacking(small().load())
    assert "commonsense" in lacking and "nli" not in lacking


def test_no_cluster_complete_is_missing(small):
    written([c for c in cells(small()) if c[0].arm == "base"], small().at)
    with pytest.raises(MissingResultError, match=r"9 results are not recorded:\n.*tuned"):
        small().load()


def test_what_changed_is_refused_in_part_as_well(small):
    every = cells(small())
    written(every, small().at)
    record = next(r for r in store.load(small().at) if r.task == "rte")
    store.append([replace(record, phrasing="0" * 12)], small().at, stale=lambda old: True)
    with pytest.raises(StaleResultError, match="the templates asked: task rte"):
        small().load()


TYPES = {
    "": "",
    "bfloat16": "",
    "float32": "Computed in more than one type: base in bfloat16, tuned in float32.",
    "both": "Computed in more than one type: base in bfloat16, tuned in bfloat16 and float32.",
}


@pytest.mark.parametrize("tuned_in", TYPES)
def test_types_that_differ_are_told_below_every_figure(small, tuned_in):
    """Those of records that are compared; a record that does not tell its own, as old ones, is not counted."""

    def kind(record):
        if record.factors.arm == "base":
            return "bfloat16"
        one = "float32" if record.task == "rte" else "bfloat16"
        return one if tuned_in == "both" else tuned_in

    written(cells(small()), small().at, dtype=kind)
    assert small().types == TYPES[tuned_in]
    alt = figures.redraw("fig5_zero_shot_gains", small()).alt
    assert ("more than one type" in alt) is bool(TYPES[tuned_in]) and TYPES[tuned_in] in alt
    with style.remarking(TYPES[tuned_in]):
        notes = fig5.notes(fig5.with_published(small().load()))
        lines = boxes.paragraphs(notes, 7)
    assert " ".join(lines).endswith(TYPES[tuned_in] or notes[-1][-20:])


def test_a_prompt_without_rows_and_illustration_is_missing(small):
    written(cells(small(), ["story_cloze"]), small().at)
    with pytest.raises(MissingResultError, match="story_cloze"):
        small().prompt("commonsense")


def test_figures_that_are_not_on_record_are_left_out_unless_named(
    small, tmp_path, monkeypatch, capsys
):
    (tmp_path / "notebooks").mkdir()
    for stem in ("fig5_zero_shot_gains", "fig8_instructions"):
        (tmp_path / "notebooks" / f"{stem}.ipynb").symlink_to(paths.NOTEBOOKS / f"{stem}.ipynb")
    monkeypatch.setenv("FLANLIB_NOTEBOOKS", str(tmp_path / "notebooks"))
    written(cells(small(), ["rte"]), small().at)
    verbs_pages.figures(small().settings)
    told = capsys.readouterr()
    assert "fig5_zero_shot_gains: drawn" in told.err and "fig5_zero_shot_gains.svg" in told.out
    assert "fig8_instructions: not drawn, since it is not on record" in told.err
    with pytest.raises(MissingResultError, match="not recorded"):
        verbs_pages.figures(small().settings, only=("fig8",))


# Figure 5: the ways of asking, and the sheet of the datasets


@pytest.fixture
def table(small):
    def value(record):
        gain = {"rte": 8.0, "trivia_qa": -6.0, "sst2": 1.0}.get(record.task, 0.0)
        return LEVELS["base"] + gain if record.factors.arm == "tuned" else level(record)

    written(cells(small()), small().at, value)
    return fig5.collect(small())


def test_every_way_of_asking_the_base_has_its_mark(table):
    marks = [dot.arm for dot in datasets.present(table, datasets.SCORES)]
    assert marks == ["base", "base-no-options", "base-cloze", "base-chat", "tuned"]
    pairs = [(dot.arm, dot.against, dot.marker) for dot in fig5.GAINS]
    assert pairs[-1] == ("tuned", "base-chat", style.ARMS["base-chat"].marker)
    assert len({dot.marker for dot in datasets.SCORES}) == len(datasets.SCORES)
    fig = fig5.draw(table)
    legend = [t.get_text() for t in fig.legends[0].get_texts()]
    assert "base, chat template" in legend
    assert fig.legends[0].get_window_extent().x1 < fig.bbox.x1, "no name is cut off"
    without = table[(table["arm"] != "base-chat") & (table["against"] != "base-chat")]
    legend = [t.get_text() for t in fig5.draw(without).legends[0].get_texts()]
    assert "base, chat template" not in legend
    assert any("▲ plain text to be continued, ▼ the chat template" in n for n in fig5.notes(table))
    assert not any("chat template" in note for note in fig5.notes(without))


def test_each_dataset_stands_beside_what_was_published_of_it(table):
    cells_of_rte = published.cells().query("dataset == 'RTE'").set_index("column")["value"]
    mine = table[(table["dataset"] == "rte") & (table["statistic"] == "score")]
    mine = mine.set_index("arm")["value"]
    assert mine[datasets.GPT3] == cells_of_rte["gpt3_zero"] == 63.5
    assert mine[datasets.LAMDA] == cells_of_rte["lamda_pt_zero"]
    assert mine[datasets.FLAN] == cells_of_rte["flan_zero_avg"]
    fig = datasets.draw(table)
    names = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert names[:3] == ["NLI", "cb", "rte"] and len(names) == 9 + 6
    at = names.index("rte")
    drawn = {(m.marker, round(m.x, 4)) for m in plotted.marks(fig.axes[2]) if m.y == at}
    assert drawn == {("s", 63.5), ("o", mine[datasets.LAMDA]), ("D", mine[datasets.FLAN])}
    words = datasets.describe(table)
    assert "rte: base 40.0, tuned 48.0, gain +8.0" in words and "GPT-3 63.5" in words


def test_wins_are_counted_on_both_sides(table):
    assert published.ahead_of_gpt3() == (20, 25)
    said = datasets.wins(table)
    assert "above the base on 2 of 9 datasets" in said, "rte and sst2"
    assert "every way of prompting the base on 0;" in said and said.endswith("on 20 of 25.")
    assert "Datasets: The tuned model is above" in fig5.reading(table)


def test_the_means_count_published_values_without_those_of_datasets(table):
    n = int(table["source"].str.startswith("published").sum())
    counted = [note for note in fig5.notes(table) if "values verified" in note]
    m = len(fig5._means(table)) - int((~table["source"].str.startswith("published")).sum())
    assert 0 < m < n and f"{m} of {m} values verified" in counted[0]


def test_generated_datasets_have_no_sheet():
    frame = fig5.with_published(study.open_study().load())
    assert datasets.describe(frame) == ""


@pytest.mark.parametrize(
    ("stem", "told"),
    [("fig3_taxonomy", False), ("fig4_templates", False), ("fig5_zero_shot_gains", True)],
)
def test_only_figures_with_scores_tell_of_samples_and_base(stem, told):
    text = (paths.FIGURES / "small" / f"{stem}.svg").read_text(encoding="utf-8")
    assert (profiles.PROFILES["small"].note in text) is told
