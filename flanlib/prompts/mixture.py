"""Examples-proportional mixing of tasks, with caps, refusing leaks.

Each draw takes a task at a rate proportional to min(n, 3000), the next of
its shuffled train examples, and one of its templates.

Source
------
Wei et al. 2022, section 2.4 and appendix: 30 000 examples per dataset at
most, mixing rate maximum 3 000 (the scheme of Raffel et al. 2020).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from flanlib.core import naming
from flanlib.core.bounds import Count, Exemplars, PositiveInt, Seed, Share, Templates, checked
from flanlib.core.config import Factors, Form, Recipe
from flanlib.core.errors import LeakageError, MissingResultError, ParameterError
from flanlib.data import sources
from flanlib.data.catalogue import TRAIN_CAP, Catalogue, Split, Task, load
from flanlib.data.source import Rows
from flanlib.prompts import overlap, templates
from flanlib.prompts.audit import EvaluationAudit, TaskAudit
from flanlib.prompts.stream import Mixture, Part, Store, shuffled
from flanlib.prompts.template import Template, separator_of

RATE_CAP = 3_000


@checked
def mixture(
    catalogue: Catalogue,
    held_out: str | None,
    *,
    seed: Seed,
    form: Form = "instruction",
    clusters: Sequence[str] = (),
    tasks: Sequence[str] = (),
    n_templates: Templates = 0,
    n_examples: Count = 0,
    rows: Rows = None,
    limit: PositiveInt | None = None,
    exemplar_share: Share = 0.0,
    max_exemplars: Exemplars = 3,
) -> Mixture:
    """What a model is tuned on when one cluster is held out.

    Parameters
    ----------
    held_out
        Cluster to leave out with its neighbours; None or "" leaves nothing out.
    seed
        Of the order, the templates drawn and kept, and the exemplars; not of
        the train, dev and evaluation cuts, which are the same for all.
    form
        `instruction`, `dataset-name`, `none` or `cloze`.
    clusters, tasks
        What to tune on; empty means all that the held-out rule leaves.
    n_templates
        Templates kept per dataset, a seeded choice, the smaller choice inside
        the larger; 0 keeps all.
    n_examples
        Examples kept per task, a seeded choice; 0 keeps all.
    rows
        A source of rows, or a folder; None lets the collection decide.
    limit
        Most train rows read per task; without it, and at most, 30 000.
    exemplar_share
        Share of examples with one to `max_exemplars` solved exemplars of the
        same task and template in front.

    Raises
    ------
    ParameterError
        If a number or a form is not what the types allow.
    LeakageError
        If tuning and evaluation would share a dataset or an example's text.
    MissingResultError
        If no task has train rows.
    """
    settings = {
        "held_out": held_out or "",
        "seed": seed,
        "form": form,
        "clusters": list(clusters),
        "tasks": list(tasks),
        "n_templates": n_templates,
        "n_examples": n_examples,
        "limit": min(limit or TRAIN_CAP, TRAIN_CAP),
        "exemplar_share": exemplar_share,
        "max_exemplars": max_exemplars,
    }
    split = _split(catalogue, settings)
    texts = overlap.Texts()
    evaluation = tuple(_remember(texts, catalogue, task, rows) for task in split.evaluation)
    store, parts, audits = Store(), {}, {}
    for task in split.tuning:
        part, audits[task.key] = _read(store, texts, catalogue, task, rows, settings)
        if part is not None:
            parts[task.key] = part
    store.flush()
    if not parts:
        reasons = [
            f"{key}: {str(audit.excluded).removeprefix(f'task {key}: ')}"
            for key, audit in audits.items()
        ]
        raise MissingResultError(
            f"{catalogue.name}: no task to tune on while {held_out or 'nothing'!r} is held out: "
            + (naming.few(reasons, 1) or "none is left")
        )
    total = sum(min(len(part.rows), RATE_CAP) for part in parts.values())
    for key, part in parts.items():
        rate = min(len(part.rows), RATE_CAP) / total
        parts[key] = replace(part, rate=rate)
        audits[key] = replace(audits[key], rate=rate)
    for key, why in split.removed.items():
        task = catalogue.task(key)
        audits[key] = TaskAudit(task=key, dataset=task.dataset, cluster=task.cluster, excluded=why)
    return Mixture(
        catalogue=catalogue,
        settings=settings,
        parts=tuple(parts.values()),
        store=store,
        texts=texts,
        tasks=tuple(audits[key] for key in catalogue.tasks if key in audits),
        evaluation=evaluation,
    )


def of_run(
    factors: Factors,
    recipe: Recipe,
    rows: Rows = None,
    *,
    collection: Catalogue | str = "",
    limit: int = 0,
) -> Mixture:
    """The mixture an arm is tuned on.

    The `single-task` and `prompt-tuned` arms train on the tasks they are
    asked about, so for them nothing is held out.

    Parameters
    ----------
    collection
        The collection or its folder, where its name alone does not say it.

    Raises
    ------
    ParameterError
        If an arm that trains on named tasks has none.
    """
    named = collection or factors.collection
    return mixture(
        load(named) if isinstance(named, str) else named,
        _kept_away(factors),
        seed=factors.seed,
        form=factors.form,
        clusters=factors.clusters,
        tasks=factors.tasks,
        n_templates=factors.n_templates,
        n_examples=factors.n_examples,
        rows=rows,
        limit=limit or None,
        exemplar_share=recipe.exemplar_share,
        max_exemplars=recipe.max_exemplars,
    )


def split_of(factors: Factors, catalogue: Catalogue) -> Split:
    """The tasks that an arm is tuned on, and those that are kept away from it.

    Raises
    ------
    LeakageError
        If a task to tune on is held out.
    ParameterError
        If an arm that trains on named tasks has none.
    """
    named = {"clusters": factors.clusters, "tasks": factors.tasks}
    return _split(catalogue, {"held_out": _kept_away(factors) or "", **named})


def _kept_away(factors: Factors) -> str | None:
    """The clusters held out; None for arms that train on the tasks they are asked about."""
    if factors.arm not in ("single-task", "prompt-tuned"):
        return factors.held_out
    if not factors.tasks:
        raise ParameterError(f"arm {factors.arm!r} needs tasks; found none")
    return None


def _split(catalogue: Catalogue, settings: dict[str, Any]) -> Split:
    """Tasks to tune on and to check against, after `clusters` and `tasks`."""
    held_out, names = settings["held_out"], settings["tasks"]
    split = catalogue.held_out(held_out, settings["clusters"])
    if not names:
        return split
    allowed = {task.key for task in split.tuning}
    for name in names:
        catalogue.task(name)
        if name not in allowed:
            why = split.removed.get(name, f"it is evaluated in {held_out}")
            raise LeakageError(
                f"{catalogue.name}: task {name!r} may not be tuned on while {held_out!r} is held"
                f" out ({why}); name tasks of other clusters, or hold nothing out"
            )
    unnamed = {key: "task was not chosen" for key in allowed - set(names)}
    return replace(
        split,
        tuning=tuple(task for task in split.tuning if task.key in names),
        removed=split.removed | unnamed,
    )


def _remember(
    texts: overlap.Texts, catalogue: Catalogue, task: Task, rows: Rows
) -> EvaluationAudit:
    """Take in the texts of a held-out task's dev and evaluation rows."""
    n, missing = 0, []
    for part in ("dev", "eval"):
        try:
            found = sources.examples(catalogue, task, part, rows=rows)
            n += texts.add(found, dev=part == "dev")
        except MissingResultError as error:
            missing.append(str(error))
    return EvaluationAudit(task=task.key, n=n, unchecked="; ".join(dict.fromkeys(missing)))


def _read(
    store: Store,
    texts: overlap.Texts,
    catalogue: Catalogue,
    task: Task,
    rows: Rows,
    settings: dict[str, Any],
) -> tuple[Part | None, TaskAudit]:
    """Store a task's usable train examples, and count the others."""
    audit = TaskAudit(task=task.key, dataset=task.dataset, cluster=task.cluster)
    chosen = _templates(catalogue, task, settings)
    if not chosen:
        return None, replace(audit, excluded=f"no template of form {settings['form']}")
    first, n_read, n_similar, n_empty, uneven = len(store), 0, 0, 0, False
    try:
        for example in sources.examples(
            catalogue, task, "train", rows=rows, limit=settings["limit"]
        ):
            n_read += 1
            if (twin := texts.scored(example)) is not None:
                raise LeakageError(
                    f"{catalogue.name}: train row {example.id} of task {task.key} says what"
                    f" evaluation row {twin} says; remove it from the source, or make their"
                    f" clusters neighbours in {catalogue.root / 'catalogue.yaml'}"
                )
            n_applying = sum(template.applies(example) for template in chosen)
            if not n_applying:
                n_empty += 1
            elif texts.resembles(example):
                n_similar += 1
            else:
                uneven = uneven or n_applying < len(chosen)
                store.append(example)
    except MissingResultError as error:
        return None, replace(audit, excluded=str(error))
    found = np.arange(first, len(store), dtype=np.uint32)
    if 0 < settings["n_examples"] < len(found):
        order = shuffled(len(found), settings["seed"], 3, task.key)
        found = np.sort(found[order[: settings["n_examples"]]])
    audit = replace(
        audit,
        n_read=n_read,
        n_similar=n_similar,
        n_empty=n_empty,
        n=len(found),
        n_templates=len(chosen),
        n_inverted=sum(t.inverted for t in chosen),
    )
    if not len(found):
        return None, replace(audit, excluded="no train row is left" if n_read else "no train row")
    separator = separator_of(settings["form"])
    part = Part(
        task=task, templates=chosen, separator=separator, rows=found, uneven=uneven, rate=0.0
    )
    return part, audit


def _templates(catalogue: Catalogue, task: Task, settings: dict[str, Any]) -> tuple[Template, ...]:
    """A dataset's templates; of `n_templates`, one at least is not inverted."""
    found, n = templates.of_task(catalogue, task, settings["form"]), settings["n_templates"]
    if not 0 < n < len(found):
        return found
    order = [int(i) for i in shuffled(len(found), settings["seed"], 4, task.template_set)]
    first = next((i for i in order if not found[i].inverted), order[0])
    kept = [first, *(i for i in order if i != first)][:n]
    return tuple(found[i] for i in sorted(kept))
