"""Four panels of figure 12: calibration, option order, label bias, agreement between seeds.

A row is a dataset, the mean of a cluster, or the mean over clusters.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.results import scrutiny
from flanlib.results.estimates import ALL

Pair = tuple[str, str]  # cluster and dataset; a mean has an empty dataset
ROWS = 0.19  # inches of a row
TUNED_NAME = "instruction-tuned (cluster's colour)"
MARKS = {"base": ("o", "white"), "tuned": ("D", "")}
QUESTIONS = {
    scrutiny.CALIBRATION: ("Expected calibration error, percent", ""),
    scrutiny.ORDER: (
        "Option-order sensitivity (score, reversed minus given order), points",
        scrutiny.CHANGE,
    ),
    scrutiny.LABEL_BIAS: ("Label bias (total variation from the label prior), percent", ""),
    scrutiny.AGREEMENT: ("Agreement between seeds, percent of examples", ""),
}


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
    """Four panels side by side, a question each; the left one names the rows.

    Parameters
    ----------
    top
        Inches from the page's upper edge to that of the panels.
    rows
        From `means_of` or `rows_of`.
    """
    panels = boxes.panels(fig, top, ROWS * len(rows), boxes.columns(4, left=1.75))
    drawing = (draw_calibration, draw_order, draw_label_bias, draw_seeds)
    for each, ax in zip(drawing, panels, strict=True):
        each(table, ax, rows).tick_params(labelleft=ax is panels[0])


def draw_order(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 e: option-order sensitivity, the score's change with reversed options."""
    ax.axvline(0, color=lines.GREY, lw=0.9)
    _dots(ax, table, rows, scrutiny.ORDER, ("base", "tuned"), scrutiny.CHANGE)
    ax.set(xlabel="score, reversed −\ngiven order, points", title="e  Option-order\nsensitivity")
    return ax


def draw_calibration(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 d: expected calibration error, the distance of curve b from its diagonal."""
    _dots(ax, table, rows, scrutiny.CALIBRATION, ("base", "tuned"))
    ax.set(xlabel="expected calibration\nerror, percent", title="d  Calibration\nerror")
    ax.set_xlim(left=0)
    return ax


def draw_label_bias(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 f: total variation of the chosen answers from the label prior."""
    _dots(ax, table, rows, scrutiny.LABEL_BIAS, ("base", "tuned"))
    ax.set(xlabel="total variation from\nlabel prior, percent", title="f  Label bias")
    ax.set_xlim(left=0)
    return ax


def draw_seeds(table: pd.DataFrame, ax: Axes, rows: Sequence[Pair]) -> Axes:
    """Figure 12 g: agreement between seeds, and that of independent seeds."""
    _dots(ax, table, rows, scrutiny.AGREEMENT, ("tuned",))
    if part(table, scrutiny.AGREEMENT).empty:
        ax.text(0.5, 0.5, "one seed", transform=ax.transAxes, ha="center", va="center",
                size=7, color=style.QUIET)  # fmt: skip
    ax.set(
        xlabel="same outcome,\npercent of examples",
        title="g  Agreement\nbetween seeds",
        xlim=(None, 103),
    )
    return ax


def _dots(
    ax: Axes, table: pd.DataFrame, rows: Sequence[Pair], group: str, arms: tuple[str, ...],
    x: str = "",
) -> None:  # fmt: skip
    """Rows of base above tuned, with intervals; a line before the mean."""
    marks = tuple(
        Dot(arm=arm, x=x, marker=MARKS[arm][0], fill=MARKS[arm][1], size=4.6, shift=shift)
        for arm, shift in zip(arms, (-0.17, 0.17) if len(arms) > 1 else (0,), strict=True)
    )
    named = [
        Row(label=_label(table, *row), cluster=row[0], dataset=row[1], dots=marks) for row in rows
    ]
    dots.draw(part(table, group).assign(group=""), ax, named)
    ax.axhline(len(rows) - 1.5, color=lines.GREY, lw=0.9)
    ax.tick_params(axis="y", labelsize=7)


def _label(table: pd.DataFrame, cluster: str, dataset: str) -> str:
    n = int(row(table, scrutiny.CALIBRATION, cluster, dataset, "tuned").n)
    mean = "mean of clusters" if cluster == ALL else style.title(cluster, short=True)
    return f"{dataset or mean}, n = {n:,}"


def part(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """Rows of the table that belong to a question."""
    return table[table["group"] == group]


def row(table: pd.DataFrame, group: str, cluster: str, dataset="", arm="", x=""):
    """The one row of a value; None if it is not there."""
    return lines.row(table, arm, x, cluster, dataset, group)


def whole(table: pd.DataFrame, group: str, arm: str, x: str = ""):
    """The row of the mean; of a single cluster, its own."""
    return row(table, group, rows_of(table)[-1][0], "", arm, x)
