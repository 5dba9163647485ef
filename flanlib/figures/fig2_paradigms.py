"""Figure 2: fine-tuning, prompting and instruction tuning, side by side.

The diagrams say what each way needs; the panels below show what each way
reached on the same cluster, with the same base model, where it is recorded.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import estimates, results
from flanlib.figures import boxes, style
from flanlib.results import Record
from flanlib.study import Study

STEM = "fig2_paradigms"
WAYS = {
    "finetune": (
        "Pretrain–finetune",
        ("Pretrained model", "Tuned on task A alone", "Asked about task A"),
        "needs examples of the task, and a model for each task",
        "examples of each task tuned on",
    ),
    "prompting": (
        "Prompting",
        ("Pretrained model", "", "Asked about task A, with solved examples in front"),
        "needs a few examples and a good prompt",
        "exemplars in the prompt",
    ),
    "instruction": (
        "Instruction tuning",
        ("Pretrained model", "Tuned on many tasks B, C, D, … phrased as instructions",
         "Asked about task A, never tuned on"),
        "needs no example of the task",
        "exemplars in the prompt",
    ),
}  # fmt: skip
COLUMNS = ["way", "cluster", "x", "value", "low", "high", "n", "seeds", "source"]


def collect(study: Study, cluster: str = "nli") -> pd.DataFrame:
    """What is on record for each way; ways without a record have no value."""
    found = [r for r in results.load(study.at) if _fits(r, study, cluster)]
    rows = []
    for way in WAYS:
        mine = [r for r in found if _way(r) == way]
        points = _points(mine, study, cluster)
        rows += [{"way": way, "cluster": cluster, **point} for point in points] or [
            {"way": way, "cluster": cluster, "source": "not recorded"}
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: three diagrams, three panels."""
    height = 4.45
    with style.look():
        fig, page = boxes.page(style.WIDTH, height)
        cluster = style.title(table["cluster"].iloc[0])
        head = f"Three ways to a task, on one base model ({cluster})"
        boxes.put(page, 0.1, height - 0.08, [head], 9, weight="bold")
        width = (style.WIDTH - 0.4) / 3
        for n, way in enumerate(WAYS):
            x = 0.1 + n * (width + 0.1)
            draw_way(way, page, x, height - 0.36, width)
            ax = fig.add_axes(
                (
                    (x + 0.36) / style.WIDTH,
                    0.55 / height,
                    (width - 0.42) / style.WIDTH,
                    1.15 / height,
                )
            )
            draw_measured(table[table["way"] == way], ax)
            if n:
                ax.tick_params(labelleft=False)
            else:
                ax.set_ylabel("score, percent")
    return fig


def draw_way(way: str, ax: Axes, x: float, y: float, width: float) -> float:
    """Figure 2, top: one way as a chain of boxes; lowest y used."""
    name, steps, needs, _ = WAYS[way]
    y = boxes.put(ax, x, y, [name], 8.5, weight="bold") - 0.06
    middle, height = x + width / 2, 0.40
    for n, step in enumerate(steps):
        if step:
            fill = ("#E4E4E4", "#F7F0DC", "white")[n]
            boxes.box(ax, x, y, width, "", step, edge=style.INK, size=7.2, fill=fill, height=height)
        else:
            ax.text(middle, y - height / 2, "no tuning", size=7, ha="center", va="center",
                    color=style.QUIET)  # fmt: skip
        if n < 2:
            boxes.arrow(ax, (middle, y - height), (middle, y - height - 0.2))
        y -= height + 0.2
    lines = boxes.wrap(needs, width, 7)
    return boxes.put(ax, x, y + 0.12, lines, 7, style.QUIET)


def draw_measured(part: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 2, bottom: what one way reached, with 95 % intervals."""
    way = part["way"].iloc[0]
    recorded = part.dropna(subset=["value"]).sort_values("x")
    ax.set(ylim=(0, 112), yticks=range(0, 101, 20), xlabel=WAYS[way][3])
    ax.grid(axis="y")
    ax.grid(axis="x", visible=False)
    if recorded.empty:
        ax.set_xticks([])
        ax.grid(visible=False)
        ax.text(0.5, 0.5, "not recorded", transform=ax.transAxes, ha="center", va="center",
                size=8, color=style.QUIET)  # fmt: skip
        return ax
    colour = style.colour(part["cluster"].iloc[0])
    places = range(len(recorded))
    ax.plot(places, recorded["value"], color=colour, lw=1.2)
    for place, row in zip(places, recorded.itertuples(), strict=True):
        ax.plot([place, place], [row.low, row.high], color=style.INK, lw=1.1)
        ax.plot(place, row.value, marker="D", mfc=colour, mec=style.INK, ms=5)
        ax.text(place, row.high + 4, f"{row.value:.1f}", ha="center", size=7)
    ax.set_xticks(list(places))
    ax.set_xticklabels([f"{int(x)}" if x else "0" for x in recorded["x"]])
    ax.set_xlim(-0.6, len(recorded) - 0.4)
    n, seeds = int(recorded["n"].iloc[0]), int(recorded["seeds"].iloc[0])
    tail = f", {seeds} seeds" if seeds > 1 else ""
    ax.set_title(f"n = {n}{tail}", size=7, weight="normal")
    return ax


def describe(table: pd.DataFrame) -> str:
    """The figure in words."""
    parts = [f"Three ways to {style.title(table['cluster'].iloc[0])}, as diagrams."]
    for way, (name, steps, needs, axis) in WAYS.items():
        chain = ", then ".join(step for step in steps if step)
        mine = table[table["way"] == way].dropna(subset=["value"])
        values = "; ".join(
            f"{row.value:.1f} [{row.low:.1f}, {row.high:.1f}] percent at {int(row.x)} {axis}"
            for row in mine.itertuples()
        )
        parts.append(f"{name}: {chain}; {needs}. Measured: {values or 'not recorded'}.")
    return " ".join(parts)


def _fits(record: Record, study: Study, cluster: str) -> bool:
    factors, scoring = record.factors, record.scoring
    return (
        record.cluster == cluster
        and factors.model == study.settings.model
        and scoring.form == "instruction"
        and scoring.show_options
        and scoring.split == "eval"
        and not factors.clusters
        and not factors.n_templates
    )


def _way(record: Record) -> str:
    factors = record.factors
    if factors.arm == "single-task":
        return "finetune"
    if factors.arm == "base" and factors.shots:
        return "prompting"
    plain = factors.arm == "tuned" and factors.form == "instruction" and not factors.n_examples
    return "instruction" if plain and not factors.shots else ""


def _points(records: list[Record], study: Study, cluster: str) -> list[dict]:
    """One point per number of examples: the cluster's mean over datasets."""

    def naming(record: Record) -> str:
        factors = record.factors
        return str(factors.shots or factors.n_examples)

    if not records:
        return []
    table = estimates.table(records, results.groups(study.at), gains=(), naming=naming)
    found = table[(table["cluster"] == cluster) & (table["dataset"] == "")]
    return [
        {
            "x": int(row.arm),
            "value": row.value,
            "low": row.low,
            "high": row.high,
            "n": row.n,
            "seeds": row.seeds,
            "source": "recorded",
        }
        for row in found.itertuples()
    ]
