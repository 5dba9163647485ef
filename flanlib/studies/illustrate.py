"""Answers of base and tuned model to questions that were written for illustration.

Records of real datasets hold no text. `illustrations.json` beside them holds
what the same models answered to the collection's own examples: the first one
of the first dataset of each held-out cluster, in the first template, right or
wrong. No result counts them.
"""

import json
from typing import Any

from flanlib.core import paths, storage
from flanlib.core.config import Scoring, digest, run_id
from flanlib.core.errors import DataError, MissingResultError
from flanlib.core.progress import say
from flanlib.data.catalogue import Task
from flanlib.evaluation import illustrations
from flanlib.models import weights
from flanlib.studies.study import Study

FILE = "illustrations.json"


def questions(study: Study, clusters: tuple[str, ...]) -> list[Task]:
    """The first task of each cluster that examples were written for, in the order given."""
    found = []
    for cluster in clusters:
        tasks = study.catalogue.of_cluster(cluster)
        found += [t for t in tasks if illustrations.of_task(study.catalogue, t)][:1]
    return found


def make(study: Study) -> list[dict[str, Any]]:
    """Ask base and tuned models, write the file, and give what it has.

    Groups whose tuned model of the study's seed is not in build/runs are left
    out, and told.

    Raises
    ------
    MissingResultError
        If no tuned model is there.
    """
    from flanlib.evaluation.evaluate import Scorer, evaluate
    from flanlib.models import language_model

    settings, recipe = study.settings, study.settings.defaults.recipe
    found: list[dict[str, Any]] = []
    for group in settings.defaults.held_out_groups:
        factors = study.tuned_without(group[0])
        run = paths.RUNS / run_id(factors, recipe)
        if not (run / "run.json").is_file():
            say(f"{factors.held_out}: no tuned model in {run.name}; its questions are left out")
            continue
        clusters = tuple(c for c in group if c in factors.held_out.split("+"))
        lines = {task.key: _about(study, task) for task in questions(study, clusters)}
        for arm, adapter in (("base", None), ("tuned", run)):
            lm, tokenizer = language_model.load(
                settings.model, quantization=recipe.quantization, adapter=adapter
            )
            scorer = Scorer(lm=lm, tokenizer=tokenizer, recipe=recipe)
            for key, line in lines.items():
                task = study.catalogue.task(key)
                example = illustrations.of_task(study.catalogue, task)[:1]
                scored = evaluate(scorer, task, example, Scoring(), collection=study.catalogue)
                line[arm] = scored.sample()["answer"]
        found += [{**line, "run": run.name} for line in lines.values()]
    if not found:
        raise MissingResultError(
            f"no tuned model of {settings.model}, seed {settings.seed}, in {paths.RUNS}; make it"
            f" with `{study.command}`"
        )
    about = {
        "what": f"answers to questions {illustrations.WRITTEN}; no result counts them",
        "model": settings.model,
        "base_digest": weights.fingerprint(settings.model),
        "tokenizer_digest": weights.tokenizer_digest(settings.model),
        "seed": settings.seed,
        "questions": found,
    }
    storage.write(study.at / FILE, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return found


def read(study: Study) -> list[dict[str, Any]]:
    """What `make` wrote, but for questions that have changed since; none is an empty list.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    path = study.at / FILE
    if not path.is_file():
        return []
    found = storage.read_json(path, f"make it anew with `flanlib illustrate`, or restore {path}")
    try:
        if found["model"] != study.settings.model:
            return []
        lines = [{k: str(line[k]) for k in KEYS} for line in found["questions"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: {error} is missing; make it anew") from None
    tasks = study.catalogue.tasks
    return [
        line
        for line in lines
        if line["task"] in tasks and _about(study, tasks[line["task"]])["asked"] == line["asked"]
    ]


KEYS = ("task", "template", "asked", "base", "tuned", "run")


def _about(study: Study, task: Task) -> dict[str, str]:
    """Which question of a task is asked, with the digest of its words."""
    asked = illustrations.prompt_of(study.catalogue, task)
    return {"task": task.key, "template": asked.template, "asked": digest(asked.input)}
