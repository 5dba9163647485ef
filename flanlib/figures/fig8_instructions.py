"""Figure 8: are the instructions what helps? An ablation of their text.

The same mixture is tuned with full instructions, with the dataset's name in
front of the input, or with the input and no template. The published ablation
has panels and a scale of its own, since clusters, data and models differ.
"""

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects, published
from flanlib.results.effects import Estimand
from flanlib.studies.study import Study

STEM = "fig8_instructions"
FULL = "instruction > instruction"
WAYS = {
    "base": "untuned → instruction",
    "none > instruction": "no template → instruction",
    "dataset-name > instruction": "name → instruction",
    "dataset-name > dataset-name": "name → name",
    FULL: "instruction → instruction",
}
TUNED = [arm for arm in WAYS if arm != "base"]
LESS = [arm for arm in TUNED if arm != FULL]
PUBLISHED = {
    "FT no template | eval instruction": "none > instruction",
    "FT dataset name | eval instruction": "dataset-name > instruction",
    "FT dataset name | eval dataset name": "dataset-name > dataset-name",
    "FT instruction | eval instruction (FLAN)": FULL,
}
MARKERS = dict(zip(WAYS, "ov^sD", strict=True))
OLD_MARKERS = "*P<X>ph"  # of published clusters; the legend has no other meaning for them
SPANS = ((1.45, 3.83), (3.98, 5.47), (5.62, 6.97))  # inches
OLD_SPANS = ((1.75, 3.83), *SPANS[1:])


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the paper's ablation; its arms have `published` in front."""
    named = {series: Estimand(_old(arm)) for series, arm in PUBLISHED.items()}
    rows = lines.published_rows(published.points("fig8_table3"), named).assign(x="")
    return lines.together(table[table["statistic"] != effects.SPREAD], rows)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, differences, and what was published."""
    with style.look():
        clusters = len(dots.shown(table, FULL))
        heights = [dots.stack_height(clusters, len(WAYS)), len(PUBLISHED) * 1.5 * dots.ROW]
        fig, tops = dots.page(heading(table), _marks(), notes(table), heights)
        scores, gains, lost = boxes.panels(fig, tops[0], heights[0], SPANS)
        old, shapes, old_lost = boxes.panels(fig, tops[1], heights[1], OLD_SPANS)
        draw_scores(table, scores)
        draw_gains(table, gains)
        draw_lost(table, lost)
        draw_published(table, old)
        draw_key(table, shapes)
        draw_published(table, old_lost, against=True)
        dots.unnamed([gains, lost, old_lost])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 8, left: score of each arm, cluster means with intervals."""
    dots.draw(table, ax, _rows(table, [_score(arm) for arm in WAYS]), datasets=True)
    dots.scores(ax)
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 8, middle: each arm minus the untuned model."""
    dots.draw(table, ax, _rows(table, [None, *map(_gain, TUNED)]), signed=True)
    ax.set(xlabel="percentage points", title="Tuned − untuned")
    return ax


def draw_lost(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 8, right: full instructions minus each other arm."""
    dots.draw(table, ax, _rows(table, [None, *map(_lost, LESS), None]), signed=True)
    ax.set(xlabel="percentage points", title="Full − ablated")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes, against: bool = False) -> Axes:
    """Figure 8, bottom: the paper's scores, or full instructions minus each other arm."""
    marks = _published_marks(table)
    if not marks:
        return lines.empty(ax)
    rows = []
    for arm in PUBLISHED.values():
        mine = {"arm": _old(arm)}
        if against:
            mine = {"arm": _old(FULL), "less": (_old(arm), "")}
        every = () if against and arm == FULL else tuple(replace(m, **mine) for m in marks)
        rows.append(Row(label=WAYS[arm], dots=every))
    dots.draw(table, ax, rows, signed=against)
    if against:
        ax.set(xlabel="percentage points", title="Full − ablated")
    else:
        ax.set(xlim=(-2.5, 102.5), xlabel="percent or BLEU", title="Published")
    return ax


def draw_key(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 8, bottom left: which published cluster has which marker."""
    ax.set_axis_off()
    ax.legend(handles=lines.legend(_published_marks(table), chance=False), loc="upper left")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    many = lines.counted(len(lines.clusters_of(table, FULL)), "held-out cluster")
    return f"Tuning with instructions, dataset names or no template: zero-shot on {many}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    here = (
        f"{lines.note_on_seeds(table)} Small: datasets. Evaluated with"
        " instructions, except names → names: with the dataset's name in both."
    )
    return [text for text in (here, lines.note_on_published(table)) if text]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    clusters, marks = dots.shown(table, FULL), [_score(arm) for arm in WAYS]
    lost = [f"{WAYS[arm]} {dots.told(dots.at(table, _lost(arm), clusters[-1]))}" for arm in LESS]
    return (
        f"{heading(table)}; tuned with → evaluated with. {dots.words(table, clusters, marks, FULL)}"
        f" {WAYS[FULL]} minus the others: {'; '.join(lost)}. {_published_words(table)}"
    ).strip()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: arms in percent, differences with intervals, n."""
    marks = [_score(arm) for arm in WAYS]
    return dots.summary(table, dots.shown(table, FULL), marks, [_gain(FULL), *map(_lost, LESS)])


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    clusters = dots.shown(table, FULL)
    last = clusters[-1]
    found = [
        f"- {dots.name_of(last)}, {WAYS[arm]} minus untuned: {dots.told(dots.at(table, _gain(arm), last))}."
        for arm in TUNED
    ]
    for arm in LESS:
        lost = dots.at(table, _lost(arm), last)
        found.append(
            f"- {WAYS[FULL]} minus {WAYS[arm]}: {dots.told(lost)}. By cluster,"
            f" {dots.sides(table, clusters, _lost(arm))}."
        )
    pairs = [
        (dots.at(table, _lost(arm), cluster), dots.at(table, _published_lost(arm), cluster))
        for arm in LESS
        for cluster in clusters
    ]
    if _published_marks(table):
        found += [
            f"- {_published_words(table)}",
            f"- Full instructions differ from the ablated ones with the published sign in"
            f" {dots.same_sign(pairs)} comparisons (clusters that both have, and the means, which"
            " are over different clusters).",
        ]
    return Reading("\n".join([*found, f"- {dots.limits(table)}"]))


def _rows(table: pd.DataFrame, marks: list[Dot | None]) -> list[Row]:
    return dots.stacks(table, dots.shown(table, FULL), marks, FULL)


def _score(arm: str) -> Dot:
    fill = style.ARMS["base" if arm == "base" else "tuned"].fill
    return Dot(arm=arm, name=WAYS[arm], marker=MARKERS[arm], fill=fill)


def _gain(arm: str) -> Dot:
    name = f"{WAYS[arm]}, minus untuned"
    return Dot(arm=arm, against="base", name=name, marker=MARKERS[arm])


def _lost(arm: str) -> Dot:
    name = f"{WAYS[FULL]}, minus {WAYS[arm]}"
    return Dot(arm=FULL, against=arm, name=name, marker=MARKERS[arm])


def _published_lost(arm: str) -> Dot:
    return Dot(arm=_old(FULL), less=(_old(arm), ""), optional=True)


def _old(arm: str) -> str:
    return f"published {arm}"


def _published_marks(table: pd.DataFrame) -> list[Dot]:
    """A mark for each cluster that the paper has, and first for their mean."""
    mine = table[table["arm"] == _old(FULL)]
    clusters = sorted(mine["cluster"], key=lambda cluster: cluster != effects.ALL)
    return [
        Dot(
            arm=_old(FULL),
            optional=True,
            cluster=cluster,
            name="published mean" if cluster == effects.ALL else style.title(cluster, short=True),
            marker=shape,
            fill=style.INK,
            size=8 if cluster == effects.ALL else 4.6,
        )
        for cluster, shape in zip(clusters, OLD_MARKERS, strict=False)
    ]


def _published_words(table: pd.DataFrame) -> str:
    found = [(arm, dots.at(table, Dot(arm=_old(arm), optional=True), effects.ALL)) for arm in TUNED]
    told = [f"{WAYS[arm]} {old.value:.1f}" for arm, old in found if old is not None]
    clusters = [mark.name for mark in _published_marks(table)[1:]]
    return f"Published, mean of {', '.join(clusters)}: {', '.join(told)}." if told else ""


def _marks() -> list[Dot]:
    names = ("untuned", "no template", "names", "names → names")
    named = zip(WAYS, (*names, "instructions"), strict=True)
    return [replace(_score(arm), name=name) for arm, name in named]
