"""The one way from a task to its number: prompts, scores, metric.

The study, the command `score`, the explorer and Python code all score through
`Scorer`, and all measure a task through `evaluate`. So the same question is
phrased, shortened, read and ended in the same way, whoever asks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from flanlib.core.config import Quantization, Recipe, Scoring
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Catalogue, Kind, Task
from flanlib.data.source import Rows
from flanlib.evaluation import choices, exemplars, metrics, requests
from flanlib.evaluation.metrics import Evaluation
from flanlib.prompts.prompt import Prompt

if TYPE_CHECKING:
    from flanlib.training.result import TuneResult

ZERO_SHOT = Scoring()


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model, and the limits that what it reads and writes has to fit.

    Attributes
    ----------
    lm, tokenizer
        As `language_model.load` gives them.
    recipe
        Its `max_input_tokens` and `max_target_tokens` are the limits; a tuned
        model is scored within those that it was tuned with.
    token_budget
        Tokens in one forward pass; None fits the device.
    """

    lm: LanguageModel
    tokenizer: Tokenizer
    recipe: Recipe = field(default_factory=Recipe)
    token_budget: int | None = None

    @classmethod
    def of_run(cls, run: "TuneResult | str | Path") -> Self:
        """The scorer of a tuned model, with the limits that it was tuned within.

        Parameters
        ----------
        run
            What `tune` returned, or the folder it wrote to.
        """
        from flanlib.training.result import TuneResult

        made = run if isinstance(run, TuneResult) else TuneResult.read(run)
        lm, tokenizer = made.load()
        return cls(lm=lm, tokenizer=tokenizer, recipe=made.recipe)

    @classmethod
    def of_base(
        cls, model: str, *, quantization: Quantization = "nf4", recipe: Recipe | None = None
    ) -> Self:
        """The scorer of an untuned model, within the limits of `recipe`; None takes the default."""
        from flanlib.models import language_model

        lm, tokenizer = language_model.load(model, quantization=quantization)
        return cls(lm=lm, tokenizer=tokenizer, recipe=recipe or Recipe())

    @cached_property
    def dtype(self) -> str:
        """The type that the model computes in, such as `float32`."""
        return str(self.lm.get_input_embeddings().weight.dtype).removeprefix("torch.")

    def table(
        self,
        prompts: Sequence[Prompt],
        kind: Kind,
        stop: str = "end",
        *,
        keep: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> pd.DataFrame:
        """Scores of prompts, as `score.rank` and `score.generate` give them.

        Parameters
        ----------
        kind
            `rank` gives log-likelihoods of the options, `generate` what is written.
        stop
            Where a written answer ends: `end` or `newline`.
        keep
            Folder that keeps the scores in shards, so that a stopped call goes on.
        say
            Told after each shard.

        Raises
        ------
        TemplateError
            If a prompt cannot be ranked, or its instruction alone is too long.
        RunError
            If `keep` holds scores of another model, of other prompts or limits.
        """
        from flanlib.evaluation import score, shards

        given: dict[str, Any] = {"max_input_tokens": self.recipe.max_input_tokens}
        if kind == "generate":
            given |= {"stop": stop, "max_new_tokens": self.recipe.max_target_tokens}
        given["token_budget"] = self.token_budget
        if keep is not None:
            return shards.run(
                self.lm, self.tokenizer, prompts, out=keep, kind=kind, say=say, **given
            )
        act = {"rank": score.rank, "generate": score.generate}[kind]
        return act(self.lm, self.tokenizer, prompts, **given)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What came of one task under one scoring.

    Attributes
    ----------
    evaluation
        The metric with its intervals.
    prompts
        What the model was asked, examples outermost.
    table
        What it made of each prompt; see `Scorer.table`.
    responses
        How it answers, as `choices.responses` says; empty for written answers.
    """

    evaluation: Evaluation
    prompts: Sequence[Prompt]
    table: pd.DataFrame
    responses: dict[str, Any]

    def line(self) -> dict[str, Any]:
        """What records and results keep of it: plain data, rounded so that lines stay short."""
        found = self.evaluation
        return {
            "metric": found.metric,
            "value": round(found.value, 4),
            "stderr": rounded(found.stderr),
            "chance": round(found.chance, 4),
            "n": found.n,
            "templates": {key: round(value, 4) for key, value in found.templates.items()},
            "scores": tuple(round(value, 1) for value in found.scores),
            "signature": found.signature,
            "responses": self.responses,
            "n_cut": choices.n_cut(self.table),
        }

    def sample(self) -> dict[str, Any]:
        """The first question, and what the model answered."""
        first, table = self.prompts[0], self.table
        mine = table[(table["example"] == first.example) & (table["template"] == first.template)]
        if "prediction" in table:
            answer = str(mine["prediction"].iloc[0])
        else:
            answer = first.options[int(mine.loc[mine["ll"].idxmax(), "option"])]
        return {
            "template": first.template,
            "example": first.example,
            "input": first.input,
            "target": first.target,
            "answer": answer,
        }


def rounded(value: float) -> float | None:
    """As lines of results have it; None of NaN."""
    return None if value != value else round(value, 4)


def evaluate(
    scorer: Scorer,
    task: Task | str,
    examples: Sequence[Example] | None = None,
    scoring: Scoring = ZERO_SHOT,
    *,
    collection: Catalogue,
    rows: Rows = None,
    seed: int = 0,
    keep: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Scored:
    """Score a task's examples under all templates, and measure the answers.

    Parameters
    ----------
    examples
        Those that are asked; None reads those that the scoring names.
    scoring
        How they are asked: form, exemplars, options, choice.
    collection
        Has the task's templates.
    rows
        Where exemplars come from; None takes the collection's own source.
    seed
        Of the exemplars.
    keep, say
        See `Scorer.table`.

    Raises
    ------
    TemplateError
        If no template of the form can be scored.
    MissingResultError
        If there are no rows, or exemplars are wanted and there are no train rows.
    """
    task = collection.task(task) if isinstance(task, str) else task
    if examples is None:
        examples = requests.examples_of(collection, task, scoring, rows)
    prompts = exemplars.prompts_of(
        collection,
        task,
        examples,
        scoring,
        scorer.recipe,
        tokenizer=scorer.tokenizer,
        rows=rows,
        seed=seed,
    )
    say(f"{len(prompts)} prompts from {len(examples)} rows ...")
    table = scorer.table(prompts, task.kind, task.stop, keep=keep, say=say)
    measured = metrics.evaluate(
        task,
        table,
        examples=examples,
        choice=scoring.choice,
        in_turn=bool(scoring.templates_per_example),
    )
    ranked = task.kind == "rank"
    responses = choices.responses(table, scoring.choice, scorer.dtype) if ranked else {}
    return Scored(evaluation=measured, prompts=prompts, table=table, responses=responses)
