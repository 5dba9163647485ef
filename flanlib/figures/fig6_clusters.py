"""Figure 6: held-out score against the number of tuning clusters.

Groups of clusters are held out in turn, the paper's group first. Tuning
clusters are added one by one, in the paper's order and in random orders, one
per seed. Each group leaves other clusters to tune on, so the mean over groups
is taken at the steps that all of them have. Published values have a panel and
a scale of their own, since models and data differ.
"""

from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, lines, marks, orders, sheets, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import spelled
from flanlib.figures.marks import Series
from flanlib.figures.orders import BASE, FLAN, PAPER, SHUFFLED
from flanlib.results import effects
from flanlib.studies.axes import Axis

STEM = "fig6_clusters"
SERIES = (
    Series(arm=BASE, name="base, not tuned", marker="o", fill="#333333"),
    Series(arm=PAPER, name="tuned, paper's order", marker="D", written=".1f"),
    Series(
        arm=SHUFFLED, name="tuned, random orders", marker="s", line="--", fill="white", shift=0.16
    ),
)
PANEL, ROW = 1.1, 2.15  # inches of a cluster's panel, and of a row of them with its words


def collect(axis: Axis) -> pd.DataFrame:
    """What is on record, the order, and the published values."""
    return orders.with_published(orders.with_order(axis.load(), axis))


def draw(table: pd.DataFrame) -> Figure:
    """The first sheet: means and published values, and the gain of each held-out cluster."""
    first, *others = orders.groups(table)
    large, _ = lines.panels_of(table, PAPER, first)
    spans = [(0.5, 4.35), (4.95, style.WIDTH - 0.1)]
    if others:
        spans = [(0.5, 2.05), (2.55, 4.75), (5.2, style.WIDTH - 0.1)]
    held_out = orders.held_out_clusters(table)
    tall = 0.2 * len(held_out) if len(held_out) > 1 else 0.0
    with style.look():
        fig, top = sheets.sheet(
            heading(table), lines.legend(SERIES), notes(table), 3.5 + (tall and tall + 1.75)
        )
        *means, beside = (boxes.panels(fig, top + 0.35, 1.6, [span])[0] for span in spans)
        draw_measured(table, means[-1], large, first, named=True)
        draw_published(table, beside)
        if others:
            draw_mean(table, means[0])
            name = lines.title(table, large, PAPER, first)
            name = name.replace("clusters", "the paper's group")
            means[-1].set_title(f"Measured here:\n{name}")
            means[-1].set_ylabel("")
        if tall:
            (ax,) = boxes.panels(fig, top + 3.85, tall, [(2.0, style.WIDTH - 0.1)])
            draw_gains(table, ax)
    return fig


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6, bottom: gain over the base by held-out cluster and cluster added, a heatmap."""
    rows, steps = orders.held_out_clusters(table), orders.added_in_order(table)
    found = {
        (n, step): _gain(table, x, cluster, group)
        for n, (group, cluster) in enumerate(rows)
        for x, step, _ in orders.added(table, PAPER, group)
    }
    cells = [[found.get((n, step)) for step in steps] for n, _ in enumerate(rows)]
    names = [lines.title(table, cluster, PAPER, group) for group, cluster in rows]
    parts = [n for n, (one, other) in enumerate(pairwise(rows), 1) if one[0] != other[0]]
    added = [style.title(step, short=True).replace(" + ", " +\n") for step in steps]
    marks.heatmap(ax, cells, names, added, parts)
    ax.set(xlabel="cluster added to tuning, left to right (blank: held out)", ylabel="")
    ax.set_title("Gain over the base by held-out cluster, points")
    return ax


def draw_clusters(table: pd.DataFrame) -> Figure:
    """The second sheet: a panel for each held-out cluster, in rows held out together."""
    every = orders.groups(table)
    rows = [
        (f"Held out: {orders.names_of(group)}", lines.clusters_of(table, PAPER, group))
        for group in every
    ]

    def draw_one(ax: Axes, n: int, cluster: str) -> None:
        draw_measured(table, ax, cluster, every[n])

    words = f"{heading(table)}, by cluster"
    with style.look():
        legend = lines.legend(SERIES)
        return sheets.multiples(words, legend, notes(table)[:1], rows, PANEL, ROW, draw_one)


def draw_mean(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6, upper left: mean over all clusters, at the steps that all groups have."""
    large, _ = lines.panels_of(table, PAPER)
    places = {x: float(n) for n, x in enumerate(["0", *orders.steps(table)])}
    _draw_series(table, ax, places, large, labelled=True)
    lines.ticks(ax, places, {"0": "none"})
    ax.set(
        title=f"Measured here:\n{lines.title(table, large, PAPER)}",
        xlabel="tuning clusters",
        ylabel="score, percent",
    )
    return ax


def draw_measured(
    table: pd.DataFrame, ax: Axes, cluster: str, group: str, named: bool = False
) -> Axes:
    """Figure 6, one panel: score of a cluster against tuning clusters.

    Where it is `named` there is room for the names of the clusters added, and for values.
    """
    places = {x: float(x) for x in ["0", *orders.steps(table, group)]}
    _draw_series(table, ax, places, cluster, group, labelled=named)
    names = {
        x: _tick(style.title(c, short=True), n) for x, c, n in orders.added(table, PAPER, group)
    }
    lines.ticks(ax, places, {"0": "none: base", **names} if named else {}, upright=named)
    name = lines.title(table, cluster, PAPER, group)
    ax.set(
        title=f"Measured here:\n{name}" if named else name,
        xlabel="cluster added, number of datasets" if named else "number of tuning clusters",
        ylabel="score, percent",
    )
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6, upper right: the paper's means, on their own scale."""
    found = orders.added(table, FLAN)
    places = {x: float(x) for x, _, _ in found}
    one = Series(arm=FLAN, name=FLAN, marker="D", written=".1f")
    lines.draw_published(table, ax, [one], places)
    if places:
        lines.ticks(ax, places, {x: _tick(name, n) for x, name, n in found}, upright=True)
    ax.set(
        title="Published:\nFLAN 137B, mean",
        xlabel="cluster added, number of datasets",
        ylabel="score, percent",
    )
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    most = max((orders.steps(table, group)[-1] for group in orders.groups(table)), key=int)
    return f"Held-out score against tuning clusters, from none to {most}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    return [
        lines.note_on_seeds(table),
        "Random orders: one per seed. Numbers in the panels: paper's order. Half, all: of the"
        " clusters that are not held out. Gains: paper's order; bold: 95 % interval without 0;"
        " lines between rows: groups held out together. " + lines.note_on_published(table),
    ]


def describe(table: pd.DataFrame) -> str:
    """The first sheet in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for group in ("", *orders.groups(table)):
        parts += _told(table, lines.panels_of(table, PAPER, group)[0], group)
    if len(held_out := orders.held_out_clusters(table)) > 1:
        each = []
        for group, cluster in held_out:
            gains = orders.points(table, PAPER, cluster, group, BASE)
            told = ", ".join(f"{x}: {r.value:+.1f}" for x, r in gains)
            each.append(f"{style.title(cluster)} {told}")
        parts.append(f"Gain over base, points by number of tuning clusters: {'; '.join(each)}.")
    if old := orders.points(table, FLAN):
        parts.append(f"Published FLAN 137B, mean: {_listed(old)}.")
    return " ".join(parts)


def describe_clusters(table: pd.DataFrame) -> str:
    """The second sheet in words; empty where a single cluster was held out."""
    held_out = orders.held_out_clusters(table)
    if len(held_out) < 2:
        return ""
    told = [text for group, cluster in held_out for text in _told(table, cluster, group)]
    return " ".join([f"{heading(table)}, by cluster.", *told])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per group and number of clusters: means with intervals, gain over base."""
    rows = []
    every = orders.groups(table)
    for group in ("", *every) if len(every) > 1 else every:
        large, _ = lines.panels_of(table, PAPER, group)
        added = {x: style.title(cluster) for x, cluster, _ in orders.added(table, PAPER, group)}
        for x in ["0", *orders.steps(table, group)]:
            about = {"cluster": large, "group": group}
            own = {
                PAPER: effects.pick(table, BASE if x == "0" else PAPER, x, **about),
                SHUFFLED: effects.pick(table, SHUFFLED, x, **about, optional=True),
            }
            gain = None if x == "0" else _gain(table, x, large, group)
            old = None
            if group == every[0]:
                old = effects.pick(table, FLAN, x, optional=True)
            rows.append(
                {
                    "held out": orders.names_of(group),
                    "tuning clusters": x,
                    "added": added.get(x, "none: base" if x == "0" else ""),
                    **{arm: spelled(found) if found else "" for arm, found in own.items()},
                    "gain over base": spelled(gain, signed=True) if gain else "",
                    "published": f"{old.value:.1f}" if old else "",
                }
            )
    return pd.DataFrame(rows)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    large, small = lines.panels_of(table, PAPER)
    base, mine = effects.pick(table, BASE, "0", large), orders.points(table, PAPER, large)
    (first, _), (last, every) = mine[0], mine[-1]
    tuned = ", on ".join(f"{orders.number(x)}: {spelled(r)}" for x, r in mine)
    told = [
        f"- **Effect.** Base {spelled(base)} percent. Tuned on {tuned}.",
        *(
            f"- **Gain over base** with {orders.number(x)}: {spelled(gain, signed=True)} points:"
            f" {lines.verdict(gain)}."
            for x in dict.fromkeys((first, last))
            for gain in (_gain(table, x, large),)
        ),
        *_later(table, large),
    ]
    if drawn := [(x, r) for x, r in orders.points(table, SHUFFLED, large) if x != last]:
        beside = "; ".join(
            f"{orders.number(x)} {r.value:.1f} against {own.value:.1f}"
            for x, r in drawn
            for own in (effects.pick(table, PAPER, x, large),)
        )
        told.append(
            f"- **Order.** Drawn orders against the paper's order: {beside} percent."
            f" Which clusters were drawn stands in the CSV, as `{orders.DRAWN}`."
        )
    told.append("- **Steps in the paper's order.**")
    for group in orders.groups(table):
        whole, _ = lines.panels_of(table, PAPER, group)
        steps = orders.rises(orders.points(table, PAPER, whole, group))
        told.append(f"    - {orders.names_of(group)} held out: {steps}.")
    if small:
        each = [(c, _gain(table, last, c)) for c in small]
        gains = "; ".join(f"{style.title(c)} {spelled(r, signed=True)}" for c, r in each)
        told.append(f"- **By cluster**, gain over base with {orders.number(last)}: {gains}.")
        told.append(f"    - {orders.largest(table)}.")
    if old := orders.points(table, FLAN):
        told.append(_beside(table, old))
    told.append(
        "- **Limits.** In one order, the number of clusters and which they are cannot be told"
        f" apart; the drawn orders are as many as seeds ({int(every.seeds)}) for each"
        " group, too few to stand for all. Steps have no interval of their own; the"
        " intervals shown are of each score."
    )
    return Reading("\n".join(told))


def _draw_series(table, ax: Axes, places, cluster: str, group: str = "", *, labelled: bool) -> None:
    """The three series, and a line across at the base."""
    base = effects.pick(table, BASE, "0", cluster, group=group)
    ax.axhline(base.value, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(table, ax, SERIES, places, cluster, group, labelled=labelled)


def _told(table: pd.DataFrame, cluster: str, group: str) -> list[str]:
    """Scores of a cluster in words, by number of tuning clusters."""
    arms = {one.arm: orders.points(table, one.arm, cluster, group) for one in SERIES}
    found = "; ".join(f"{arm} {_listed(mine)}" for arm, mine in arms.items() if mine)
    return [f"{_whose(cluster, group)}, percent by number of tuning clusters: {found}."]


def _tick(name: str, n: int) -> str:
    return "\n".join(boxes.wrap(f"{name}, {n}", 1.25, 7.5))


def _gain(table: pd.DataFrame, x: str, cluster: str, group: str = ""):
    return effects.pick(table, PAPER, x, cluster, group=group, against=BASE)


def _later(table: pd.DataFrame, cluster: str) -> list[str]:
    """All clusters against one, and against half of them, in either order."""
    last = orders.steps(table)[-1]
    told = []
    for arm in (PAPER, SHUFFLED):
        words = []
        for x in ("1", "half"):  # of two clusters, half is one
            of = {"against": arm, "against_x": x, "optional": x == "half"}
            if (r := effects.pick(table, arm, last, cluster, **of)) is not None:
                gain = f"{spelled(r, signed=True)} points: {lines.verdict(r)}"
                words.append(f"against {orders.number(x)} {gain}")
        told.append(f"- **More clusters**, {arm}: all {'; '.join(words)}.")
    return told


def _beside(table: pd.DataFrame, old: list[tuple]) -> str:
    """The course of the first group's mean, and of the published one."""
    group = orders.groups(table)[0]
    large, _ = lines.panels_of(table, PAPER, group)
    mine = orders.points(table, PAPER, large, group)
    one, every = mine[0][1], mine[-1][1]
    here, there = every.value - one.value, old[-1][1].value - old[0][1].value
    return (
        f"- **Beside the paper.** There the mean goes from {old[0][1].value:.1f} to"
        f" {old[-1][1].value:.1f} ({there:+.1f}), here, with {orders.names_of(group)} held out, from"
        f" {one.value:.1f} to {every.value:.1f} ({here:+.1f}): the direction is"
        f" {'the same' if (here > 0) == (there > 0) else 'not the same'} from first to last."
        f" Published: {orders.rises(old)}."
    )


def _whose(cluster: str, group: str) -> str:
    if cluster != effects.ALL:
        return style.title(cluster)
    return f"Mean over {orders.names_of(group)}" if group else "Mean over clusters"


def _listed(found: list[tuple]) -> str:
    return ", ".join(f"{x}: {r.value:.1f}" for x, r in found)


SHEETS = {"clusters": (draw_clusters, describe_clusters)}
