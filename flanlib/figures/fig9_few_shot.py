"""Figure 9: exemplars in front of the question, for the base and for tuned models.

One tuned model has seen questions alone, the other exemplars as well, as in
the paper. How far the score depends on the template asked with is shown
beside. Published values have a panel and a scale of their own.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import published
from flanlib.figures import dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.study import Study

STEM = "fig9_few_shot"
BASE, TUNED, TAUGHT = "base", "tuned", "tuned with exemplars"
ARMS = (BASE, TUNED, TAUGHT)
FLAN = "published FLAN 137B"
PUBLISHED = {"FLAN zero-shot": "0", "FLAN few-shot": "few"}
MARKERS = dict(zip(ARMS, "oDs", strict=True))
PALE = "#E4E4E4"  # zero-shot; few-shot has the cluster's colour
SPANS = ((1.45, 3.6), (3.75, 4.8), (4.95, 6.0), (6.15, 6.99))  # inches
OLD_ROW = 0.19  # inches


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the paper's scores; their x is 0 or `few`."""
    points = published.points("fig9")
    points = points[points["series"].isin(list(PUBLISHED))]
    arms = dict.fromkeys(PUBLISHED, FLAN)
    rows = lines.published_rows(points, arms).assign(
        x=points["series"].map(PUBLISHED), cluster=points["cluster"]
    )
    return lines.together(table, rows)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, what exemplars and tuning add, spread, published."""
    with style.look():
        clusters, old = len(dots.shown(table, TUNED)), max(len(_published_clusters(table)), 2)
        heights = [dots.stack_height(clusters, 2 * len(ARMS)), old * OLD_ROW]
        fig, tops = dots.page(heading(table), _legend(table), notes(table), heights)
        first, *others = lines.panels(fig, tops[0], heights[0], SPANS)
        old, gain = lines.panels(fig, tops[1], heights[1], SPANS[:2])
        draw_scores(table, first)
        for ax, part in zip(others, (draw_exemplars, draw_tuning, draw_spread), strict=True):
            part(table, ax)
        draw_published(table, old)
        draw_published(table, gain, against=True)
        dots.unnamed([*others, gain])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, left: zero- and few-shot scores of each arm."""
    dots.draw(table, ax, _rows(table, _scores(table)), datasets=True)
    ax.set(xlim=(-2.5, 102.5), xlabel="score, percent", title="Measured here")
    return ax


def draw_exemplars(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, second: few- less zero-shot."""
    marks = [place for arm in ARMS for place in (None, _added(table, arm))]
    dots.draw(table, ax, _rows(table, marks), signed=True)
    ax.set(xlabel="points", title="few − zero")
    return ax


def draw_tuning(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, third: each tuned arm less the base, asked alike."""
    marks = [dot for arm in (TUNED, TAUGHT) for dot in _pair(table, arm, f"{arm} - {BASE}")]
    dots.draw(table, ax, _rows(table, [None, None, *marks]), signed=True)
    ax.set(xlabel="points", title="this − base")
    return ax


def draw_spread(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, right: standard deviation over the templates asked with."""
    marks = [dot for arm in ARMS for dot in _pair(table, arm, _spread(arm))]
    dots.draw(table, ax, _rows(table, marks), signed=True)
    ax.set(xlabel="points", title="template SD")
    ax.set_xlim(left=0)
    return ax


def draw_published(table: pd.DataFrame, ax: Axes, against: bool = False) -> Axes:
    """Figure 9, below: the paper's scores, or few- less zero-shot."""
    clusters = _published_clusters(table)
    if not clusters:
        return dots.empty(ax)
    marks = (_published_added(),) if against else tuple(_published_pair())
    rows = [Row(label=style.title(c, short=True), cluster=c, dots=marks) for c in clusters]
    dots.draw(table, ax, rows, signed=against, joined=not against)
    if against:
        ax.set(xlabel="points", title="few − zero")
    else:
        ax.set(xlim=(-2.5, 102.5), xlabel="percent, BLEU or Rouge", title="Published, FLAN")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    n = len(lines.clusters_of(table, TUNED))
    many = "s" if n > 1 else ""
    return (
        f"Zero- and few-shot (up to {shots(table)} exemplars) on {n} cluster{many} never tuned on"
    )


def shots(table: pd.DataFrame) -> str:
    """How many exemplars a few-shot question has here, where they fit."""
    return next(x for x in lines.measured(table)["x"] if x not in ("", "0"))


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    here = (
        f"{lines.note_on_seeds(table)} Small: datasets. Template SD: standard deviation over the"
        " templates asked with, mean over datasets, no interval."
    )
    return [text for text in (here, lines.note_on_published(table)) if text]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    clusters = dots.shown(table, TUNED)
    added = [f"{arm} {dots.told(_last(table, _added(table, arm)))}" for arm in ARMS]
    return (
        f"{heading(table)}. {dots.words(table, clusters, _scores(table), TUNED)}"
        f" {dots.name_of(clusters[-1])}, few- less zero-shot: {'; '.join(added)}."
        f" {_published_words(table)}"
    ).strip()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: scores in percent, few- less zero-shot with intervals, n."""
    added = [_added(table, arm) for arm in ARMS]
    return dots.summary(table, dots.shown(table, TUNED), _scores(table), added)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    clusters = dots.shown(table, TUNED)
    found = [f"- {dots.name_of(clusters[-1])}, with up to {shots(table)} exemplars less without:"]
    for arm in ARMS:
        dot = _added(table, arm)
        found.append(
            f"    - {arm}: {dots.told(_last(table, dot))}."
            f" By cluster, {dots.sides(table, clusters, dot)}."
        )
    for arm in (TUNED, TAUGHT):
        gains = [
            f"{dot.name} {dots.told(_last(table, dot))}"
            for dot in _pair(table, arm, f"{arm} - {BASE}")
        ]
        found.append(f"- {arm.capitalize()}, less base: {'; '.join(gains)}.")
    found.append(f"- {_spread_words(table)}")
    if clusters := _published_clusters(table):
        pairs = [
            (dots.at(table, _added(table, TAUGHT), c), dots.at(table, _published_added(), c))
            for c in clusters
        ]
        found += [
            f"- {_published_words(table)}",
            "- Tuned and asked with exemplars, as in the paper, their effect has the published"
            f" sign in {dots.same_sign(pairs)} clusters that both have.",
        ]
    return Reading("\n".join([*found, f"- {dots.limits(table)}"]))


def _rows(table: pd.DataFrame, marks: Sequence[Dot | None]) -> list[Row]:
    return dots.stacks(table, dots.shown(table, TUNED), marks, TUNED)


def _pair(table: pd.DataFrame, arm: str, series: str = "") -> list[Dot]:
    """Zero- and few-shot marks of an arm, for its scores or another series of it."""
    zero = Dot(arm=series or arm, x="0", name="zero-shot", marker=MARKERS[arm], fill=PALE)
    return [zero, replace(zero, x=shots(table), name="few-shot", fill="")]


def _scores(table: pd.DataFrame) -> list[Dot]:
    pairs = [(arm, dot) for arm in ARMS for dot in _pair(table, arm)]
    return [replace(dot, name=f"{arm}, {dot.name}") for arm, dot in pairs]


def _added(table: pd.DataFrame, arm: str) -> Dot:
    few, name = shots(table), f"{arm}, few - zero"
    return Dot(arm=f"{arm}, {few} - 0", x=few, name=name, marker=MARKERS[arm])


def _spread(arm: str) -> str:
    return f"{arm}, spread over templates"


def _last(table: pd.DataFrame, dot: Dot):
    return dots.at(table, dot, dots.shown(table, TUNED)[-1])


def _published_pair() -> list[Dot]:
    return [Dot(arm=FLAN, x="0", marker="o"), Dot(arm=FLAN, x="few", marker="s")]


def _published_added() -> Dot:
    return Dot(arm=FLAN, x="few", less=(FLAN, "0"), marker="s")


def _published_clusters(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table.loc[table["arm"] == FLAN, "cluster"]))


def _published_words(table: pd.DataFrame) -> str:
    clusters = _published_clusters(table)
    added = [(c, dots.at(table, _published_added(), c)) for c in clusters]
    told = [f"{style.title(c, short=True)} {old.value:+.1f}" for c, old in added if old]
    return f"Published, few- less zero-shot: {', '.join(told)}." if told else ""


def _spread_words(table: pd.DataFrame) -> str:
    found = [(arm, [_last(table, dot) for dot in _pair(table, arm, _spread(arm))]) for arm in ARMS]
    told = [
        f"{arm} {zero.value:.1f} and {few.value:.1f}" for arm, (zero, few) in found if zero and few
    ]
    return (
        "Standard deviation over the templates asked with, zero- and few-shot:"
        f" {'; '.join(told) or 'not measured'} points."
    )


def _legend(table: pd.DataFrame) -> list[Dot]:
    kinds = [Dot(arm="", name="zero-shot (pale)", marker="P", fill=PALE)]
    kinds += [Dot(arm="", name="few-shot", marker="P", fill="#555555")]
    return [*(Dot(arm="", name=arm, marker=MARKERS[arm]) for arm in ARMS), *kinds]
