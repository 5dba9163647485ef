"""Orders in which clusters are added to tuning: rows and steps of Figure 6's table.

Groups held out leave different clusters to tune on. The table has the steps
of each group under its name, and under `""` those that all groups have, put
together: 1, 2, half and all.
"""

from collections.abc import Iterable
from itertools import pairwise

import pandas as pd

from flanlib.figures import lines, style
from flanlib.results import effects, published
from flanlib.results.effects import ALL, Estimand
from flanlib.studies.axes import Axis

BASE, PAPER, SHUFFLED = "base", "paper's order", "shuffled order"
ADDED, DRAWN = "cluster added", "clusters drawn, by seed"  # statistics
FLAN = "published FLAN 137B"
HELD_OUT = "held-out average (NLI; closed-book QA; commonsense)"


def with_order(table: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Add which clusters each step was tuned on.

    For each group held out one row a step of the paper's order, with the
    cluster added; one a step and seed of the drawn orders, with all its
    clusters. `n` counts datasets.
    """
    rows, points = [], [(seed, point) for seed in axis.seeds for point in axis.points(seed)]
    for part in axis.each_group:
        every, split = part.tuning_clusters, part.catalogue.held_out(part.held_out)
        tuning = [task for task in split.tuning if task.key not in part.left_out]
        known = {c: {t.dataset for t in tuning if t.cluster == c} for c in every}
        rows += [
            _row(part.held_out, ADDED, PAPER, x, cluster, _n_datasets(known, every[:x]))
            for x, cluster in enumerate(every, 1)
        ]
        for seed, point in points:
            if (point.group, point.arm) == (part.held_out, SHUFFLED):
                drawn = point.cells[0][0].clusters or every
                n = _n_datasets(known, drawn)
                row = _row(part.held_out, DRAWN, SHUFFLED, point.x, "+".join(drawn), n)
                rows.append(row | {"seeds": seed})
    return lines.together(table, pd.DataFrame(rows))


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the published means and the clusters the paper added."""
    found = published.points("fig6")
    means = lines.published_rows(found, {HELD_OUT: Estimand(FLAN)})
    sizes = found[found["series"] == "number of datasets"].set_index("x")["y"].astype(int)
    steps = found[found["series"] == ADDED]
    rows = [
        _row("", ADDED, FLAN, p.x, p.y, sizes[p.x], source=f"published, {p.status}")
        for p in steps.itertuples()
    ]
    return lines.together(table, means.assign(n=means["x"].map(sizes)), pd.DataFrame(rows))


def groups(table: pd.DataFrame) -> list[str]:
    """What was held out together, group after group, as the table has it."""
    return [group for group in dict.fromkeys(effects.series(table, PAPER)["group"]) if group]


def steps(table: pd.DataFrame, group: str = "") -> list[str]:
    """Numbers of tuning clusters in the paper's order, as the table has them."""
    return sorted(set(effects.series(table, PAPER, group)["x"]), key=_rank)


def added(table: pd.DataFrame, arm: str, group: str = "") -> list[tuple[str, str, int]]:
    """Steps of an arm's order: x, cluster added, datasets up to it."""
    mine = effects.series(table, arm, group, statistic=ADDED)
    return [(r.x, r.cluster, int(r.n)) for r in mine.itertuples()]


def points(
    table: pd.DataFrame, arm: str, cluster: str = ALL, group: str = "", against: str = ""
) -> list:
    """(x, row) of an arm, or of its difference from another, by x."""
    found = lines.points(table, arm, cluster, group, against)
    return sorted(found, key=lambda point: _rank(point[0]))


def held_out_clusters(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Each group with each of its clusters."""
    return [(g, c) for g in groups(table) for c in lines.clusters_of(table, PAPER, g)]


def added_in_order(table: pd.DataFrame) -> list[str]:
    """Clusters added, in one order that all groups follow."""
    found: list[str] = []
    for group in groups(table):
        at = 0
        for _, cluster, _ in added(table, PAPER, group):
            if cluster not in found:
                found.insert(at, cluster)
            at = found.index(cluster) + 1
    return found


def rises(found: list[tuple]) -> str:
    """How many steps go up, which is the largest, and where the highest mean is."""
    if not (moves := _moves(found)):
        return "one number of clusters, no steps"
    up, (most, to) = sum(move > 0 for move, _ in moves), max(moves)
    top, at = max((r.value, x) for x, r in found)
    return (
        f"{up} of {len(moves)} steps go up; the largest, {most:+.1f}, is the one to {to};"
        f" the highest mean, {top:.1f}, is with {number(at)}"
    )


def number(x: str) -> str:
    """A number of clusters in words."""
    if not x.isdigit():
        return f"{x} of the clusters"
    return lines.counted(int(x), "cluster")


def largest(table: pd.DataFrame) -> str:
    """Per held-out cluster the largest step, and the cluster added with it."""
    told = []
    for group in groups(table):
        names = {x: style.title(c, short=True) for x, c, _ in added(table, PAPER, group)}
        for cluster in lines.clusters_of(table, PAPER, group):
            if moves := _moves(points(table, PAPER, cluster, group)):
                most, x = max(moves)
                told.append(f"{style.title(cluster)} {most:+.1f} with {names.get(x, x)}")
    return f"Largest step in the paper's order: {'; '.join(told) or 'none'}"


def names_of(group: str) -> str:
    """A group by the names of its clusters."""
    if not group:
        return "each group in turn, mean of all"
    return ", ".join(style.title(cluster, short=True) for cluster in group.split("+"))


def _moves(found: list[tuple]) -> list[tuple[float, str]]:
    """How much each step adds, and where it ends."""
    return [(b.value - a.value, x) for (_, a), (x, b) in pairwise(found)]


def _rank(x: str) -> tuple[int, int]:
    """Numbers, then half, then all."""
    return (0, int(x)) if x.isdigit() else (1, x == "all")


def _row(
    group: str, statistic: str, arm: str, x: object, cluster: str, n: int, source: str = "catalogue"
) -> dict:
    of = {"group": group, "statistic": statistic, "arm": arm}
    return lines.row(source, **of, x=str(x), cluster=cluster, n=n)


def _n_datasets(known: dict[str, set[str]], clusters: Iterable[str]) -> int:
    return len(set().union(*(known[cluster] for cluster in clusters)))
