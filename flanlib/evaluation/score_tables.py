"""What the command `score` writes: sheets of scores, and what they amount to.

A sheet holds everything scored for one task, as Parquet shards: for a ranking
task the log-likelihood of every option of every prompt, for a generating task
the text written. `results.jsonl` beside the sheets has one line per task.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flanlib.core import folders, naming, storage
from flanlib.core.config import Scoring
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data import files
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.evaluation import requests
from flanlib.evaluation.evaluate import Scorer, evaluate, rounded

RESULTS = "results.jsonl"


def score_tasks(
    scorer: Scorer,
    catalogue: Catalogue,
    tasks: Iterable[Task],
    scoring: Scoring,
    *,
    out: Path,
    rows: Rows = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[dict[str, Any]]:
    """Score tasks one after another; yield what was measured of each.

    A task's sheet is `out`/<task>/*.parquet. What was scored already is not
    scored again.

    Parameters
    ----------
    scoring
        How all of them are asked.
    seed
        Of the exemplars.
    about
        What each line says of the model.

    Raises
    ------
    MissingResultError
        If a task's rows are not there.
    DataError
        If a task's metric cannot count its answers.
    RunError
        If `out` holds sheets of another model, of other rows or settings.
    """
    folders.make(out)
    _lines(out)  # a damaged one shows before anything is scored
    chosen = list(tasks)
    requests.check(catalogue, [(scoring, task.key) for task in chosen], rows)
    asked = {
        **(about or {}),
        "seed": seed,
        "max_input_tokens": scorer.recipe.max_input_tokens,
        "max_new_tokens": scorer.recipe.max_target_tokens,
        "scoring": asdict(scoring),
    }
    for number, task in enumerate(chosen, 1):
        head = f"[{number}/{len(chosen)}] {task.key}"
        scored = evaluate(
            scorer,
            task,
            requests.examples_of(catalogue, task, scoring, rows),
            scoring,
            collection=catalogue,
            rows=rows,
            seed=seed,
            keep=out / task.key,
            say=lambda line, head=head: say(f"{head}: {line}"),
        )
        about_it = {"task": task.key, "dataset": task.dataset, "cluster": task.cluster}
        ends = {end: rounded(getattr(scored.evaluation, end)) for end in ("low", "high")}
        measured = {**about_it, **scored.line(), **ends, "asked": asked, "sheet": task.key}
        measured["close"] = measured["responses"].get("close")
        _write(out, measured)
        say(f"{head}: {measured['metric']} {measured['value']:.1f} (n {measured['n']})")
        yield measured


def _write(out: Path, measured: Mapping[str, Any]) -> None:
    """Put a task's line among those of the other tasks."""
    with storage.locked(out), storage.writing(out / RESULTS) as file:
        others = [line for line in _lines(out) if line["task"] != measured["task"]]
        for line in (*others, measured):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _lines(out: Path) -> list[dict[str, Any]]:
    """What is on record of the tasks that were scored into a folder."""
    path, found = out / RESULTS, []
    if not path.is_file():
        return found
    for number, text in enumerate(path.read_bytes().split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text.decode("utf-8"))
            found.append({"task": line["task"], **line})
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(
                f"{path}:{number}: not what was measured of a task; delete the file and give the"
                " same command: what was scored is kept beside it"
            ) from None
    return found


def score_file(
    scorer: Scorer, path: Path, *, option_prefix: str, out: Path
) -> tuple[int, float | None]:
    """Score ready-made prompts into `out`/scores.jsonl.

    Nothing is known of such a prompt but its text, so one that does not fit the
    model's context loses its beginning; how many did, and by how much, is told.

    Parameters
    ----------
    path
        JSON lines with `id`, `input`, `options` and, if known, `gold`.

    Returns
    -------
    How many there were, and percent right by the summed log-likelihood; None
    unless every line has its `gold`.
    """
    from flanlib.evaluation import score

    lines = ready_made(path)
    folders.make(out)
    requests = [(line["input"], line["options"]) for line in lines]
    found = score.loglikelihoods(
        scorer.lm,
        scorer.tokenizer,
        requests,
        option_prefix=option_prefix,
        names=[f"{path}, id {line['id']!r}" for line in lines],
        token_budget=scorer.token_budget,
    )
    with storage.writing(out / "scores.jsonl") as file:
        for line, options in zip(lines, found, strict=True):
            columns = {key: [o[key] for o in options] for key in ("ll", "n_tokens", "n_bytes")}
            file.write(json.dumps({"id": line["id"], **columns}, ensure_ascii=False) + "\n")
    if any(line.get("gold") is None for line in lines):
        return len(lines), None
    best = [max(range(len(o)), key=lambda k, o=o: o[k]["ll"]) for o in found]
    right = sum(k == line["gold"] for k, line in zip(best, lines, strict=True))
    return len(lines), 100 * right / len(lines)


def ready_made(path: Path) -> list[dict[str, Any]]:
    """Lines of a file of ready-made prompts.

    Raises
    ------
    MissingResultError
        If there is no such file.
    DataError
        Naming file, line and field of what is no prompt.
    """
    if not os.path.lexists(path):
        raise MissingResultError(f"{path}: no such file of prompts")
    found: dict[Any, tuple[str, dict[str, Any]]] = {}
    for place, line in files.objects(files.regular(path)):
        if isinstance(line, DataError):
            raise line
        if wrong := _wrong(line):
            raise DataError(f"{place}: {wrong}")
        if line["id"] in found:
            raise DataError(
                f"{place}: id {naming.shown(line['id'])} stands in {found[line['id']][0]} already;"
                " give every prompt its own"
            )
        found[line["id"]] = place, line
    if not found:
        raise DataError(f"{path}: no prompts")
    return [line for _, line in found.values()]


def _wrong(line: dict[str, Any]) -> str:
    """What is wrong with a ready-made prompt; empty when nothing is."""
    for name in ("id", "input", "options"):
        if name not in line:
            there = naming.few(map(naming.shown, line), 8, ", ")
            return f"no {name!r}; found {there}"
    options, gold = line["options"], line.get("gold")
    if not isinstance(line["id"], str) and type(line["id"]) is not int:
        return f"id is {naming.shown(line['id'])}; text or a whole number is wanted"
    if not isinstance(line["input"], str) or not line["input"]:
        return f"input is {naming.shown(line['input'])}; text is wanted"
    if not isinstance(options, list) or not options or not all(isinstance(o, str) for o in options):
        return f"options is {naming.shown(options)}; a list of texts is wanted"
    if (blank := next((k for k, o in enumerate(options) if not o.strip()), None)) is not None:
        return f"options[{blank}] is {naming.shown(options[blank])}, empty or white space alone"
    if gold is not None and (type(gold) is not int or not 0 <= gold < len(options)):
        return f"gold is {naming.shown(gold)}; an index below {len(options)} is wanted"
    return ""
