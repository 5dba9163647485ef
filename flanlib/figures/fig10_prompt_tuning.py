"""Figure 10: soft prompts learned on the base and on the instruction-tuned model.

Weights are frozen; a soft prompt, a few vectors in front of the input, is
learned for one task that neither model was tuned on. Published values have
panels and a scale of their own, since tasks and models differ.
"""

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import PAIR, Dot, Row
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects, published
from flanlib.results.effects import Estimand
from flanlib.studies.study import Study

STEM = "fig10_prompt_tuning"
BASE, TUNED = "on base", "on tuned"
WITHOUT = {BASE: "base", TUNED: "tuned"}  # arms that have no soft prompt
OLD = {BASE: "published on LaMDA-PT", TUNED: "published on FLAN"}
PUBLISHED = {
    "LaMDA-PT prompt-tuned, 32 examples": Estimand(OLD[BASE], "32"),
    "FLAN prompt-tuned, 32 examples": Estimand(OLD[TUNED], "32"),
    "LaMDA-PT prompt-tuned, full training set": Estimand(OLD[BASE], "all"),
    "FLAN prompt-tuned, full training set": Estimand(OLD[TUNED], "all"),
}
AVERAGE = "SuperGLUE-dev average"
TITLES = {"none": "no soft prompt", "32": "32 examples", "all": "all examples"}
PANELS = {x: title if x == "none" else f"soft prompt from\n{title}" for x, title in TITLES.items()}
GAINS = {"32": ("^", -PAIR), "all": ("s", PAIR)}
SPANS = ((1.5, 2.8), (2.92, 4.22), (4.34, 5.64), (5.76, 6.98))  # inches
ROW, OLD_ROW = 0.36, 0.18  # inches


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the paper's scores; `dataset` is the paper's, empty for their mean."""
    points = published.points("fig10")
    points = points[points["series"].isin(list(PUBLISHED))]
    rows = lines.published_rows(points, PUBLISHED).assign(
        dataset=points["x"].where(points["x"] != AVERAGE, ""), cluster=effects.ALL
    )
    return lines.together(table[table["statistic"] != effects.SPREAD], rows)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores by number of examples, differences, published."""
    with style.look():
        heights = [len(_rows(table, ())) * ROW, max(len(_published(table, ())), 2) * OLD_ROW]
        fig, tops = dots.page(heading(table), _legend(), notes(table), heights)
        upper = boxes.panels(fig, tops[0], heights[0], SPANS)
        lower = boxes.panels(fig, tops[1], heights[1], SPANS[1:])
        for x, ax in zip(TITLES, upper, strict=False):
            draw_scores(table, ax, x)
        for x, ax in zip(GAINS, lower, strict=False):
            draw_published(table, ax, x)
        draw_gains(table, upper[-1])
        draw_published_gains(table, lower[-1])
        dots.unnamed([*upper[1:], *lower[1:]])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes, x: str) -> Axes:
    """Figure 10, top: both models, with a soft prompt from so many examples."""
    dots.draw(table, ax, _rows(table, _pair(x)))
    ax.set(xlim=(-6, 106), xlabel="score, percent", title=PANELS[x])
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 10, top right: on the tuned model minus on the base."""
    dots.draw(table, ax, _rows(table, [_gain(x) for x in GAINS]), signed=True)
    ax.set(xlabel="percentage points", title="tuned − base")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes, x: str) -> Axes:
    """Figure 10, bottom: the paper's scores of the same two models."""
    marks = [replace(dot, arm=OLD[dot.arm], shift=0.0, optional=True) for dot in _pair(x)]
    if not (rows := _published(table, marks)):
        return lines.empty(ax)
    dots.draw(table, ax, rows, joined=True)
    ax.set(xlim=(-6, 106), xlabel="percent", title=f"Published:\n{TITLES[x]}")
    return ax


def draw_published_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 10, bottom right: published difference between the two."""
    if not (rows := _published(table, [_published_gain(x) for x in GAINS])):
        return lines.empty(ax)
    dots.draw(table, ax, rows, signed=True)
    ax.set(xlabel="percentage points", title="FLAN − LaMDA-PT")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    many = lines.counted(len(lines.clusters_of(table, TUNED)), "held-out task")
    return f"Prompt tuning on {many}: base against instruction-tuned"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    here = (
        f"{lines.note_on_seeds(table)} Soft prompt: a few vectors in front of the input, learned"
        " with all weights frozen; the model then reads the input and no instruction. Without one:"
        " every template."
    )
    old = lines.note_on_published(table)
    return [here, f"{old} Datasets: SuperGLUE, development sets."] if old else [here]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    clusters = dots.shown(table, TUNED)
    gains = [f"{TITLES[x]} {dots.told(dots.at(table, _gain(x), clusters[-1]))}" for x in GAINS]
    return (
        f"{heading(table)}. {dots.words(table, clusters, _named(), TUNED)}"
        f" {dots.name_of(clusters[-1])}, tuned minus base: {'; '.join(gains)}."
        f" {_published_words(table)}"
    ).strip()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per task: scores in percent, tuned minus base with intervals, n."""
    gains = [_gain(x) for x in GAINS]
    return dots.summary(table, dots.shown(table, TUNED), _named(), gains)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    clusters = dots.shown(table, TUNED)
    last, found = clusters[-1], []
    for x in GAINS:
        found.append(
            f"- {dots.name_of(last)}, soft prompt from {TITLES[x]}, tuned minus base:"
            f" {dots.told(dots.at(table, _gain(x), last))}."
            f" By task, {dots.sides(table, clusters, _gain(x))}."
        )
    for way, arm in WITHOUT.items():
        values = [dots.at(table, dot, last) for dot in _named() if dot.arm in (way, arm)]
        steps = [lines.spelled(value) for value in values]
        found.append(
            f"- The {arm} model, without a soft prompt, with 32 and with all examples:"
            f" {', '.join(steps)} percent."
        )
    pairs = [
        (dots.at(table, _gain(x), last), dots.at(table, _published_gain(x), effects.ALL))
        for x in GAINS
    ]
    if _published(table, ()):
        found += [
            f"- {_published_words(table)}",
            "- The sign of the mean difference is the published one in"
            f" {dots.same_sign(pairs)} numbers of examples.",
        ]
    return Reading("\n".join([*found, f"- {dots.limits(table)}"]))


def _rows(table: pd.DataFrame, marks) -> list[Row]:
    """One row per cluster, named with its one task and n; then their mean."""
    found = []
    for cluster in dots.shown(table, TUNED):
        mine = effects.series(table, TUNED)
        mine = mine[mine["cluster"] == cluster]
        names = [*dict.fromkeys(name for name in mine["dataset"] if name), ""]
        n = int(mine.loc[mine["dataset"] == "", "n"].max())
        task = f"{names[0]}, n = {n}" if names[0] else f"n = {n}"
        label = "Mean" if cluster == effects.ALL else style.title(cluster, short=True)
        found.append(Row(label=f"{label}\n{task}", cluster=cluster, dots=tuple(marks)))
    return found


def _published(table: pd.DataFrame, marks) -> list[Row]:
    """One row per dataset of the paper, then their mean."""
    names = dict.fromkeys(effects.series(table, OLD[TUNED])["dataset"])
    ordered = sorted(names, key=lambda name: not name)
    return [
        Row(label=name or "SuperGLUE mean", dataset=name, dots=tuple(marks)) for name in ordered
    ]


def _pair(x: str) -> list[Dot]:
    """Base and tuned model at one number of examples."""
    found = []
    for arm, shift in ((BASE, -PAIR), (TUNED, PAIR)):
        mark = style.ARMS[WITHOUT[arm]]
        found.append(
            Dot(
                arm=WITHOUT[arm] if x == "none" else arm,
                x=x,
                name=f"{WITHOUT[arm]}, {TITLES[x]}",
                marker=mark.marker,
                fill=mark.fill,
                shift=shift,
            )
        )
    return found


def _named() -> list[Dot]:
    return [dot for x in TITLES for dot in _pair(x)]


def _gain(x: str) -> Dot:
    marker, shift = GAINS[x]
    name = f"tuned − base, {TITLES[x]}"
    return Dot(arm=TUNED, against=BASE, x=x, name=name, marker=marker, shift=shift)


def _published_gain(x: str) -> Dot:
    return replace(_gain(x), arm=OLD[TUNED], against="", less=(OLD[BASE], x), optional=True)


def _published_words(table: pd.DataFrame) -> str:
    told = []
    for x in GAINS:
        values = [effects.pick(table, arm, x, optional=True) for arm in OLD.values()]
        if all(value is not None for value in values):
            base, tuned = (value.value for value in values)
            told.append(f"{TITLES[x]}: base {base:.1f}, tuned {tuned:.1f} ({tuned - base:+.1f})")
    return f"Published, mean of SuperGLUE: {'; '.join(told)}." if told else ""


def _legend() -> list[Dot]:
    base, tuned = _pair("none")
    named = [replace(base, name="base"), replace(tuned, name="instruction-tuned")]
    return [*named, *(_gain(x) for x in GAINS)]
