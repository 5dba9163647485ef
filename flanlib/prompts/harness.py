"""Evaluation tasks for lm-evaluation-harness: one per task and template, rendered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flanlib.core import folders, naming
from flanlib.core.errors import MissingResultError
from flanlib.data import sources
from flanlib.data.adapters import answer_text
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.prompts import prompt, rendering, templates
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.template import Template

MAX_NEW_TOKENS = 256
CORPUS_METRICS = ("bleu", "rouge")

LOADER = '''"""Rows of these tasks, read from beside this file."""

import json
from pathlib import Path

import datasets


def load(file, **_):
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\\n") if line]
    return datasets.DatasetDict(test=datasets.Dataset.from_list(rows))
'''


def write(
    catalogue: Catalogue, out: Path, rows: Rows, tasks: Sequence[str], form: str, limit: int | None
) -> None:
    """Write task files of lm-evaluation-harness, their rows, and their groups.

    Parameters
    ----------
    limit
        Rows read per task; None reads all.

    Raises
    ------
    MissingResultError
        If no task has rows.
    """
    clusters: dict[str, list[str]] = {}
    skipped: dict[str, str] = {}
    for task in [catalogue.task(key) for key in tasks] or catalogue.tasks.values():
        asked = templates.of_task(catalogue, task, form)
        if task.kind == "rank":
            asked = templates.rankable(asked)
        asked = [t for t in asked if not t.inverted]
        try:
            examples = list(sources.examples(catalogue, task, "eval", rows=rows, limit=limit))
        except MissingResultError as error:
            skipped[task.key] = str(error)
            continue
        group = f"{catalogue.name}_{task.key}"
        names = []
        for template in asked:
            prompts = [rendering.phrase(example, template, form) for example in examples]
            names.append(_task(group, task, template, prompts, out))
        means = [
            {"metric": m["metric"], "aggregation": "mean", "weight_by_size": False}
            for m in _metrics(task)
        ]
        content = {"group": group, "task": names, "aggregate_metric_list": means}
        _yaml(out / f"{group}.yaml", content)
        clusters.setdefault(task.cluster, []).append(group)
    if not clusters:
        raise MissingResultError(
            f"{catalogue.name}: no task to export: "
            + naming.few(f"{key}: {why}" for key, why in skipped.items())
        )
    for cluster, groups in clusters.items():
        name = f"{catalogue.name}_{cluster}"
        if name not in groups:
            _yaml(out / f"{name}.yaml", {"group": name, "task": groups})
    folders.new_text(out / "rows.py", LOADER)
    first = next(iter(clusters.values()))[0]
    lines = [f"- {key}: {why}" for key, why in skipped.items()]
    folders.new_text(
        out / "README.md",
        f"# {catalogue.title}\n\nTasks for lm-evaluation-harness: one per task and template, a"
        " group per task (the mean over its templates) and per cluster.\n\n"
        f"    lm_eval --include_path . --tasks {first} --model hf --model_args pretrained=MODEL\n"
        + ("\nWithout rows, so not here:\n\n" + "\n".join(lines) + "\n" if lines else ""),
    )


def _task(group: str, task: Task, template: Template, prompts: Sequence[Prompt], out: Path) -> str:
    """Write one task file and its rows; return the task's name."""
    name = f"{group}_{template.id}"
    file = f"data/{task.key}/{template.id}.jsonl"
    ranked = task.kind == "rank"
    folders.new_lines(
        (
            {"query": p.input, "choices": list(p.options), "gold": p.gold}
            if ranked
            else {
                "query": p.input,
                "target": p.target,
                "references": list(map(answer_text, p.references)),
            }
            for p in prompts
        ),
        out / file,
    )
    content = {
        "task": name,
        "dataset_kwargs": {"file": file},
        "test_split": "test",
        "output_type": "multiple_choice" if ranked else "generate_until",
        "doc_to_text": "query",
        "target_delimiter": prompts[0].separator if prompts else prompt.SEPARATOR,
        "metric_list": _metrics(task),
        "metadata": {"version": 1.0},
    }
    if ranked:
        content |= {"doc_to_choice": "choices", "doc_to_target": "gold"}
    else:
        until = ["\n"] if task.stop == "newline" else ["\n\n"]
        content |= {
            "doc_to_target": "target" if _by_corpus(task) else "references",
            "generation_kwargs": {
                "until": until,
                "do_sample": False,
                "max_gen_toks": MAX_NEW_TOKENS,
            },
        }
    _yaml(out / f"{name}.yaml", content, "custom_dataset: !function rows.load\n")
    return name


def _by_corpus(task: Task) -> bool:
    return task.metric.startswith(CORPUS_METRICS)


def _metrics(task: Task) -> list[dict[str, Any]]:
    """What the harness can compute without files of its own to download."""
    if task.kind == "rank":
        return [
            {"metric": name, "aggregation": "mean", "higher_is_better": True}
            for name in ("acc", "acc_norm")
        ]
    if _by_corpus(task):
        return [
            {"metric": name, "aggregation": name, "higher_is_better": True}
            for name in ("bleu", "chrf")
        ]
    exact = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    return [exact | {"ignore_case": True, "ignore_punctuation": True}]


def _yaml(path: Path, content: Mapping[str, Any], extra: str = "") -> None:
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    folders.new_text(path, text + extra)
