"""Three unseen questions with the answers of base and tuned model, for figure 1.

One of each of three held-out clusters: the first question of its first
dataset, whether it was answered rightly or not. For a collection of real
datasets they were written for illustration, since records hold no text.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from flanlib.core.config import Scoring
from flanlib.core.errors import MissingResultError
from flanlib.data.catalogue import Task
from flanlib.evaluation import illustrations, requests
from flanlib.figures import boxes, style
from flanlib.prompts import templates
from flanlib.studies import illustrate
from flanlib.studies.study import Study

SHOWN = 3
LINES = 16  # of a question
ANSWERS = {
    "answer base": "Base",
    "answer tuned": "Instruction-tuned",
    "answer right": "Right answer",
}


def collect(study: Study, cluster: str) -> list[dict[str, Any]]:
    """A question of each cluster of a `group`, and its answers; nothing is computed."""
    known = {line["task"]: line for line in illustrate.read(study)}
    rows: list[dict[str, Any]] = []
    for key in group(study, cluster)[:SHOWN]:
        if tasks := illustrate.questions(study, (key,)):
            rows += _written(study, tasks[0], known.get(tasks[0].key))
        else:
            rows += _recorded(study, key) or _alone(study, key)
    return rows


def group(study: Study, cluster: str) -> list[str]:
    """A cluster, then those of the collection that the profile holds out with it."""
    found = next((g for g in study.settings.defaults.held_out_groups if cluster in g), (cluster,))
    others = [c for c in found if c != cluster and c in study.catalogue.clusters]
    return [cluster, *others]


def draw(table: pd.DataFrame, ax: Axes, x: float, y: float, width: float) -> float:
    """The questions one below the other, each with its answers; lowest y used."""
    unseen = table[table["panel"] == "unseen"]
    for row in unseen.itertuples():
        head = f"{style.title(row.cluster)} ({row.task})"
        edge = style.colour(row.cluster)
        y = boxes.box(ax, x, y, width, head, row.text, edge=edge, size=6.8, max_lines=LINES)
        found = answers(table, row.cluster)
        body = "\n".join(f"{name}: {text}" for name, text in found.items())
        place = (x + 0.12, y - 0.03, width - 0.12)
        look = {"edge": style.QUIET, "size": 6.8, "fill": "#F4F4F4", "dashed": not found}
        y = boxes.box(ax, *place, "", body or "Answers: not recorded yet", max_lines=6, **look)
        y -= 0.1
    return y + 0.1


def answers(table: pd.DataFrame, cluster: str) -> dict[str, str]:
    """Whose answer -> the answer, to a cluster's question."""
    mine = table[table["cluster"] == cluster].set_index("panel")["text"]
    return {name: mine[panel] for panel, name in ANSWERS.items() if panel in mine.index}


def note(table: pd.DataFrame) -> str:
    """How the questions were chosen, and who wrote them."""
    unseen = table[table["panel"] == "unseen"]
    written = unseen["source"].eq(illustrations.WRITTEN).any()
    lacking = [c for c in unseen["cluster"] if "Instruction-tuned" not in answers(table, c)]
    return (
        "Questions: the first of the first dataset of each cluster, answered rightly or not"
        + ("; written for illustration, of no dataset" if written else "")
        + ("; the models' answers are not on record yet." if lacking else ".")
    )


def _written(study: Study, task: Task, line: dict[str, str] | None) -> list[dict[str, Any]]:
    asked = illustrations.prompt_of(study.catalogue, task)
    found = {"answer right": asked.target}
    if line is not None:
        found = {"answer base": line["base"], "answer tuned": line["tuned"], **found}
    return _rows(task.cluster, task.key, asked.input, found, illustrations.WRITTEN)


def _recorded(study: Study, cluster: str) -> list[dict[str, Any]]:
    """Of the records of a cluster: the tuned model's first question, and the base's answer."""
    mine = [r for r in study.records(study.at) if r.cluster == cluster and r.sample]
    samples = [r for r in mine if r.scoring.show_options]
    tuned = [r for r in samples if r.factors.arm == "tuned"]
    if not tuned:
        return []
    place = {key: n for n, key in enumerate(study.catalogue.tasks)}
    first = min(
        tuned,
        key=lambda r: (
            r.factors.seed != study.settings.seed,
            place.get(r.task, len(place)),
            r.task,
        ),
    )
    base = [r for r in samples if r.task == first.task and r.factors.arm == "base"]
    found = {"answer base": base[0].sample["answer"]} if base else {}
    found |= {"answer tuned": first.sample["answer"], "answer right": first.sample["target"]}
    return _rows(first.cluster, first.task, first.sample["input"], found, "recorded")


def _alone(study: Study, cluster: str) -> list[dict[str, Any]]:
    """A cluster's question without answers; nothing where its rows are not at hand."""
    task = study.tasks[cluster][0] if cluster in study.tasks else None
    try:
        if task is None:
            return []
        example = requests.first_example(study.catalogue, task, "eval", study.settings.rows)
    except MissingResultError:
        return []
    asked = templates.render(example, requests.templates_for(study.catalogue, task, Scoring())[0])
    return _rows(cluster, task.key, asked.input, {}, "")


def _rows(
    cluster: str, task: str, text: str, found: dict[str, str], source: str
) -> list[dict[str, Any]]:
    about = {"cluster": cluster, "task": task, "source": source}
    return [
        {"panel": "unseen", "name": "prompt", "text": text, **about},
        *({"panel": p, "name": ANSWERS[p], "text": words, **about} for p, words in found.items()),
    ]
