"""Marks: values with their intervals, drawn by seaborn the same way in every figure.

Plain functions of seaborn are used on axes that are measured in inches. `seaborn.objects`
takes intervals as well, but needs about four times as long for a panel, sets its ticks anew,
and warns under pandas 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from flanlib.figures import style
from flanlib.results import published

TICK = ((-0.5, -5), (0.5, -5), (0.5, 5), (-0.5, 5))  # a filled "|", since seaborn mixes no others


@dataclass(frozen=True, kw_only=True)
class Series:
    """One arm of a table as a line.

    Attributes
    ----------
    arm, against, statistic
        As the table has them; see `effects.series`.
    optional
        Whether a table may have no value of it.
    name
        As the legend has it.
    fill
        Colour of the marks; empty is the colour of the panel's cluster.
    shift
        Along x, so that the intervals of two series stand side by side.
    written
        Format of the values written above it where there is room; empty
        writes none.
    size
        Of the marks, in points.
    """

    arm: str
    name: str
    against: str = ""
    statistic: str = ""
    optional: bool = False
    marker: str = "o"
    line: str = "-"
    fill: str = ""
    shift: float = 0.0
    written: str = ""
    size: float = 5.2


def is_firm(source: str) -> bool:
    """Whether a published value is verified, and so drawn filled."""
    return source.removeprefix("published, ") in published.FIRM


def mark(place: float, found, one: Series, colour: str) -> dict:
    """How a value is drawn, as a row of what `points` takes.

    Parameters
    ----------
    place
        On the axis that is not the value's.
    found
        The value, a row of a table.
    one
        What the value belongs to.
    colour
        Of the inside where the series has no own; published values are INK, or white where they
        are not verified.
    """
    old = found.source.startswith("published")
    fill = one.fill or (style.INK if old else colour)
    return {
        **{"place": place + one.shift, "value": found.value, "low": found.low, "high": found.high},
        **{"marker": one.marker, "size": one.size, "edge": 1.1 if old else 0.8},
        "fill": fill if not old or is_firm(found.source) else "white",
    }


def points(ax: Axes, marks: Sequence[dict], upright: bool = True) -> None:
    """`marks` with 95 % intervals, by seaborn's scatter plot; if `upright`, values go along y."""
    if not marks:
        return
    table = pd.DataFrame(marks)
    known = table.dropna(subset=["low"])
    span = ax.vlines if upright else ax.hlines
    span(known["place"], known["low"], known["high"], colors=style.INK, lw=1.1, zorder=3)
    names = {"x": "place", "y": "value"} if upright else {"x": "value", "y": "place"}
    each = {name: list(dict.fromkeys(table[name])) for name in ("fill", "marker", "size")}
    words = ax.get_xlabel(), ax.get_ylabel()
    sns.scatterplot(
        table,
        **names,
        ax=ax,
        legend=False,
        zorder=4,
        edgecolor=style.INK,
        linewidth=table["edge"],
        hue="fill",
        palette={fill: fill for fill in each["fill"]},
        style="marker",
        markers={m: TICK if m == "|" else m for m in each["marker"]},
        size="size",
        sizes={size: size**2 for size in each["size"]},
    )
    ax.set(xlabel=words[0], ylabel=words[1])


def heatmap(
    ax: Axes,
    cells: Sequence[Sequence],
    rows: Sequence[str],
    columns: Sequence[str],
    parts: Sequence[int] = (),
) -> None:
    """Differences as a table of colours, each written in its cell; bold where decided.

    Parameters
    ----------
    cells
        Rows of values with their intervals; None leaves a cell blank.
    rows, columns
        Their names.
    parts
        Rows that a line is drawn above.
    """
    found = [value for line in cells for value in line if value is not None]
    values = [[np.nan if r is None else r.value for r in line] for line in cells]
    words = [["" if r is None else f"{round(r.value):+d}" for r in line] for line in cells]
    sns.heatmap(
        pd.DataFrame(values, list(rows), list(columns)),
        ax=ax,
        cmap="vlag_r",
        center=0,
        cbar=False,
        linewidths=0.8,
        annot=np.array(words),
        fmt="",
        annot_kws={"size": 7},
    )
    for text, value in zip(ax.texts, found, strict=True):
        text.set_weight("bold" if value.low > 0 or value.high < 0 else "normal")
    for n in parts:
        ax.axhline(n, color=style.INK, lw=1.1)
    ax.grid(False)
    ax.tick_params(axis="y", labelrotation=0, labelsize=7.5, length=0)
    ax.tick_params(axis="x", labelrotation=90, labelsize=7.5, length=0)
