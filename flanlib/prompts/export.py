"""Templates and mixtures in the formats of other tools.

`lm-eval` gets evaluation tasks: one per task and template, rendered. The
others get a mixture to tune on.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from flanlib import catalogue as catalogues
from flanlib import sources, templates
from flanlib.catalogue import Catalogue, Task
from flanlib.errors import MissingResultError, ParameterError
from flanlib.mixture import Mixture, mixture
from flanlib.prompts import rendering
from flanlib.prompts.audit import Audit
from flanlib.templates import Prompt, Template

Target = Literal["lm-eval", "jsonl", "trl", "axolotl", "llama-factory"]

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


@dataclass(frozen=True, kw_only=True)
class Format:
    """How another tool wants a mixture.

    Attributes
    ----------
    row
        A prompt in its columns.
    settings
        Name and content of the file that tells it how to read them.
    use
        What a person does next.
    """

    row: Callable[[Prompt], dict[str, Any]]
    settings: Callable[[str, str], Mapping[str, str]]
    use: str


def _axolotl_settings(name: str, separator: str) -> Mapping[str, str]:
    asked = {"field_instruction": "instruction", "field_output": "output", "system_prompt": ""}
    shape = "{instruction}" + separator
    kind = asked | {"format": shape, "no_input_format": shape}
    dataset = {"path": "train.jsonl", "ds_type": "json", "type": kind}
    content = {"datasets": [dataset], "train_on_inputs": False}
    return {"dataset.yaml": yaml.safe_dump(content, sort_keys=False)}


def _llama_factory_settings(name: str, separator: str) -> Mapping[str, str]:
    columns = {"prompt": "instruction", "response": "output"}
    content = {name: {"file_name": "train.jsonl", "columns": columns}}
    return {"dataset_info.json": json.dumps(content, indent=2) + "\n"}


FORMATS: dict[str, Format] = {
    "jsonl": Format(
        row=rendering.record,
        settings=lambda name, separator: {},
        use="Each line is one example; the model reads `input` + `separator` and writes `target`.",
    ),
    "trl": Format(
        row=lambda p: {"prompt": p.input + p.separator, "completion": p.target},
        settings=lambda name, separator: {},
        use="Give `datasets.load_dataset('json', data_files='train.jsonl')['train']` to"
        " `trl.SFTTrainer`: loss falls on the completion and the end token alone.",
    ),
    "axolotl": Format(
        row=lambda p: {"instruction": p.input, "output": p.target},
        settings=_axolotl_settings,
        use="Copy the keys of `dataset.yaml` into the training configuration and start axolotl"
        " in this folder.",
    ),
    "llama-factory": Format(
        row=lambda p: {"instruction": p.input + p.separator, "output": p.target},
        settings=_llama_factory_settings,
        use="Set `dataset_dir` to this folder and `template: fewshot`, the template that adds"
        " nothing before the prompt and trains the end token.",
    ),
}


def export(
    collection: str | Path | Catalogue,
    to: Target,
    out: str | Path,
    *,
    rows: str | Path | None = None,
    tasks: Sequence[str] = (),
    held_out: str = "",
    seed: int = 0,
    form: str = "instruction",
    n: int = 10_000,
    limit: int | None = None,
) -> Path:
    """Write a collection for another tool.

    Parameters
    ----------
    to
        `lm-eval` for evaluation tasks; `jsonl`, `trl`, `axolotl` or
        `llama-factory` for a mixture.
    out
        Folder to write; made if absent.
    tasks
        Task keys; empty means all whose rows are there.
    held_out, seed, n
        Of the mixture: cluster left out with its neighbours ("" leaves
        nothing out), seed, examples.
    limit
        Rows read per task; None reads all.

    Returns
    -------
    Path
        The folder. Its `README.md` says how to go on.

    Raises
    ------
    ParameterError
        If there is no such target.
    """
    if to not in get_args(Target):
        raise ParameterError(f"export: no target {to!r}; there are {', '.join(get_args(Target))}")
    found = collection if isinstance(collection, Catalogue) else catalogues.load(collection)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if to == "lm-eval":
        _evaluation(found, out, rows, tasks, form, limit)
    else:
        mixed = mixture(found, held_out, seed=seed, form=form, tasks=tasks, rows=rows, limit=limit)
        _mixture(found, mixed, FORMATS[to], out, n)
    return out


def mix(
    collection: str | Path | Catalogue,
    held_out: str,
    out: str | Path,
    *,
    n: int = 10_000,
    tokenizer: str = "",
    **settings: Any,
) -> Audit:
    """Write a mixture as JSON lines, and its audit beside it.

    Parameters
    ----------
    held_out
        Cluster left out with its neighbours; "" leaves nothing out.
    out
        File of JSON lines; the audit goes to the same name with
        `.audit.json`.
    n
        Examples.
    tokenizer
        Folder or hub id; adds token counts to the audit.
    settings
        What `mixture` takes: `seed`, `rows`, `form`, `clusters` and so on.
    """
    found = collection if isinstance(collection, Catalogue) else catalogues.load(collection)
    mixed, out = mixture(found, held_out, **settings), Path(out)
    write_rows(map(rendering.record, islice(mixed, n)), out)
    measure = None
    if tokenizer:
        from transformers import AutoTokenizer

        measure = AutoTokenizer.from_pretrained(tokenizer)
    audit = mixed.audit(measure)
    _write_json(out.with_suffix(".audit.json"), audit.to_dict())
    return audit


def _mixture(catalogue: Catalogue, mixed: Mixture, shape: Format, out: Path, n: int) -> None:
    write_rows(map(shape.row, islice(mixed, n)), out / "train.jsonl")
    _write_json(out / "audit.json", mixed.audit().to_dict())
    separators = {part.separator for part in mixed.parts}
    for name, content in shape.settings(catalogue.name, separators.pop()).items():
        _write(out / name, content)
    settings = ", ".join(f"{k}={v!r}" for k, v in mixed.settings.items() if v)
    _write(
        out / "README.md",
        f"# {catalogue.title}\n\n{n} examples in `train.jsonl`, mixed with {settings}."
        f" `audit.json` says what is in them and what was left out.\n\n{shape.use}\n",
    )


def _evaluation(
    catalogue: Catalogue,
    out: Path,
    rows: str | Path | None,
    tasks: Sequence[str],
    form: str,
    limit: int | None,
) -> None:
    """Task files of lm-evaluation-harness, their rows, and their groups."""
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
            names.append(_evaluation_task(group, task, template, prompts, out))
        metrics = [m["metric"] for m in _metrics(task)]
        _write_yaml(out / f"{group}.yaml", _group(group, names, metrics))
        clusters.setdefault(task.cluster, []).append(group)
    if not clusters:
        raise MissingResultError(
            f"{catalogue.name}: no task to export: "
            + "; ".join(f"{key}: {why}" for key, why in skipped.items())
        )
    for cluster, groups in clusters.items():
        name = f"{catalogue.name}_{cluster}"
        if name not in groups:
            _write_yaml(out / f"{name}.yaml", {"group": name, "task": groups})
    _write(out / "rows.py", LOADER)
    first = next(iter(clusters.values()))[0]
    lines = [f"- {key}: {why}" for key, why in skipped.items()]
    _write(
        out / "README.md",
        f"# {catalogue.title}\n\nTasks for lm-evaluation-harness: one per task and template, a"
        " group per task (the mean over its templates) and per cluster.\n\n"
        f"    lm_eval --include_path . --tasks {first} --model hf --model_args pretrained=MODEL\n"
        + ("\nWithout rows, so not here:\n\n" + "\n".join(lines) + "\n" if lines else ""),
    )


def _evaluation_task(
    group: str, task: Task, template: Template, prompts: Sequence[Prompt], out: Path
) -> str:
    """Write one task file and its rows; return the task's name."""
    name = f"{group}_{template.id}"
    file = f"data/{task.key}/{template.id}.jsonl"
    ranked = task.kind == "rank"
    write_rows(
        (
            {"query": p.input, "choices": list(p.options), "gold": p.gold}
            if ranked
            else {"query": p.input, "target": p.target, "references": list(p.references)}
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
        "target_delimiter": prompts[0].separator if prompts else templates.SEPARATOR,
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
    _write_yaml(out / f"{name}.yaml", content, "custom_dataset: !function rows.load\n")
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


def _group(name: str, tasks: list[str], metrics: Iterable[str]) -> dict[str, Any]:
    means = [{"metric": m, "aggregation": "mean", "weight_by_size": False} for m in metrics]
    return {"group": name, "task": tasks, "aggregate_metric_list": means}


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write JSON lines, making the folder; return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encode, count = json.JSONEncoder(ensure_ascii=False).encode, 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(encode(row) + "\n")
            count += 1
    return count


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_json(path: Path, content: Any) -> None:
    _write(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _write_yaml(path: Path, content: Mapping[str, Any], extra: str = "") -> None:
    _write(path, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True) + extra)
