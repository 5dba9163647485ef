"""Pages of panels: heading and legend above, notes below, and rows of small panels."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib.figures import boxes, lines, style

EDGE = 0.012  # of the page's width
WORDS = 0.6  # inches above a row of small panels


def sheet(
    heading: str, handles: Sequence[Line2D], notes: Sequence[str], inches: float
) -> tuple[Figure, float]:
    """A page with heading and legend above, notes below, and room between.

    Parameters
    ----------
    inches
        Height of the room for panels and what is written at them.

    Returns
    -------
    The figure, and how far below its upper edge the room begins, in inches.
    """
    words = boxes.paragraphs(notes, lines.SMALL)
    n_columns = 6 if len(handles) < 7 else 4
    above = 0.5 + 0.17 * (max(len(handles) - 1, 0) // n_columns)
    below = 0.26 + boxes.height_of(len(words), lines.SMALL)
    height = above + inches + below
    fig = Figure(figsize=(style.WIDTH, height))
    fig.text(EDGE, 1 - 0.07 / height, heading, va="top", size=9, weight="bold")
    fig.text(EDGE, 0.17 / height, "\n".join(words), va="bottom", size=lines.SMALL)
    gap = 1.0 if len(handles) == n_columns else 1.4  # six stand close
    spacing = {"columnspacing": gap, "handlelength": 2.4, "handletextpad": 0.5}
    corner = {"loc": "upper left", "bbox_to_anchor": (0.0, 1 - 0.2 / height)}
    fig.legend(handles=handles, ncol=n_columns, **corner, **spacing)
    return fig, above


def multiples(
    words: str,
    handles: Sequence[Line2D],
    notes: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    height: float,
    step: float,
    draw: Callable[[Axes, int, str], object],
) -> Figure:
    """A page of small panels, a cluster each, with one scale of y in a row; see `sheet`.

    Parameters
    ----------
    words
        Heading of the page.
    rows
        Words above the left end of a row, and its clusters.
    height, step
        Of a panel, and from one row to the next, in inches.
    draw
        Draws a panel, given the row's number and the cluster, and titles it.
    """
    fig, top = sheet(words, handles, notes, WORDS + step * (len(rows) - 1) + height + 0.5)
    for n, (name, clusters) in enumerate(rows):
        at, crowded = top + WORDS + n * step, len(clusters) > 3
        fig.text(EDGE, 1 - (at - (0.5 if crowded else 0.34)) / fig.get_figheight(), name, size=8)
        spans = boxes.columns(max(3, len(clusters)))[: len(clusters)]
        for i, ax in enumerate(boxes.panels(fig, at, height, spans, alike=True)):
            draw(ax, n, clusters[i])
            if crowded:
                boxes.narrow(ax, ax.get_title("left"))
            if i:
                style.inner(ax)
    return fig


def of_groups(
    table: pd.DataFrame, arm: str, groups: Mapping[str, str]
) -> tuple[list[str], list[tuple[str, Sequence[str]]]]:
    """Rows for `multiples` of clusters by group, and the group of each row.

    Parameters
    ----------
    groups
        Group -> words above its first row.
    """
    of, rows = [], []
    for group, words in groups.items():
        for n, some in enumerate(style.in_rows(lines.panels_of(table, arm, group)[1])):
            of.append(group)
            rows.append(("" if n else words, some))
    return of, rows
