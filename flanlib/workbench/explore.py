"""A base model and the same model tuned, side by side, for trying by hand.

`Bench` holds the two and asks them through the same scoring that the study
uses; `widgets.Panel` puts controls in front of it. The tuned model is one that kept a
cluster out of tuning, so that what it does there can be looked at.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from flanlib.core import bounds, naming, paths
from flanlib.core.config import run_id
from flanlib.core.errors import MissingResultError, ParameterError, RunError
from flanlib.core.progress import span
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Task
from flanlib.evaluation import choices, requests
from flanlib.evaluation.evaluate import Scorer
from flanlib.prompts import templates
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.template import Template
from flanlib.studies import profiles, runs
from flanlib.studies.arms import ASKED
from flanlib.studies.runs import Job
from flanlib.studies.study import Study, open_study
from flanlib.workbench.answers import MODELS, Answers, typed

__all__ = ["MODELS", "Answers", "Bench", "open_bench", "typed"]

MEANINGS = {
    **profiles.MEANINGS,
    "seed": "of the adapter tuned here",
    "held_out": "cluster that the tuned model was not tuned on",
    "adapter": "folder of a tuned adapter; empty: tuned here once, then reused",
    "steps": "tuning steps; 0: the profile's",
    "template": "template shown, by its id; empty: the first",
    "instruction": "an instruction of your own",
    "options": "answers to choose from, with | between; empty: it writes freely",
}
EXAMPLES = 100


@dataclass(frozen=True)
class Bench:
    """A base and a tuned model, and the collection's questions.

    Attributes
    ----------
    study
        What the settings describe, one cluster held out.
    adapter
        Folder of an adapter; empty tunes one, or takes that of the study.
    steps
        Tuning steps; 0 is the profile's recipe.
    """

    study: Study
    adapter: str = ""
    steps: int = 0

    @cached_property
    def job(self) -> Job:
        """The run that makes the tuned model; it scores nothing."""
        tuned = [cell for cell in self.study.cells() if cell[0].arm == "tuned"]
        (found, *_) = self.study.jobs(tuned, self.study.at)
        recipe = replace(found.recipe, steps=self.steps or found.recipe.steps)
        return replace(found, recipe=recipe, requests=())

    @property
    def folder(self) -> Path:
        """Where the tuned adapter is, or will be."""
        return Path(self.adapter or self.job.runs / run_id(self.job.factors, self.job.recipe))

    def plan(self) -> str:
        """What `models` will do, and how long it takes."""
        model, cluster = self.study.settings.model, self.job.factors.held_out
        if self.adapter:
            return f"{model} and the adapter {self.folder} will be loaded."
        kept = f"run {self.folder.name}"
        if self.folder.is_dir():
            return f"{model} was tuned with {cluster} held out ({kept}); it will be loaded."
        recipe = self.job.recipe
        how_long = "how long it takes is told after the first steps"
        if (paths.MODELS / model).is_dir():
            how_long = f"about {span(self.job.expected_s)} for a micro model on one CPU core"
        return (
            f"{model} will be tuned with {cluster} held out, once: {recipe.steps} steps of"
            f" {recipe.examples_per_step} examples ({kept}); {how_long}."
        )

    @cached_property
    def models(self) -> dict[str, Scorer]:
        """`base` and `tuned`, with the limits of the tuned one; tunes where it has to.

        Raises
        ------
        ParameterError
            If the adapter belongs to another model.
        """
        from flanlib.models import language_model
        from flanlib.training import result

        settings = self.study.settings
        if settings.profile == "rehearsal":
            runs.make_rehearsal_model(settings.model)
        if not self.adapter and not runs.tuned_today(self.job):
            if (self.folder / result.RUN).is_file():
                raise RunError(
                    f"{self.folder}: holds another run, tuned on other rows, templates or weights"
                    " than today's; delete the folder, and it is tuned again"
                )
            runs.compute(self.job)
        quantization = self.job.recipe.quantization
        loaded = {"base": language_model.load(settings.model, quantization=quantization)}
        if (self.folder / result.RUN).is_file():
            made = result.TuneResult.read(self.folder)
            if made.base != settings.model:
                raise ParameterError(
                    f"adapter: {self.folder} was tuned on {made.base}, not on {settings.model};"
                    f" give model {made.base!r} as well"
                )
            loaded["tuned"], recipe = made.load(), made.recipe
        else:
            recipe = self.job.recipe
            loaded["tuned"] = language_model.load(
                settings.model, quantization=quantization, adapter=self.folder
            )
        return {
            name: Scorer(lm=lm, tokenizer=tokenizer, recipe=recipe)
            for name, (lm, tokenizer) in loaded.items()
        }

    def ready(self) -> str:
        """Load both models, tuning one where it has to be; what there is now."""
        from flanlib.training import result

        _ = self.models
        if not (self.folder / result.RUN).is_file():
            return f"{self.folder}: an adapter of unknown making, over {self.study.settings.model}."
        made = result.TuneResult.read(self.folder)
        n, last = len(made.losses), made.losses[-20:]
        return (
            f"{made.base}, tuned with {made.factors.held_out} held out: {n} steps,"
            f" {made.progress.n_target} target tokens, loss {made.losses[0]:.2f} to"
            f" {sum(last) / len(last):.2f} nats, {span(made.progress.wall_s)} on {made.device}."
        )

    def tasks(self, cluster: str) -> tuple[Task, ...]:
        """A cluster's tasks whose rows are here."""
        every = self.study.catalogue.of_cluster(cluster)
        return tuple(task for task in every if task.key not in self.study.left_out)

    def find(self, cluster: str, dataset: str = "") -> Task:
        """A task by its own or its dataset's key; the cluster's first if empty."""
        every = self.tasks(cluster)
        chosen = [task for task in every if dataset in ("", task.key, task.dataset)]
        if not chosen:
            raise ParameterError(
                f"dataset: {dataset!r} is none of cluster {cluster} with rows here"
                + naming.alternatives(dataset, dict.fromkeys(task.dataset for task in every))
            )
        return chosen[0]

    def examples(self, task: Task) -> list[Example]:
        """The first evaluation examples of a task."""
        scoring = replace(ASKED, max_examples=EXAMPLES)
        return requests.examples_of(self.study.catalogue, task, scoring, self.study.settings.rows)

    def templates(self, task: Task) -> tuple[Template, ...]:
        """All templates of a task, inverted ones last."""
        every = templates.of_task(self.study.catalogue, task)
        return tuple(sorted(every, key=lambda template: template.inverted))

    def prompt(self, cluster: str, dataset: str = "", template: str = "", n: int = 0) -> Prompt:
        """A question of the collection.

        Parameters
        ----------
        template
            Id of a template; empty is the first.
        n
            Which evaluation example, from 0.
        """
        task = self.find(cluster, dataset)
        every = {one.id: one for one in self.templates(task)}
        if template and template not in every:
            raise ParameterError(f"template: {template!r} is none of {', '.join(every)}")
        examples = self.examples(task)
        if not examples:
            raise MissingResultError(f"dataset: {task.dataset} has no evaluation rows here")
        chosen = every[template or next(iter(every))]
        return templates.render(examples[n % len(examples)], chosen)

    def seen(self, task: Task) -> str:
        """Whether the tuned model was tuned on a task, in words."""
        from flanlib.training import result

        held_out = self.job.factors.held_out
        if self.adapter:
            if not (self.folder / result.RUN).is_file():
                return "what this adapter was tuned on is not known"
            factors = result.TuneResult.read(self.folder).factors
            if factors.collection != self.study.catalogue.name or factors.tasks:
                return f"tuned on {factors.collection}: {', '.join(factors.tasks) or 'its tasks'}"
            held_out = factors.held_out
        split = self.study.catalogue.held_out(held_out)
        if task in split.evaluation:
            return f"not seen in tuning: {task.cluster} was held out"
        if why := split.removed.get(task.key):
            return f"not seen in tuning: {why}"
        return "seen in tuning: other examples of this dataset were tuned on"

    def ask(self, prompt: Prompt) -> Answers:
        """Both models' answers to a prompt, scored as the study scores.

        A typed prompt belongs to no task, and what is written to it ends where
        the model ends it.
        """
        known = self.study.catalogue.tasks.get(prompt.task)
        written, cut = {}, 0
        table = pd.DataFrame(
            {
                "option": prompt.options,
                "right": [k == prompt.gold for k in range(len(prompt.options))],
            }
        )
        for name, scorer in self.models.items():
            wrote = scorer.table([prompt], "generate", known.stop if known else "end")
            written[name] = str(wrote["prediction"].iloc[0])
            cut = max(cut, int(wrote["n_cut"].iloc[0]))
            if prompt.options:
                values = choices.compared(scorer.table([prompt], "rank"), ASKED.choice).to_numpy()
                if not np.isfinite(values).all():
                    raise RunError(f"{name} model: its scores are no numbers; load another")
                mass = np.exp(values - values.max())
                table[name], table[f"{name}_ll"] = mass / mass.sum(), values
        return Answers(prompt=prompt, written=written, table=table, n_cut=cut)


def open_bench(
    *, held_out: str = "nli", adapter: str = "", steps: int = 0, **given: object
) -> Bench:
    """The models and questions that parameters describe; nothing is loaded.

    Parameters
    ----------
    held_out
        The one cluster that the tuned model was not tuned on.
    adapter
        Folder of an adapter tuned elsewhere; empty tunes or reuses one.
    steps
        Tuning steps; 0 is the profile's.
    given
        What `profiles.settings` takes: profile, collection, model, seed, rows.

    Raises
    ------
    ParameterError
        If `held_out` is not one cluster, or the adapter is no folder.
    """
    study = open_study(held_out=held_out, **given)
    if len(study.clusters) != 1:
        raise ParameterError(f"held_out: {held_out!r}; give one of {', '.join(study.clusters)}")
    if adapter and not Path(adapter).is_dir():
        raise ParameterError(f"adapter: {adapter!r} is no folder; give one, or leave it empty")
    return Bench(study, adapter, bounds.check("steps", bounds.Count, steps))
