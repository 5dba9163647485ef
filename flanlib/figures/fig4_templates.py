"""Figure 4: one example turned into several instructions."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.evaluation import illustrations, requests
from flanlib.figures import boxes, style
from flanlib.prompts import templates
from flanlib.studies.study import Study

STEM = "fig4_templates"
SIZE = 6.8
COLUMNS = 2
GAP = 0.12
LINES = 16
FIELD_WORDS = 60


def collect(study: Study, dataset: str = "snli") -> pd.DataFrame:
    """The first example of a dataset in each of its templates.

    Where examples were written for illustration it is one of them, unless a
    folder of rows is named.

    Parameters
    ----------
    dataset
        Key of a dataset (its first task is shown) or of a task.

    Returns
    -------
    Columns collection, cluster, task, part (`field`, `answer`, `about`, `template`),
    name, text, target, inverted, ranked.
    """
    catalogue = study.catalogue
    tasks = catalogue.datasets().get(dataset)
    found = tasks[0] if tasks else catalogue.task(dataset)
    task = found.key
    written = illustrations.of_task(catalogue, found) if not study.settings.rows else []
    example = (
        written[0]
        if written
        else requests.first_example(catalogue, found, "eval", study.settings.rows)
    )
    about = {"collection": catalogue.name, "cluster": found.cluster, "task": task}
    parts = [{"part": "field", "name": k, "text": v} for k, v in example.fields.items()]
    parts = [p for p in parts if p["name"] != "answer"]
    options = f" (of {', '.join(example.options)})" if example.options else ""
    parts.append({"part": "answer", "name": "answer", "text": example.fields["answer"] + options})
    if written:
        text = f"{illustrations.WRITTEN}, of no dataset"
        parts.append({"part": "about", "name": "source", "text": text})
    for template in templates.of_task(catalogue, found):
        prompt = templates.render(example, template)
        parts.append(
            {
                "part": "template",
                "name": template.id,
                "text": prompt.input,
                "target": prompt.target,
                "inverted": template.inverted,
                "ranked": bool(prompt.options),
            }
        )
    columns = [*about, "part", "name", "text", "target", "inverted", "ranked"]
    return pd.DataFrame([{**about, **part} for part in parts], columns=columns)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure."""
    with style.look():
        fig, ax = boxes.page(style.WIDTH, 60)
        left = draw_templates(table, ax)
        return _cut(fig, ax, left)


def draw_templates(table: pd.DataFrame, ax: Axes) -> float:
    """Figure 4: the example on top, its phrasings below; lowest y used."""
    first = table.iloc[0]
    colour = style.colour(first["cluster"])
    top = ax.get_ylim()[1]
    title = boxes.shorten(heading(table), style.WIDTH - 0.2, 9, "bold")
    y = boxes.put(ax, 0.1, top - 0.08, [title], 9, weight="bold") - 0.06
    fields = table[table["part"] != "template"]
    body = "\n".join(f"{row.name}: {_short(row.text)}" for row in fields.itertuples())
    wide = style.WIDTH - 0.2
    head = f"One example of {first['task']} ({style.title(first['cluster'])})"
    y = (
        boxes.box(
            ax, 0.1, y, wide, head, body, edge=colour, size=7.2, fill="#F4F4F4", max_lines=4 * LINES
        )
        - 0.16
    )
    shown = table[table["part"] == "template"]
    width = (wide - GAP * (COLUMNS - 1)) / COLUMNS
    lowest = y
    columns = [y] * COLUMNS
    for row in shown.itertuples():
        column = columns.index(max(columns))
        x = 0.1 + column * (width + GAP)
        note = "  (inverted: the task turned round)" if row.inverted else ""
        text = "\n".join([*map(_short, row.text.split("\n")), f"→ {row.target}"])
        below = boxes.box(
            ax,
            x,
            columns[column],
            width,
            f"{row.name}{note}",
            text,
            edge=colour if not row.inverted else style.QUIET,
            size=SIZE,
            max_lines=LINES,
            dashed=bool(row.inverted),
        )
        columns[column] = below - GAP
        lowest = min(lowest, below)
    return lowest - 0.2


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    n = (table["part"] == "template").sum()
    first = table.iloc[0]
    return f"{n} instructions for one example ({first['task']}, collection {first['collection']})"


def describe(table: pd.DataFrame) -> str:
    """The figure in words."""
    shown = table[table["part"] == "template"]
    inverted = int(shown["inverted"].astype(bool).sum())
    texts = "; ".join(f"{row.name}: {row.text!r} -> {row.target!r}" for row in shown.itertuples())
    return f"{heading(table)}, {inverted} of them inverted. {texts}"


def _short(text: str) -> str:
    words = text.split(" ")
    if len(words) <= FIELD_WORDS:
        return text
    half = FIELD_WORDS // 2
    return " ".join([*words[:half], "[…]", *words[-half:]])


def _cut(fig: Figure, ax: Axes, lowest: float) -> Figure:
    """Shorten the page to what is drawn."""
    top = ax.get_ylim()[1]
    ax.set_ylim(lowest, top)
    fig.set_size_inches(style.WIDTH, top - lowest)
    return fig
