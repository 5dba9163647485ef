"""Figure 6: held-out score against the number of tuning clusters.

The same clusters are held out all along; tuning clusters are added one by
one, in the paper's order and in orders drawn by the seed. Published values
have a panel and a scale of their own: other models, other data.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import published
from flanlib.figures import boxes, lines, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import Series, spelled
from flanlib.studies import estimates
from flanlib.studies.axes import Axis

STEM = "fig6_clusters"
PAPER, SHUFFLED, BASE = "paper's order", "shuffled order", "base"
ADDED, DRAWN = "cluster added", "clusters drawn, by seed"
FLAN, FLAN_ADDED = "published FLAN 137B", "published, cluster added"
SERIES = (
    Series(arm=BASE, name="base, not tuned", marker="o", fill="#333333"),
    Series(arm=PAPER, name="tuned, paper's order", marker="D", written=".1f"),
    Series(arm=SHUFFLED, name="tuned, orders drawn by the seed", marker="s", line="--",
           fill="white", shift=0.16),
)  # fmt: skip
HELD_OUT = "held-out average (NLI; closed-book QA; commonsense)"


def collect(axis: Axis) -> pd.DataFrame:
    """What is on record, the order, and the published values."""
    return with_published(with_order(axis.load(), axis))


def with_order(table: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Add which clusters each step was tuned on.

    One row a step of the paper's order, with the cluster added; one a step
    and seed of the drawn orders, with all its clusters. `n` counts datasets.
    """
    every = axis.tuning_clusters
    tuning = [
        t for t in axis.catalogue.held_out(axis.held_out).tuning if t.key not in axis.left_out
    ]
    known = {c: {t.dataset for t in tuning if t.cluster == c} for c in every}
    rows = [
        _row(ADDED, x, cluster, n=len(set().union(*(known[c] for c in every[:x]))))
        for x, cluster in enumerate(every, 1)
    ]
    for seed in axis.seeds:
        for point in axis.points(seed):
            if point.arm == SHUFFLED:
                drawn = point.cells[0][0].clusters or every
                n = len(set().union(*(known[c] for c in drawn)))
                rows.append(_row(DRAWN, point.x, "+".join(drawn), n) | {"seeds": seed})
    return lines.together(table, pd.DataFrame(rows))


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the published means and the clusters the paper added."""
    points = published.points("fig6")
    means = lines.published_rows(points, {HELD_OUT: FLAN})
    sizes = points[points["series"] == "number of datasets"].set_index("x")["y"].astype(int)
    added = points[points["series"] == ADDED]
    rows = [
        _row(FLAN_ADDED, p.x, p.y, n=sizes[p.x], source=f"published, {p.status}")
        for p in added.itertuples()
    ]
    return lines.together(table, means.assign(n=means["x"].map(sizes)), pd.DataFrame(rows))


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: mean and published above, clusters below."""
    large, small = lines.panels_of(table, PAPER)
    n_rows = -(-len(small) // 4)
    with style.look():
        fig, top = lines.sheet(
            heading(table), lines.legend(SERIES), notes(table), 3.4 + 1.85 * n_rows
        )
        left, right = (0.5, 4.35), (4.95, style.WIDTH - 0.1)
        (main,) = lines.panels(fig, top + 0.2, 1.75, [left])
        draw_measured(table, main, large, named=True)
        (beside,) = lines.panels(fig, top + 0.2, 1.75, [right])
        draw_published(table, beside)
        for n in range(n_rows):
            some = small[4 * n : 4 * n + 4]
            spans = lines.columns(max(len(some), min(len(small), 4)))[: len(some)]
            row = lines.panels(fig, top + 3.67 + 1.85 * n, 1.25, spans, alike=True)
            for ax, cluster in zip(row, some, strict=True):
                draw_measured(table, ax, cluster)
                if ax is not row[0]:
                    ax.set_ylabel("")
                    ax.tick_params(labelleft=False)
    return fig


def draw_measured(table: pd.DataFrame, ax: Axes, cluster: str, named: bool = False) -> Axes:
    """Figure 6, one panel: score of a cluster against tuning clusters.

    Parameters
    ----------
    named
        Whether there is room for the names of the clusters added, and for values.
    """
    places = {x: float(x) for x in ["0", *steps(table)]}
    base = lines.row(table, BASE, "0", cluster)
    if base is not None:
        ax.axhline(base.value, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(table, ax, SERIES, places, cluster, labelled=named)
    names = {x: _tick(style.title(c, short=True), n) for x, c, n in _added(table, ADDED)}
    lines.ticks(ax, places, {"0": "none: base", **names} if named else {}, upright=named)
    name = lines.title(table, cluster, PAPER)
    ax.set(
        title=f"Measured here: {name}" if named else name,
        xlabel="cluster added, datasets in all" if named else "number of tuning clusters",
        ylabel="score, percent",
    )
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6, upper right: the paper's means, on their own scale."""
    found = _added(table, FLAN_ADDED)
    places = {x: float(x) for x, _, _ in found}
    one = Series(arm=FLAN, name=FLAN, marker="D", written=".1f")
    lines.draw_published(table, ax, [one], places)
    if places:
        lines.ticks(ax, places, {x: _tick(name, n) for x, name, n in found}, upright=True)
    ax.set(
        title="Published: FLAN 137B, mean",
        xlabel="cluster added, datasets in all",
        ylabel="score, percent",
    )
    return ax


def steps(table: pd.DataFrame) -> list[str]:
    """Numbers of tuning clusters in the paper's order, as the table has them."""
    return sorted(set(table.loc[table["arm"] == PAPER, "x"]), key=int)


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Held-out score against tuning clusters, from none to {steps(table)[-1]}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    return [
        lines.note_on_seeds(table),
        "Each seed draws an order of its own. Numbers in the panel: paper's order. "
        + lines.note_on_published(table),
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    large, small = lines.panels_of(table, PAPER)
    parts = [f"{heading(table)}."]
    for cluster in (large, *small):
        name = "Mean over clusters" if cluster == estimates.ALL else style.title(cluster)
        found = [
            f"{arm} {', '.join(told)}"
            for arm in (BASE, PAPER, SHUFFLED)
            if (told := [f"{x}: {r.value:.1f}" for x, r in _points(table, arm, cluster)])
        ]
        parts.append(f"{name}, percent by number of tuning clusters: {'; '.join(found)}.")
    if old := _points(table, FLAN):
        told = ", ".join(f"{x}: {r.value:.1f}" for x, r in old)
        parts.append(f"Published FLAN 137B, mean: {told}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per number of clusters: means with intervals, gain over base."""
    large, _ = lines.panels_of(table, PAPER)
    added = {x: style.title(cluster) for x, cluster, _ in _added(table, ADDED)}
    rows = []
    for x in ["0", *steps(table)]:
        own = {arm: lines.row(table, arm, x, large) for arm in (PAPER, SHUFFLED)}
        own[PAPER] = own[PAPER] or lines.row(table, BASE, x, large)
        gain = lines.row(table, f"{PAPER} - {BASE}", x, large)
        old = lines.row(table, FLAN, x)
        rows.append(
            {
                "tuning clusters": int(x),
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
    mine, base = _points(table, PAPER, large), lines.row(table, BASE, "0", large)
    (first, one), (last, every) = mine[0], mine[-1]
    added = {x: style.title(cluster, short=True) for x, cluster, _ in _added(table, ADDED)}
    told = [
        f"- **Effect.** Base {spelled(base)} percent. Tuned on {_clusters(first)}"
        f"{f' ({added[first]})' if first in added else ''}: {spelled(one)}, on {_clusters(last)}:"
        f" {spelled(every)}.",
        *(_gains(table, x, large) for x in dict.fromkeys((first, last))),
        f"- **Steps.** {_rises(mine)}.",
    ]
    if (late := lines.row(table, f"{PAPER}, {last} - {first}", last, large)) is not None:
        told.append(
            f"- **All clusters against the first one:** {spelled(late, signed=True)} points:"
            f" {lines.verdict(late)}."
        )
    if drawn := [(x, r) for x, r in _points(table, SHUFFLED, large) if x != last]:
        beside = "; ".join(
            f"{_clusters(x)} {r.value:.1f} against {own.value:.1f}"
            for x, r in drawn
            if (own := lines.row(table, PAPER, x, large)) is not None
        )
        told.append(f"- **Order.** Drawn orders against the paper's order: {beside} percent.")
        told.append(f"    - {_drawn(table, [x for x, _ in drawn])}.")
    if small:
        each = [(c, lines.row(table, f"{PAPER} - {BASE}", last, c)) for c in small]
        gains = "; ".join(f"{style.title(c)} {spelled(r, signed=True)}" for c, r in each if r)
        told.append(f"- **By cluster**, gain over base with {_clusters(last)}: {gains}.")
        told.append(f"    - {_largest(table, small, added)}.")
    if old := _points(table, FLAN):
        here, there = every.value - one.value, old[-1][1].value - old[0][1].value
        told.append(
            f"- **Beside the paper.** There the mean goes from {old[0][1].value:.1f} to"
            f" {old[-1][1].value:.1f} ({there:+.1f}), here from {one.value:.1f} to"
            f" {every.value:.1f} ({here:+.1f}): the direction is"
            f" {'the same' if (here > 0) == (there > 0) else 'not the same'} from first to last."
            f" Published: {_rises(old)}."
        )
    told.append(
        "- **Limits.** In one order, the number of clusters and which they are cannot be told"
        f" apart; the drawn orders are as many as seeds ({int(every.seeds)}), too few to stand for"
        " all. Steps have no interval of their own; the intervals shown are of each score."
    )
    return Reading("\n".join(told))


def _row(arm: str, x: object, cluster: str, n: int, source: str = "catalogue") -> dict:
    values = ("", arm, str(x), cluster, "", np.nan, np.nan, np.nan, n, 0, source)
    return dict(zip(lines.COLUMNS, values, strict=True))


def _added(table: pd.DataFrame, arm: str) -> list[tuple[str, str, int]]:
    """Steps of an order: x, cluster, datasets up to it."""
    mine = table[table["arm"] == arm]
    return [(r.x, r.cluster, int(r.n)) for r in mine.itertuples()]


def _tick(name: str, n: int) -> str:
    return "\n".join(boxes.wrap(f"{name}, {n}", 1.25, 7.5))


def _points(table: pd.DataFrame, arm: str, cluster: str = estimates.ALL) -> list[tuple]:
    """(x, row) of an arm, by x."""
    xs = sorted({x for x in table.loc[table["arm"] == arm, "x"] if x}, key=int)
    return [(x, r) for x in xs if (r := lines.row(table, arm, x, cluster)) is not None]


def _gains(table: pd.DataFrame, x: str, cluster: str) -> str:
    gain = lines.row(table, f"{PAPER} - {BASE}", x, cluster)
    if gain is None:
        return f"- Gain over base with {_clusters(x)}: not recorded."
    word = lines.verdict(gain)
    return f"- **Gain over base** with {_clusters(x)}: {spelled(gain, signed=True)} points: {word}."


def _rises(found: list[tuple]) -> str:
    """How many steps go up, which is the largest, and where the highest mean is."""
    moves = [(b.value - a.value, x) for (_, a), (x, b) in pairwise(found)]
    if not moves:
        return "one number of clusters, no steps"
    up, (most, to) = sum(move > 0 for move, _ in moves), max(moves)
    top, at = max((r.value, x) for x, r in found)
    return (
        f"{up} of {len(moves)} steps go up; the largest, {most:+.1f}, is the one to {to};"
        f" the highest mean, {top:.1f}, is with {_clusters(at)}"
    )


def _drawn(table: pd.DataFrame, xs: list[str]) -> str:
    """Which clusters the drawn orders held, and in how many seeds."""
    mine = table[(table["arm"] == DRAWN) & table["x"].isin(xs)]
    told = []
    for x, part in mine.groupby("x", sort=False):
        for clusters, seeds in part.groupby("cluster", sort=False)["seeds"]:
            names = ", ".join(style.title(c, short=True) for c in clusters.split("+"))
            told.append(f"{x}: {names} (seed {', '.join(str(s) for s in seeds)})")
    return f"Drawn were {'; '.join(told)}" if told else "Which clusters were drawn is not recorded"


def _largest(table: pd.DataFrame, clusters: list[str], added: dict[str, str]) -> str:
    """Per held-out cluster the largest step, and the cluster added with it."""
    told = []
    for cluster in clusters:
        moves = [
            (b.value - a.value, x) for (_, a), (x, b) in pairwise(_points(table, PAPER, cluster))
        ]
        if moves:
            most, x = max(moves)
            told.append(f"{style.title(cluster)} {most:+.1f} with {added.get(x, x)}")
    return f"Largest step in the paper's order: {'; '.join(told) or 'none'}"


def _clusters(x: str) -> str:
    return f"{x} cluster{'' if x == '1' else 's'}"
