"""Four panels of figure 12: calibration, option order, label bias, agreement between seeds.

A row is a dataset, the mean of a cluster, or the mean over clusters.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.results import effects, scrutiny
from flanlib.results.effects import ALL
from flanlib.studies import leaks

Pair = tuple[str, str]  # cluster and dataset; a mean has an empty dataset
ROWS = 0.19  # inches of a row
TUNED_NAME = "instruction-tuned (cluster's colour)"
MARKS = {"base": ("o", "white"), "tuned": ("D", "")}
QUESTIONS = {
    scrutiny.CALIBRATION: "Expected calibration error, percent",
    scrutiny.ORDER: "Option-order sensitivity (score, reversed minus given order), points",
    scrutiny.LABEL_BIAS: "Label bias (total variation from the label prior), percent",
    scrutiny.AGREEMENT: "Agreement between seeds, percent of examples",
}


def _shown(group: str) -> tuple[Dot, Dot]:
    """What answers a question, the tuned model last; one seed agrees with nobody."""
    of = {"group": group, "optional": group == scrutiny.AGREEMENT}
    arms = ("chance", "tuned") if group == scrutiny.AGREEMENT else ("base", "tuned")
    if group == scrutiny.ORDER:
        reverse = {"x": scrutiny.REVERSED, "against_x": scrutiny.GIVEN}
        return tuple(Dot(arm=arm, against=arm, **reverse, **of) for arm in arms)
    return tuple(Dot(arm=arm, statistic=scrutiny.STATISTICS[group], **of) for arm in arms)


SHOWN = {group: _shown(group) for group in QUESTIONS}


def rows_of(table: pd.DataFrame) -> list[Pair]:
    """Cluster and dataset of each row of the second page; the mean over clusters last."""
    mine = part(table, scrutiny.CALIBRATION)
    found = list(dict.fromkeys(zip(mine["cluster"], mine["dataset"], strict=True)))
    means = [one for one in found if one[0] == ALL] or [one for one in found if not one[1]]
    return [one for one in found if one[1]] + means


def means_of(table: pd.DataFrame) -> list[Pair]:
    """Rows of the first page: each cluster's mean over datasets, the mean over clusters last."""
    found = dict.fromkeys(cluster for cluster, _ in rows_of(table))
    return [(cluster, "") for cluster in found]


def questions(table: pd.DataFrame, fig: Figure, top: float, rows: Sequence[Pair]) -> None:
    """Four panels side by side, a question each, `top` inches below the page's upper edge.

    The left one names the `rows`, which are those of `means_of` or `rows_of`.
    """
    panels = boxes.panels(fig, top, ROWS * len(rows), boxes.columns(4, left=1.75))
    drawing = (draw_calibration, draw_order, draw_label_bias, draw_seeds)
    for each, ax in zip(drawing, panels, strict=True):
        each(table, ax, rows).tick_params(labelleft=ax is panels[0])


def draw_order(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 e: option-order sensitivity, the score's change with reversed options."""
    ax.axvline(0, color=lines.GREY, lw=0.9)
    _dots(ax, table, rows, scrutiny.ORDER)
    ax.set(xlabel="score, reversed −\ngiven order, points", title="e  Option-order\nsensitivity")
    return ax


def draw_calibration(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 d: expected calibration error, the distance of curve b from its diagonal."""
    _dots(ax, table, rows, scrutiny.CALIBRATION)
    ax.set(xlabel="expected calibration\nerror, percent", title="d  Calibration\nerror")
    ax.set_xlim(left=0)
    return ax


def draw_label_bias(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 f: total variation of the chosen answers from the label prior."""
    _dots(ax, table, rows, scrutiny.LABEL_BIAS)
    ax.set(xlabel="total variation from\nlabel prior, percent", title="f  Label bias")
    ax.set_xlim(left=0)
    return ax


def draw_seeds(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 g: agreement between seeds, and that of independent seeds."""
    _dots(ax, table, rows, scrutiny.AGREEMENT)
    if part(table, scrutiny.AGREEMENT).empty:
        style.centred(ax, 0.5, 0.5, "one seed", transform=ax.transAxes)
    ax.set(
        xlabel="same outcome,\npercent of examples",
        title="g  Agreement\nbetween seeds",
        xlim=(None, 103),
    )
    return ax


def _dots(ax: Axes, table: pd.DataFrame, rows: Sequence[Pair], group: str) -> None:
    """Rows of base above tuned, with intervals; a line before the mean."""
    shown = [dot for dot in SHOWN[group] if dot.arm in MARKS]
    marks = tuple(
        replace(dot, marker=MARKS[dot.arm][0], fill=MARKS[dot.arm][1], size=4.6, shift=shift)
        for dot, shift in zip(shown, (-0.17, 0.17) if len(shown) > 1 else (0,), strict=True)
    )
    named = [
        Row(label=_label(table, *row), cluster=row[0], dataset=row[1], dots=marks) for row in rows
    ]
    dots.draw(table, ax, named)
    ax.axhline(len(rows) - 1.5, color=lines.GREY, lw=0.9)
    ax.tick_params(axis="y", labelsize=7)


def _label(table: pd.DataFrame, cluster: str, dataset: str) -> str:
    n = count(table, cluster, dataset)
    mean = "mean of clusters" if cluster == ALL else style.title(cluster, short=True)
    return f"{dataset or mean}, n = {n:,}"


def part(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """Rows of the table that belong to a question."""
    return table[table["group"] == group]


def value(table: pd.DataFrame, dot: Dot, cluster: str, dataset: str = ""):
    """What a dot of `SHOWN` stands for; None where it is optional and absent."""
    return dots.find(table, dot, Row(cluster=cluster, dataset=dataset))


def whole(table: pd.DataFrame, dot: Dot):
    """The value of the mean; of a single cluster, its own."""
    return value(table, dot, rows_of(table)[-1][0])


def changed(table: pd.DataFrame, group: str) -> list:
    """What answers a question on the whole, and the difference."""
    old, new = SHOWN[group]
    less = replace(new, statistic="", against=old.arm)
    return [whole(table, dot) for dot in (old, new, less)]


def count(table: pd.DataFrame, cluster: str, dataset: str = "") -> int:
    """Examples behind a row."""
    return int(value(table, SHOWN[scrutiny.CALIBRATION][1], cluster, dataset).n)


def leaked(table: pd.DataFrame, arm: str, cluster: str, statistic: str = leaks.SHARED):
    """How many rows tuned on, or barred, share text with a cluster; see `leaks.count`."""
    return effects.pick(table, arm, "", cluster, group="leaks", statistic=statistic)
