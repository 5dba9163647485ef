"""Lines: series with intervals over an ordered axis, with one look.

A panel shows one cluster, or the mean over clusters. Series differ in shape
and line, clusters in colour, so that a grey print still tells them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib import estimates, published
from flanlib.figures import boxes, style

COLUMNS = "group arm x cluster dataset value low high n seeds source".split()
GREY = "#555555"
EDGE = 0.012  # of the page's width
SMALL = 7.0  # points, for notes


@dataclass(frozen=True, kw_only=True)
class Series:
    """One arm of a table as a line.

    Attributes
    ----------
    arm
        As the table has it.
    name
        As the legend has it.
    fill
        Colour of the marks; empty is the colour of the panel's cluster.
    shift
        Along x, so that the intervals of two series stand side by side.
    labelled
        Whether each mark has its value written above.
    """

    arm: str
    name: str
    marker: str = "o"
    line: str = "-"
    fill: str = ""
    shift: float = 0.0
    labelled: bool = False


# Rows of a table


def row(
    table: pd.DataFrame,
    arm: str,
    x: str,
    cluster: str = estimates.ALL,
    dataset: str = "",
    group: str = "",
):
    """The one row of a value, as a named tuple; None if it is not there."""
    found = table[
        (table["arm"] == arm)
        & (table["x"] == x)
        & (table["cluster"] == cluster)
        & (table["dataset"] == dataset)
        & (table["group"] == group)
    ].dropna(subset=["value"])
    return next(found.itertuples(), None)


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that were measured here."""
    return table[~table["source"].str.startswith("published")]


def clusters_of(table: pd.DataFrame, arm: str, group: str = "") -> list[str]:
    """Clusters of which an arm is measured, in the table's order."""
    mine = measured(table).dropna(subset=["value"])
    mine = mine[(mine["arm"] == arm) & (mine["group"] == group)]
    return [c for c in dict.fromkeys(mine["cluster"]) if c != estimates.ALL]


def panels_of(table: pd.DataFrame, arm: str, group: str = "") -> tuple[str, list[str]]:
    """What the large panel shows, and what the small ones show.

    The mean over clusters and each cluster; a single cluster is large, and
    there are no small ones.
    """
    clusters = clusters_of(table, arm, group)
    if len(clusters) == 1:
        return clusters[0], []
    return estimates.ALL, clusters


def published_rows(points: pd.DataFrame, arms: Mapping[str, str], group: str = "") -> pd.DataFrame:
    """Published points as rows of a table.

    Parameters
    ----------
    points
        From `published.points`.
    arms
        Series of the paper -> arm in the table; other series are left out.
    """
    mine = points[points["series"].isin(list(arms))]
    return pd.DataFrame(
        {
            "group": group,
            "arm": mine["series"].map(dict(arms)),
            "x": mine["x"].astype(str),
            "cluster": mine["cluster"].replace("", estimates.ALL),
            "dataset": "",
            "value": pd.to_numeric(mine["y"]),
            "low": np.nan,
            "high": np.nan,
            "n": np.nan,
            "seeds": 0,
            "source": "published, " + mine["status"],
        },
        columns=COLUMNS,
    )


def together(table: pd.DataFrame, *more: pd.DataFrame) -> pd.DataFrame:
    """A table with further rows behind."""
    parts = [part for part in more if len(part)]
    return pd.concat([table[COLUMNS], *parts], ignore_index=True)


def is_firm(source: str) -> bool:
    """Whether a published value is verified, and so drawn filled."""
    return source.removeprefix("published, ") in published.FIRM


# Drawing


def draw(
    table: pd.DataFrame,
    ax: Axes,
    series: Sequence[Series],
    places: Mapping[str, float],
    cluster: str = estimates.ALL,
    group: str = "",
) -> Axes:
    """One panel: each series of a cluster, with 95 % intervals.

    Parameters
    ----------
    places
        x of the table -> where it stands; what is not in it is not drawn.
    """
    chance = row(table, "chance", "", cluster, group=group)
    if chance is not None:
        ax.axhline(chance.value, color=GREY, ls=":", lw=1.1, zorder=1)
    for one in series:
        fill = one.fill or style.colour(cluster)
        rows = [(x, row(table, one.arm, x, cluster, group=group)) for x in places]
        found = [(places[x] + one.shift, r) for x, r in rows if r is not None]
        ax.plot(
            [x for x, _ in found],
            [r.value for _, r in found],
            color=GREY,
            ls=one.line,
            lw=1.1,
            zorder=2,
        )
        for x, r in found:
            _point(ax, x, r, one.marker, fill)
            if one.labelled:
                above = r.value if np.isnan(r.high) else r.high
                _write(ax, x, above, f"{r.value:.1f}")
    ax.grid(axis="y")
    ax.grid(axis="x", visible=False)
    return ax


def draw_published(
    table: pd.DataFrame,
    ax: Axes,
    series: Sequence[Series],
    places: Mapping[str, float],
    cluster: str = estimates.ALL,
    group: str = "",
) -> Axes:
    """A panel of published values: hollow where they are not verified."""
    for one in series:
        rows = [(x, row(table, one.arm, x, cluster, group=group)) for x in places]
        found = [(places[x] + one.shift, r) for x, r in rows if r is not None]
        ax.plot(
            [x for x, _ in found],
            [r.value for _, r in found],
            color="#9A9A9A",
            ls=one.line,
            lw=1.0,
            zorder=1,
        )
        for x, r in found:
            fill = style.INK if is_firm(r.source) else "white"
            ax.plot(x, r.value, marker=one.marker, ms=5.2, mfc=fill, mec=style.INK, mew=1.1, ls="")
            if one.labelled:
                _write(ax, x, r.value, f"{r.value:.1f}")
    if not any(len(line.get_xdata()) for line in ax.lines):
        ax.text(
            0.5, 0.5, "not found", transform=ax.transAxes, ha="center", va="center",
            size=SMALL, color=style.QUIET,
        )  # fmt: skip
    ax.grid(axis="y")
    ax.grid(axis="x", visible=False)
    return ax


def ticks(ax: Axes, places: Mapping[str, float], names: Mapping[str, str], turned: bool) -> None:
    """Name the places of an axis; turned names stand upright."""
    ax.set_xticks(list(places.values()), [names.get(x, x) for x in places])
    if turned:
        ax.tick_params(axis="x", rotation=90)
    room = 0.5 if len(places) < 2 else 0.06 * (max(places.values()) - min(places.values())) + 0.15
    ax.set_xlim(min(places.values()) - room, max(places.values()) + room)


def sheet(
    heading: str, handles: Sequence[Line2D], notes: Sequence[str], inches: float
) -> tuple[Figure, float, float]:
    """A page with heading and legend above and notes below.

    Parameters
    ----------
    inches
        Height kept for the panels and what is written at their axes.

    Returns
    -------
    The figure, and where the panels' space begins and ends (fractions of
    the height, top first).
    """
    lines = [x for text in notes for x in boxes.wrap(text, style.WIDTH - 0.2, SMALL)]
    above, below = 0.52, 0.22 + boxes.height_of(len(lines), SMALL)
    height = above + inches + below
    fig = Figure(figsize=(style.WIDTH, height))
    fig.text(EDGE, 1 - 0.07 / height, heading, va="top", size=9, weight="bold")
    fig.text(EDGE, 0.17 / height, "\n".join(lines), va="bottom", size=SMALL)
    fig.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.01, 1 - 0.22 / height),
        ncol=6,
        columnspacing=1.4,
        handlelength=2.2,
        handletextpad=0.5,
    )
    return fig, 1 - above / height, below / height


def legend(series: Sequence[Series], chance: bool = True) -> list[Line2D]:
    """One handle per series, and the line of chance."""
    found = [Line2D([], [], color=GREY, ls=":", lw=1.1, label="chance")] if chance else []
    return found + [
        Line2D(
            [],
            [],
            color=GREY,
            ls=one.line,
            lw=1.1,
            marker=one.marker,
            ms=5.2,
            mfc=one.fill or "#888888",
            mec=style.INK,
            mew=0.8,
            label=one.name,
        )
        for one in series
    ]


def title(table: pd.DataFrame, cluster: str, arm: str, group: str = "", mean: str = "") -> str:
    """A panel's title: the cluster, or what the mean is called, and n."""
    mine = measured(table)
    mine = mine[
        (mine["arm"] == arm)
        & (mine["cluster"] == cluster)
        & (mine["dataset"] == "")
        & (mine["group"] == group)
    ]
    name = mean if cluster == estimates.ALL and mean else style.title(cluster, short=True)
    return f"{name}, n = {int(mine['n'].max())}" if len(mine) else name


# Words


def spelled(found, signed: bool = False) -> str:
    """A value with its interval, as text; signed for a difference."""
    form = "+.1f" if signed else ".1f"
    if np.isnan(found.low):
        return format(found.value, form)
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def verdict(difference) -> str:
    """What the interval of a difference says: `higher`, `lower`, `undecided`."""
    if difference.low > 0:
        return "higher"
    return "lower" if difference.high < 0 else "undecided"


def note_on_seeds(table: pd.DataFrame) -> str:
    """What a mark and its interval are, with the number of tuning seeds."""
    seeds = {int(s) for s in measured(table)["seeds"] if s > 0}
    span = "–".join(str(n) for n in sorted({min(seeds, default=0), max(seeds, default=0)}))
    return (
        "Mean over datasets and templates; bars: 95 % interval over examples and"
        f" {span} tuning seed{'' if seeds == {1} else 's'}; n: examples."
    )


def note_on_published(table: pd.DataFrame) -> str:
    """How many published values there are, and how firm; empty without any."""
    mine = table[table["source"].str.startswith("published")].dropna(subset=["value"])
    if mine.empty:
        return ""
    kinds = mine["source"].str.removeprefix("published, ").value_counts()
    hollow = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if kind not in published.FIRM)
    firm = int(sum(n for kind, n in kinds.items() if kind in published.FIRM))
    counted = f"{firm} of {len(mine)} values verified" + (f"; hollow: {hollow}" if hollow else "")
    return f"Published: Wei et al., other data and models than here; {counted}."


def _point(ax: Axes, x: float, r, marker: str, fill: str) -> None:
    if not np.isnan(r.low):
        ax.plot([x, x], [r.low, r.high], color=style.INK, lw=1.1, solid_capstyle="butt", zorder=3)
    ax.plot(x, r.value, marker=marker, ms=5.2, mfc=fill, mec=style.INK, mew=0.8, ls="", zorder=4)


def _write(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(
        text, (x, y), xytext=(0, 4), textcoords="offset points", ha="center", size=SMALL, zorder=5
    )
