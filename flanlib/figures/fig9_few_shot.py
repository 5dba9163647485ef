"""Figure 9: few-shot exemplars in the prompt, for the base and for tuned models.

One tuned model was tuned on zero-shot prompts, the other on prompts with
exemplars too, as in the paper. Further panels show the standard deviation of
the score over evaluation templates, and the paper's scores and standard
deviations of the same clusters, which have a scale of their own: means over the
datasets of its Tables 1 and 2, for all ten clusters rather than seven.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects, published
from flanlib.results.effects import BEST, SCORE, SPREAD, Estimand
from flanlib.studies.study import Study

STEM = "fig9_few_shot"
BASE, TUNED, TAUGHT = "base", "tuned", "tuned with exemplars"
ARMS = (BASE, TUNED, TAUGHT)
FLAN = "published FLAN 137B"
PUBLISHED = {
    f"flan_{shots}_{column}": Estimand(FLAN, x, statistic)
    for column, statistic in (("avg", SCORE), ("std", SPREAD), ("best", BEST))
    for shots, x in (("zero", "0"), ("few", "few"))
}
MARKERS = dict(zip((*ARMS, FLAN), "oDs^", strict=True))
TICK = {"marker": "|", "size": 8}  # best dev template
PALE = "#E4E4E4"  # zero-shot; few-shot has the cluster's colour
SPANS = ((1.45, 2.85), (2.95, 3.65), (3.75, 4.45), (4.55, 5.2), (5.3, 5.95), (6.05, 6.99))  # inches


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the paper's scores, spreads and best templates; their x is 0 or `few`."""
    return lines.together(table, lines.published_means(table, PUBLISHED))


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, what exemplars and tuning add, spread, published."""
    measured = (draw_scores, draw_exemplars, draw_tuning, draw_spread)
    parts = (*measured, draw_published_spread, draw_published)
    with style.look():
        height = dots.stack_height(len(dots.shown(table, TUNED)), 2 * len(ARMS))
        fig, tops = dots.page(heading(table), _legend(table), notes(table), [height])
        panels = boxes.panels(fig, tops[0], height, SPANS)
        for ax, part in zip(panels, parts, strict=True):
            part(table, ax)
        panels[4].set_xlim(panels[3].get_xlim())
        dots.unnamed(panels[1:])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, left: zero- and few-shot scores of each arm."""
    dots.draw(table, ax, _rows(table, _scores(table)), datasets=True)
    dots.scores(ax)
    return ax


def draw_exemplars(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, second: few-shot minus zero-shot."""
    marks = [place for arm in ARMS for place in (None, _added(table, arm))]
    dots.draw(table, ax, _rows(table, marks), signed=True)
    ax.set(xlabel="points", title="few-shot −\nzero-shot")
    return ax


def draw_tuning(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, third: each tuned arm minus the base, with the same prompts."""
    marks = [dot for arm in (TUNED, TAUGHT) for dot in _pair(table, arm, against=BASE)]
    dots.draw(table, ax, _rows(table, [None, None, *marks]), signed=True)
    ax.set(xlabel="points", title="tuned −\nbase")
    return ax


def draw_spread(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, fourth: standard deviation over the evaluation templates."""
    marks = [dot for arm in ARMS for dot in _pair(table, arm, statistic=SPREAD)]
    dots.draw(table, ax, _rows(table, marks), signed=True)
    ax.set(xlabel="SD, points", title="SD over\ntemplates")
    ax.set_xlim(left=0)
    return ax


def draw_published_spread(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, second from the right: FLAN's standard deviation over templates."""
    if not _published_clusters(table):
        return lines.empty(ax, "")
    dots.draw(table, ax, _published_rows(table, _published_pair(SPREAD)), signed=True)
    ax.set(xlabel="SD, points", title="FLAN,\nSD")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 9, right: the paper's scores, and few-shot minus zero-shot as a number."""
    if not _published_clusters(table):
        return lines.empty(ax)
    ticks = [replace(dot, **TICK) for dot in _published_pair(BEST)]
    rows = _published_rows(table, [*ticks, *_published_pair()])
    dots.draw(table, ax, rows)
    for y, row in enumerate(rows):
        if (old := dots.find(table, _published_added(), row)) is not None:
            style.centred(ax, 50, y + 0.4, f"{old.value:+.1f}")
    ax.set(xlim=(-5, 105), xlabel="percent, BLEU\nor Rouge", title="FLAN,\nscore")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    many = lines.counted(len(lines.clusters_of(table, TUNED)), "held-out cluster")
    return f"Zero- and few-shot (up to {shots(table)} exemplars) on {many}"


def shots(table: pd.DataFrame) -> str:
    """How many exemplars a few-shot prompt has here, where they fit."""
    return next(x for x in lines.measured(table)["x"] if x not in ("", "0"))


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    here = (
        f"{lines.note_on_seeds(table)} Small: datasets. SD: standard deviation over the evaluation"
        " templates, mean over datasets, no interval."
    )
    if not (old := lines.note_on_published(table)):
        return [here]
    k = published.scores()["flan_few_k"]
    return [
        here,
        f"{old} Number: few-shot − zero-shot, of the mean over templates; few-shot:"
        f" {k.min():.0f} to {k.max():.0f} exemplars by dataset, here up to {shots(table)}.",
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    clusters = dots.shown(table, TUNED)
    added = [f"{arm} {dots.told(_last(table, _added(table, arm)))}" for arm in ARMS]
    return (
        f"{heading(table)}. {dots.words(table, clusters, _scores(table), TUNED)}"
        f" {dots.name_of(clusters[-1])}, few-shot minus zero-shot: {'; '.join(added)}."
        f" {_published_words(table)}"
    ).strip()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: scores in percent, few-shot minus zero-shot with intervals, n."""
    added = [_added(table, arm) for arm in ARMS]
    return dots.summary(table, dots.shown(table, TUNED), _scores(table), added)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    clusters = dots.shown(table, TUNED)
    found = [
        f"- {dots.name_of(clusters[-1])}, with up to {shots(table)} exemplars, few-shot minus zero-shot:"
    ]
    for arm in ARMS:
        dot = _added(table, arm)
        found.append(
            f"    - {arm}: {dots.told(_last(table, dot))}."
            f" By cluster, {dots.sides(table, clusters, dot)}."
        )
    for arm in (TUNED, TAUGHT):
        gains = [
            f"{dot.name} {dots.told(_last(table, dot))}" for dot in _pair(table, arm, against=BASE)
        ]
        found.append(f"- {arm.capitalize()}, minus base: {'; '.join(gains)}.")
    found.append(f"- {_spread_words(table)}")
    if clusters := _published_clusters(table):
        pairs = [
            (dots.at(table, _added(table, TAUGHT), c), dots.at(table, _published_added(), c))
            for c in clusters
        ]
        found += [
            f"- {_published_words(table)}",
            "- Tuned and evaluated with exemplars, as in the paper, their effect has the published"
            f" sign in {dots.same_sign(pairs)} clusters that both have.",
        ]
    return Reading("\n".join([*found, f"- {dots.limits(table)}"]))


def _rows(table: pd.DataFrame, marks: Sequence[Dot | None]) -> list[Row]:
    return dots.stacks(table, dots.shown(table, TUNED), marks, TUNED)


def _pair(table: pd.DataFrame, arm: str, **of: str) -> list[Dot]:
    """Zero- and few-shot marks of an arm, for its scores or what else `of` names."""
    zero = Dot(arm=arm, x="0", name="zero-shot", marker=MARKERS[arm], fill=PALE, **of)
    return [zero, replace(zero, x=shots(table), name="few-shot", fill="")]


def _scores(table: pd.DataFrame) -> list[Dot]:
    pairs = [(arm, dot) for arm in ARMS for dot in _pair(table, arm)]
    return [replace(dot, name=f"{arm}, {dot.name}") for arm, dot in pairs]


def _added(table: pd.DataFrame, arm: str) -> Dot:
    name = f"{arm}, few - zero"
    return Dot(arm=arm, against=arm, x=shots(table), against_x="0", name=name, marker=MARKERS[arm])


def _last(table: pd.DataFrame, dot: Dot):
    return dots.at(table, dot, dots.shown(table, TUNED)[-1])


def _published_rows(table: pd.DataFrame, marks: Sequence[Dot]) -> list[Row]:
    return [Row(cluster=cluster, dots=tuple(marks)) for cluster in dots.shown(table, TUNED)]


def _published_pair(statistic: str = SCORE) -> list[Dot]:
    pair = Dot(arm=FLAN, statistic=statistic, marker=MARKERS[FLAN], optional=True)
    return [
        replace(pair, x="0", name="zero-shot", fill=PALE, shift=-0.2),
        replace(pair, x="few", name="few-shot", shift=0.1),
    ]


def _published_added() -> Dot:
    return Dot(arm=FLAN, x="few", less=(FLAN, "0"), optional=True)


def _published_clusters(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(effects.series(table, FLAN)["cluster"]))


def _published_words(table: pd.DataFrame) -> str:
    clusters = _published_clusters(table)
    added = [(c, dots.at(table, _published_added(), c)) for c in clusters]
    told = [f"{style.title(c, short=True)} {old.value:+.1f}" for c, old in added if old]
    return f"Published, few-shot minus zero-shot: {', '.join(told)}." if told else ""


def _spread_words(table: pd.DataFrame) -> str:
    found = [
        (arm, [_last(table, dot) for dot in _pair(table, arm, statistic=SPREAD)]) for arm in ARMS
    ]
    told = [f"{arm} {zero.value:.1f} and {few.value:.1f}" for arm, (zero, few) in found]
    words = (
        "Standard deviation over the evaluation templates, zero- and few-shot:"
        f" {'; '.join(told)} points."
    )
    if clusters := _published_clusters(table):
        old = [[dots.at(table, dot, c).value for c in clusters] for dot in _published_pair(SPREAD)]
        zero, few = (sum(values) / len(values) for values in old)
        less = sum(b < a for a, b in zip(*old, strict=True))
        words += (
            f" Published FLAN, mean of the same clusters: {zero:.1f} and {few:.1f}; exemplars make"
            f" it smaller in {less} of {len(clusters)}."
        )
    return words


def _legend(table: pd.DataFrame) -> list[Dot]:
    kinds = [Dot(arm="", name=arm, marker=MARKERS[arm]) for arm in ARMS]
    if _published_clusters(table):
        kinds.append(Dot(arm="", name="FLAN 137B, published", marker=MARKERS[FLAN]))
        kinds.append(Dot(arm="", name="FLAN, best dev template", **TICK))
    pale = Dot(arm="", name="pale: zero-shot", marker="P", fill=PALE)
    return [*kinds, pale, replace(pale, name="dark: few-shot", fill="#555555")]
