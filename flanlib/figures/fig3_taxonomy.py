"""Figure 3: the datasets in their clusters, understanding and generation.

Sizes are what tuning may use: train rows, at most 30 000 per task.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.data.catalogue import TRAIN_CAP
from flanlib.figures import boxes, style
from flanlib.results import published
from flanlib.studies.study import Study

STEM = "fig3_taxonomy"
COLUMNS = 3
ROW = 0.145  # inches per dataset
HEAD = 0.40
GAP = 0.12
TOP = 0.62


def collect(study: Study) -> pd.DataFrame:
    """One row per dataset: cluster, title, domain, rows used, paper's count.

    Datasets that the paper's figure does not count are left out. `n_used`
    is empty where a size is not stated. Domain is the cluster's. `attrs` says
    whether all rows are `generated`, by the route of their tasks.
    """
    catalogue = study.catalogue
    paper = published.tasks().groupby("cluster")["dataset"].nunique()
    rows = []
    for key, tasks in catalogue.datasets().items():
        if not any(task.in_paper for task in tasks):
            continue
        sizes = [task.n_train for task in tasks if task.in_paper]
        known = all(size is not None for size in sizes)
        first = tasks[0]
        cluster = catalogue.cluster(first.cluster)
        rows.append(
            {
                "collection": catalogue.name,
                "cluster": cluster.key,
                "domain": cluster.domain,
                "held_out_in_turn": cluster.evaluable,
                "dataset": key,
                "title": _name(key, [task.title for task in tasks]),
                "tasks": len(sizes),
                "n_train": sum(sizes) if known else None,
                "n_used": sum(min(size, TRAIN_CAP) for size in sizes) if known else None,
                "in_paper": int(paper.get(cluster.key, 0)),
            }
        )
    table = pd.DataFrame(rows)
    order = {key: n for n, key in enumerate(catalogue.clusters)}
    table = table.sort_values("cluster", key=lambda c: c.map(order), kind="stable")
    table = table.astype({"n_train": "Int64", "n_used": "Int64"}).reset_index(drop=True)
    shown = [task for task in catalogue.tasks.values() if task.in_paper]
    table.attrs["generated"] = all(t.source and t.source.route == "micro" for t in shown)
    return table


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure."""
    with style.look():
        fig, ax = boxes.page(style.WIDTH, _height(table))
        draw_taxonomy(table, ax)
    return fig


def draw_taxonomy(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 3: clusters as boxes, coloured by domain, datasets inside."""
    height = ax.get_ylim()[1]
    n = len(table)
    title = boxes.shorten(heading(table), style.WIDTH - 0.2, 9, "bold")
    boxes.put(ax, 0.1, height - 0.08, [title], 9, weight="bold")
    x = 0.1
    for domain, words in (("NLU", "understanding"), ("NLG", "generation")):
        boxes.frame(ax, x, height - 0.33, 0.16, 0.13, fill=style.DOMAINS[domain], line=0.5)
        text = f"{words} ({domain}), {(table['domain'] == domain).sum()} of {n}"
        boxes.put(ax, x + 0.22, height - 0.335, [text], 7.5)
        x += 0.5 + boxes.width_of(text, 7.5)
    note = "number: train rows used, at most 30 000 per task (–: not stated)"
    generated = table.attrs.get("generated", False)
    if generated:
        note = "rows are generated, as many as are asked for"
    boxes.put(ax, 0.1, 0.14, [note], 7, style.QUIET)
    width = (style.WIDTH - 0.2 - GAP * (COLUMNS - 1)) / COLUMNS
    for column, clusters in enumerate(_columns(table)):
        y = height - TOP
        for cluster in clusters:
            part = table[table["cluster"] == cluster]
            x = 0.1 + column * (width + GAP)
            y = _cluster(ax, x, y, width, part, generated) - GAP
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return (
        f"{len(table)} datasets in {table['cluster'].nunique()} clusters"
        f" (collection {table['collection'].iloc[0]})"
    )


def describe(table: pd.DataFrame) -> str:
    """The figure in words."""
    parts = []
    for cluster, part in table.groupby("cluster", sort=False):
        names = ", ".join(part["title"])
        parts.append(f"{style.title(str(cluster))} ({part['domain'].iloc[0]}): {names}")
    return f"{heading(table)}. " + ". ".join(parts) + "."


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Datasets, tasks and rows per cluster, beside the paper's count."""
    found = table.groupby("cluster", sort=False, as_index=False).agg(
        domain=("domain", "first"),
        datasets=("dataset", "size"),
        paper=("in_paper", "first"),
        tasks=("tasks", "sum"),
        rows_used=("n_used", "sum"),
        without_size=("n_used", lambda sizes: int(sizes.isna().sum())),
    )
    return found.assign(cluster=found["cluster"].map(style.title))


def substitutions(study: Study) -> pd.DataFrame:
    """Tasks whose rows come from elsewhere than the paper's, and how."""
    rows = [
        {"cluster": t.cluster, "dataset": t.dataset, "task": t.key, "how": t.substitution}
        for t in study.catalogue.tasks.values()
        if t.substitution
    ]
    return pd.DataFrame(rows, columns=["cluster", "dataset", "task", "how"])


def _cluster(
    ax: Axes, x: float, y: float, width: float, part: pd.DataFrame, generated: bool
) -> float:
    first = part.iloc[0]
    height = HEAD + ROW * len(part) + 0.05
    colour = style.colour(first["cluster"])
    fill = style.DOMAINS[first["domain"]]
    boxes.frame(ax, x, y, width, height, edge=colour, fill=fill, line=1.4)
    name = style.title(first["cluster"])
    if boxes.width_of(name, 8, "bold") > width - 0.16:
        name = style.title(first["cluster"], short=True)
    name = boxes.shorten(name, width - 0.16, 8, "bold")
    boxes.put(ax, x + 0.08, y - 0.06, [name], 8, weight="bold")
    boxes.put(ax, x + 0.08, y - 0.215, [_counts(part)], 6.8, "#444444")
    for n, row in enumerate(part.itertuples()):
        top = y - HEAD - n * ROW
        size = _size(row.n_used, generated)
        room = width - 0.24 - boxes.width_of(size, 7)
        boxes.put(ax, x + 0.08, top, [boxes.shorten(" ".join(row.title.split()), room, 7.2)], 7.2)
        ax.text(x + width - 0.08, top, size, size=7, va="top", ha="right", color="#444444")
    return y - height


def _size(n, generated: bool) -> str:
    if generated:
        return ""
    return "–" if pd.isna(n) else f"{n:,}".replace(",", " ")


def _counts(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    text = f"{len(part)} datasets" if len(part) > 1 else "1 dataset"
    if first["collection"] == "flan" and first["in_paper"]:
        text += f" (paper: {first['in_paper']})"
    return text if first["held_out_in_turn"] else f"{text}; only tuned on"


def _columns(table: pd.DataFrame) -> list[list[str]]:
    """Clusters dealt to columns of about equal height, in order of size."""
    sizes = table.groupby("cluster", sort=False).size()
    heights = [0.0] * COLUMNS
    columns: list[list[str]] = [[] for _ in range(COLUMNS)]
    for cluster in sizes.sort_values(ascending=False, kind="stable").index:
        shortest = heights.index(min(heights))
        columns[shortest].append(cluster)
        heights[shortest] += HEAD + ROW * sizes[cluster] + GAP + 0.05
    order = list(sizes.index)
    return [sorted(column, key=order.index) for column in columns]


def _height(table: pd.DataFrame) -> float:
    sizes = table.groupby("cluster").size()
    heights = [
        sum(HEAD + ROW * sizes[c] + GAP + 0.05 for c in column) for column in _columns(table)
    ]
    return TOP + max(heights) + 0.14


def _name(key: str, titles: list[str]) -> str:
    """A dataset's name; with its key in front where the title describes it."""
    if len(titles) > 1:
        heads = {title.split(" (")[0] for title in titles}
        return f"{heads.pop()} ({len(titles)} parts)" if len(heads) == 1 else key
    return f"{key}: {titles[0]}" if titles[0][:1].islower() else titles[0]
