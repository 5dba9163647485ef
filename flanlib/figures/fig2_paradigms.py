"""Figure 2: fine-tuning, prompting and instruction tuning, side by side.

The diagrams show what each method needs. The panels show the score that each
method reached on the same tasks, one per cluster, with the same base model:
first the mean, then every task. The paper draws the three methods and measures
none of them, so there is no published value to compare with.
"""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib.figures import boxes, lines, marks, sheets, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects

if TYPE_CHECKING:
    from flanlib.studies.axes import Axis

STEM = "fig2_paradigms"
SINGLE, FEW, TUNED = "single-task", "few-shot base", "instruction-tuned"
WAYS = {
    SINGLE: (
        "Pretrain–finetune",
        ("Pretrained model", "Fine-tuned on task A", "Evaluated on task A"),
        "needs labelled examples of the task, and one model per task",
        "training examples of task A",
    ),
    FEW: (
        "Prompting",
        ("Pretrained model", "", "Evaluated on task A, with exemplars in the prompt"),
        "needs a few exemplars and a good prompt",
        "exemplars in the prompt",
    ),
    TUNED: (
        "Instruction tuning",
        (
            "Pretrained model",
            "Tuned on many tasks B, C, D, … phrased as instructions",
            "Evaluated on task A, which tuning never saw",
        ),
        "needs no example of the task",
        "exemplars in the prompt",
    ),
}
PANEL, GAP = 1.45, 0.12  # inches
TASK, ROW = 0.95, 1.9  # a task's panel, and its row with all that is written


def collect(study: "Axis") -> pd.DataFrame:
    """What is on record."""
    return study.load()


def draw(table: pd.DataFrame) -> Figure:
    """The first sheet: three diagrams, and the mean over tasks with each method."""
    words = boxes.paragraphs(notes(table), lines.SMALL)
    large, _ = lines.panels_of(table, TUNED)
    height = 2.72 + PANEL + 0.62 + boxes.height_of(len(words), lines.SMALL)
    with style.look():
        fig, page = boxes.page(style.WIDTH, height)
        boxes.put(page, 0.1, height - 0.08, [heading(table)], 9, weight="bold")
        width = (style.WIDTH - 0.4) / 3
        for n, way in enumerate(WAYS):
            draw_way(way, page, 0.1 + n * (width + 0.1), height - 0.36, width)
        spans = boxes.columns(3, gap=GAP)
        first, *others = boxes.panels(fig, 2.72, PANEL, spans)
        for ax, way in zip((first, *others), WAYS, strict=True):
            draw_measured(table, way, ax)
        low, high = scale(table, large)
        for ax in (first, *others):
            ax.set_ylim(low, high)
            ax.tick_params(labelleft=ax is first)
        first.set_ylabel("score, percent")
        boxes.put(page, 0.1, 0.2 + boxes.height_of(len(words), lines.SMALL), words, lines.SMALL)
    return fig


def draw_clusters(table: pd.DataFrame) -> Figure:
    """The second sheet: a panel for each task."""
    rows = [("", some) for some in style.in_rows(lines.panels_of(table, TUNED)[1])]
    look = {"color": lines.GREY, "lw": 0.9}
    words = "Fine-tuning, prompting, instruction tuning: task by task"

    def draw_one(ax: Axes, _: int, cluster: str) -> None:
        draw_task(table, cluster, ax)

    with style.look():
        handles = [
            *lines.legend([_single("fine-tuned on the task")]),
            Line2D([], [], ls="-", **look, label="instruction-tuned, zero-shot"),
            Line2D([], [], ls="--", **look, label=f"base, {_most(table)} exemplars"),
        ]
        return sheets.multiples(words, handles, notes(table), rows, TASK, ROW, draw_one)


def draw_way(way: str, ax: Axes, x: float, y: float, width: float) -> float:
    """Figure 2, top: a `way`, key of `WAYS`, as boxes below a corner; lowest y used."""
    name, steps, needs, _ = WAYS[way]
    y = boxes.put(ax, x, y, [name], 8.5, weight="bold") - 0.06
    middle, height = x + width / 2, 0.40
    for n, step in enumerate(steps):
        if step:
            fill = ("#E4E4E4", "#F7F0DC", "white")[n]
            boxes.box(ax, x, y, width, "", step, edge=style.INK, size=7.2, fill=fill, height=height)
        else:
            style.centred(ax, middle, y - height / 2, "no tuning")
        if n < 2:
            boxes.arrow(ax, (middle, y - height), (middle, y - height - 0.2))
        y -= height + 0.2
    lines = boxes.wrap(needs, width, 7)
    return boxes.put(ax, x, y + 0.12, lines, 7, style.QUIET)


def draw_measured(table: pd.DataFrame, way: str, ax: Axes) -> Axes:
    """Figure 2, bottom: what one method reached, with 95 % intervals.

    The band is the interval of the instruction-tuned model, in every panel. A `way` is a
    key of `WAYS` and an arm of the table.
    """
    large, _ = lines.panels_of(table, TUNED)
    mine = measured(table, way, large)
    places = {row.x: float(n) for n, row in enumerate(mine)}
    _draw_goal(table, large, ax)
    series = marks.Series(arm=way, name=way, marker="D", written=".1f")
    lines.draw(table, ax, [series], places, large, labelled=True)
    lines.ticks(ax, places, {})
    n, seeds = int(mine[0].n), int(mine[0].seeds)
    ax.set_title(f"n = {n}" + (f", {seeds} seeds" if seeds > 1 else ""), size=7, weight="normal")
    ax.set_xlabel(WAYS[way][3])
    return ax


def draw_task(table: pd.DataFrame, cluster: str, ax: Axes) -> Axes:
    """Figure 2, one task: fine-tuned on it; the other two methods as horizontal lines."""
    single, few = (measured(table, way, cluster) for way in (SINGLE, FEW))
    places = {row.x: float(n) for n, row in enumerate(single)}
    _draw_goal(table, cluster, ax)
    ax.axhline(few[-1].value, color=lines.GREY, ls="--", lw=0.9, zorder=1)
    lines.draw(table, ax, [_single(SINGLE)], places, cluster)
    lines.ticks(ax, places, {})
    ax.tick_params(axis="x", labelsize=6.5)
    name = style.title(cluster, short=True)
    ax.set_title(f"{name}\n{datasets(table)[cluster]} (n = {int(single[0].n)})")
    ax.set(xlabel="training examples", ylabel="score, percent")
    return ax


def measured(table: pd.DataFrame, way: str, cluster: str) -> list:
    """The points of a `way`, an arm of the table, in the order of the axis."""
    return [row for _, row in lines.points(table, way, cluster)]


def datasets(table: pd.DataFrame) -> dict[str, str]:
    """Cluster -> its dataset that all three methods were evaluated on."""
    part = effects.series(table, TUNED)
    part = part[part["dataset"] != ""]
    return dict(zip(part["cluster"], part["dataset"], strict=True))


def about(table: pd.DataFrame) -> str:
    """What the large panels show: a dataset, or how many."""
    known = datasets(table)
    if len(known) > 1:
        return f"mean of {len(known)} datasets, one per cluster"
    ((cluster, dataset),) = known.items()
    return f"{dataset}, {style.title(cluster)}"


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Fine-tuning, prompting, instruction tuning ({about(table)})"


def _single(name: str) -> marks.Series:
    return marks.Series(arm=SINGLE, name=name, marker="D")


def _most(table: pd.DataFrame) -> str:
    return measured(table, FEW, lines.panels_of(table, TUNED)[0])[-1].x


def scale(table: pd.DataFrame, cluster: str) -> tuple[float, float]:
    """Ends of the axis that the large panels share, percent."""
    shown = pd.concat([effects.series(table, arm) for arm in (*WAYS, "chance")])
    shown = shown[shown["cluster"] == cluster]
    low, high = shown[["value", "low"]].min().min(), shown[["value", "high"]].max().max()
    room = 0.08 * (high - low) + 1
    return max(0.0, low - room), high + 2.5 * room


def _draw_goal(table: pd.DataFrame, cluster: str, ax: Axes) -> None:
    (tuned,) = measured(table, TUNED, cluster)
    ax.axhspan(tuned.low, tuned.high, color="#E4E4E4", lw=0, zorder=0)
    ax.axhline(tuned.value, color=lines.GREY, lw=0.8, zorder=1)


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what marks, band and lines are."""
    return [
        "Mean over templates; bars: 95 % interval over examples and, where tuned, seeds. Solid line"
        " and band: instruction-tuned, zero-shot, with its interval. Dotted: chance. The"
        " paper reports no such curves."
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words."""
    large, _ = lines.panels_of(table, TUNED)
    parts = [f"{heading(table)}, as diagrams."]
    for way, (name, steps, needs, axis) in WAYS.items():
        chain = ", then ".join(step for step in steps if step)
        values = "; ".join(
            f"{lines.spelled(row)} percent at {row.x} {axis}" for row in measured(table, way, large)
        )
        parts.append(f"{name}: {chain}; {needs}. Measured: {values}.")
    return " ".join(parts)


def describe_clusters(table: pd.DataFrame) -> str:
    """The second sheet in words; empty without one."""
    _, small = lines.panels_of(table, TUNED)
    parts = [f"{heading(table)}, task by task."] if small else []
    for cluster in small:
        told = "; ".join(
            f"{way} {', '.join(f'{row.x}: {row.value:.1f}' for row in measured(table, way, cluster))}"
            for way in WAYS
        )
        parts.append(f"{style.title(cluster)}, {datasets(table)[cluster]}, percent: {told}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per point: method, what it was given, score with interval, n."""
    large, _ = lines.panels_of(table, TUNED)
    rows = [(way, row) for way in WAYS for row in measured(table, way, large)]
    return pd.DataFrame(
        {
            "method": WAYS[way][0],
            "given": f"{row.x} {WAYS[way][3]}",
            "score, percent": lines.spelled(row),
            "minus instruction tuning": lines.spelled(less, signed=True) if less else "",
            "n": int(row.n),
            "seeds": int(row.seeds),
        }
        for way, row in rows
        for less in (_less(table, row),)
    )


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    large, small = lines.panels_of(table, TUNED)
    tuned, single, few = (measured(table, way, large) for way in (TUNED, SINGLE, FEW))
    goal, best = tuned[0], max(few, key=lambda row: row.value)
    found = [
        f"Instruction tuning, zero-shot: {lines.spelled(goal)} percent ({about(table)}).",
        _needed(table, single, goal),
        f"Prompting: best with {best.x} exemplars, {lines.spelled(best)} percent,"
        f" {_beside(table, best)}.",
        _trend(single),
        *([_each(table, small)] if small else ()),
        "Beside the paper: it draws the three methods and measures none, so there is no number to"
        " agree with. Limits: one dataset per cluster, and one recipe for each method.",
    ]
    return Reading("\n".join(f"- {line}" for line in found))


def _needed(table: pd.DataFrame, single: list, goal) -> str:
    """From how many examples on fine-tuning reaches a score."""
    reached = _reached(single, goal)
    if not reached:
        top = max(single, key=lambda row: row.value)
        return (
            "Fine-tuning on the one task does not reach that with any number of examples tried;"
            f" its best is {lines.spelled(top)} percent with {top.x} examples,"
            f" {_beside(table, top)}."
        )
    first = reached[0]
    return (
        f"Fine-tuning on the one task reaches that with {first.x} examples:"
        f" {lines.spelled(first)} percent, {_beside(table, first)}."
    )


def _reached(single: list, goal) -> list:
    return [row for row in single if row.value >= goal.value]


def _less(table: pd.DataFrame, row):
    """A point less the instruction-tuned one, paired; None for that one itself."""
    if row.arm == TUNED:
        return None
    return effects.pick(table, row.arm, row.x, row.cluster, against=TUNED)


def _beside(table: pd.DataFrame, row) -> str:
    less = _less(table, row)
    return (
        f"{lines.spelled(less, signed=True)} points against instruction tuning:"
        f" {lines.verdict(less)}"
    )


def _each(table: pd.DataFrame, clusters: list[str]) -> str:
    """Task by task, from how many examples on fine-tuning reaches instruction tuning."""
    told = []
    for cluster in clusters:
        (goal,) = measured(table, TUNED, cluster)
        reached = _reached(measured(table, SINGLE, cluster), goal)
        fewest = reached[0].x if reached else "none"
        told.append(f"{style.title(cluster)} ({datasets(table)[cluster]}) {fewest}")
    return f"Task by task, fewest examples with which fine-tuning reaches it: {', '.join(told)}."


def _trend(single: list) -> str:
    first, last = single[0], single[-1]
    grown = "the intervals of the fewest and the most examples overlap"
    if last.low > first.high:
        grown = "more examples raise it, intervals apart"
    elif last.high < first.low:
        grown = "more examples lower it, intervals apart"
    return (
        f"Examples needed: from {first.x} to {last.x} examples fine-tuning goes from"
        f" {first.value:.1f} to {last.value:.1f} percent; {grown}."
    )


SHEETS = {"clusters": (draw_clusters, describe_clusters)}
