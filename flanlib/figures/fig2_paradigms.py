"""Figure 2: fine-tuning, prompting and instruction tuning, side by side.

The diagrams say what each way needs; the panels below show what each way
reached on the same dataset, with the same base model. The paper draws the
ways and measures none of them, so nothing published stands beside.
"""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, lines, style
from flanlib.figures.fig5_zero_shot_gains import Reading

if TYPE_CHECKING:
    from flanlib.studies.axes import Axis

STEM = "fig2_paradigms"
ALONE, FEW, TUNED = "single-task", "few-shot base", "instruction-tuned"
WAYS = {
    ALONE: (
        "Pretrain–finetune",
        ("Pretrained model", "Tuned on task A alone", "Asked about task A"),
        "needs examples of the task, and a model for each task",
        "examples of task A tuned on",
    ),
    FEW: (
        "Prompting",
        ("Pretrained model", "", "Asked about task A, with solved examples in front"),
        "needs a few examples and a good prompt",
        "solved examples in the prompt",
    ),
    TUNED: (
        "Instruction tuning",
        ("Pretrained model", "Tuned on many tasks B, C, D, … phrased as instructions",
         "Asked about task A, never tuned on"),
        "needs no example of the task",
        "solved examples in the prompt",
    ),
}  # fmt: skip
PANEL, LEFT, GAP = 1.45, 0.5, 0.12  # inches


def collect(study: "Axis") -> pd.DataFrame:
    """What is on record."""
    return study.load()


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: three diagrams, three panels."""
    words = [x for text in notes(table) for x in boxes.wrap(text, style.WIDTH - 0.2, lines.SMALL)]
    below = 0.62 + boxes.height_of(len(words), lines.SMALL)
    height = 2.72 + PANEL + below
    with style.look():
        fig, page = boxes.page(style.WIDTH, height)
        cluster, dataset = about(table)
        head = f"Three ways to a task, on one base model ({dataset}, {style.title(cluster)})"
        boxes.put(page, 0.1, height - 0.08, [head], 9, weight="bold")
        width = (style.WIDTH - 0.4) / 3
        for n, way in enumerate(WAYS):
            draw_way(way, page, 0.1 + n * (width + 0.1), height - 0.36, width)
        spans = lines.columns(3, left=LEFT, gap=GAP)
        first, *others = lines.panels(fig, 2.72, PANEL, spans)
        for ax, way in zip((first, *others), WAYS, strict=True):
            draw_measured(table, way, ax)
        low, high = scale(table)
        for ax in (first, *others):
            ax.set_ylim(low, high)
            ax.tick_params(labelleft=ax is first)
        first.set_ylabel("score, percent")
        boxes.put(page, 0.1, 0.2 + boxes.height_of(len(words), lines.SMALL), words, lines.SMALL)
    return fig


def draw_way(way: str, ax: Axes, x: float, y: float, width: float) -> float:
    """Figure 2, top: one way as a chain of boxes; lowest y used.

    Parameters
    ----------
    way
        Key of `WAYS`, which is an arm of the table.
    x, y
        Top left corner.
    """
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


def draw_measured(table: pd.DataFrame, way: str, ax: Axes) -> Axes:
    """Figure 2, bottom: what one way reached, with 95 % intervals.

    The band is the interval of the instruction-tuned model, in every panel.

    Parameters
    ----------
    way
        Key of `WAYS`, which is an arm of the table.
    """
    cluster, _ = about(table)
    mine = measured(table, way)
    places = {row.x: float(n) for n, row in enumerate(mine)}
    tuned = measured(table, TUNED)[0]
    ax.axhspan(tuned.low, tuned.high, color="#E4E4E4", lw=0, zorder=0)
    ax.axhline(tuned.value, color=lines.GREY, lw=0.8, zorder=1)
    series = lines.Series(arm=way, name=way, marker="D", written=".1f")
    lines.draw(table, ax, [series], places, cluster, labelled=True)
    lines.ticks(ax, places, {})
    n, seeds = int(mine[0].n), int(mine[0].seeds)
    ax.set_title(f"n = {n}" + (f", {seeds} seeds" if seeds > 1 else ""), size=7, weight="normal")
    ax.set_xlabel(WAYS[way][3])
    return ax


def measured(table: pd.DataFrame, way: str) -> list:
    """The points of a `way`, an arm of the table, in the order of the axis."""
    part = table[(table["arm"] == way) & (table["dataset"] == "")]
    return list(part.dropna(subset=["value"]).itertuples())


def about(table: pd.DataFrame) -> tuple[str, str]:
    """The cluster and the dataset that all three ways were asked about."""
    part = table[(table["arm"] == TUNED) & (table["dataset"] != "")]
    return part["cluster"].iloc[0], part["dataset"].iloc[0]


def scale(table: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis that the panels share, percent."""
    shown = table[table["arm"].isin([*WAYS, "chance"])]
    low, high = shown[["value", "low"]].min().min(), shown[["value", "high"]].max().max()
    room = 0.08 * (high - low) + 1
    return max(0.0, low - room), high + 2.5 * room


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what marks, band and dotted line are."""
    return [
        "Mean over templates; bars: 95 % interval over examples and, where tuned, seeds. Band and"
        " line across: instruction-tuned, zero-shot, its interval. Dotted: chance. The paper"
        " measures none of these curves."
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words."""
    cluster, dataset = about(table)
    parts = [f"Three ways to {dataset} ({style.title(cluster)}), as diagrams."]
    for way, (name, steps, needs, axis) in WAYS.items():
        chain = ", then ".join(step for step in steps if step)
        values = "; ".join(
            f"{lines.spelled(row)} percent at {row.x} {axis}" for row in measured(table, way)
        )
        parts.append(f"{name}: {chain}; {needs}. Measured: {values}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per point: way, what it was given, score with interval, n."""
    return pd.DataFrame(
        {
            "way": WAYS[way][0],
            "given": f"{row.x} {WAYS[way][3]}",
            "score, percent": lines.spelled(row),
            "n": int(row.n),
            "seeds": int(row.seeds),
        }
        for way in WAYS
        for row in measured(table, way)
    )


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    tuned, alone, few = (measured(table, way) for way in (TUNED, ALONE, FEW))
    goal, best = tuned[0], max(few, key=lambda row: row.value)
    found = [
        f"Instruction tuning, zero-shot: {lines.spelled(goal)} percent.",
        _needed(alone, goal),
        f"Prompting: best with {best.x} solved examples, {lines.spelled(best)} percent;"
        f" {_beside(best, goal)}.",
        _shape(alone),
        "Beside the paper: it draws the three ways and measures none, so there is no number to"
        f" agree with. Limits: one dataset ({about(table)[1]}), and one recipe for each way.",
    ]
    return Reading("\n".join(f"- {line}" for line in found))


def _needed(alone: list, goal) -> str:
    """From how many examples on fine-tuning reaches a score."""
    reached = [row for row in alone if row.value >= goal.value]
    if not reached:
        top = max(alone, key=lambda row: row.value)
        return (
            "Fine-tuning on the task alone does not reach that with any number of examples tried;"
            f" its best is {lines.spelled(top)} percent with {top.x} examples; {_beside(top, goal)}."
        )
    first = reached[0]
    return (
        f"Fine-tuning on the task alone reaches that with {first.x} examples:"
        f" {lines.spelled(first)} percent; {_beside(first, goal)}."
    )


def _beside(row, goal) -> str:
    if row.low > goal.high:
        return "its interval lies above that of instruction tuning"
    if row.high < goal.low:
        return "its interval lies below that of instruction tuning"
    return "its interval overlaps with that of instruction tuning"


def _shape(alone: list) -> str:
    first, last = alone[0], alone[-1]
    grown = "more examples raise it, intervals apart" if last.low > first.high else (
        "more examples lower it, intervals apart" if last.high < first.low
        else "the intervals of the fewest and the most examples overlap"
    )  # fmt: skip
    return (
        f"Examples needed: from {first.x} to {last.x} examples fine-tuning goes from"
        f" {first.value:.1f} to {last.value:.1f} percent; {grown}."
    )
