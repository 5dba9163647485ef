"""One run: a model loaded or tuned, then scored on the tasks asked for.

`compute` does a whole job in the process it is called in; `run` spreads jobs
over processes and says what runs and how long is left.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from flanlib import catalogue, paths, results, sources, templates
from flanlib.adapters import Example
from flanlib.catalogue import Catalogue, Task
from flanlib.config import Factors, Recipe, run_id
from flanlib.errors import MissingResultError, TemplateError
from flanlib.results import Record, Scoring
from flanlib.templates import Prompt, Template

TICK_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does in one go.

    Attributes
    ----------
    collection
        Name or folder of the collection; a record keeps the name alone.
    asked
        (scoring, task key) pairs to score.
    at
        Folder the records are added to.
    runs
        Folder below which tuned models are kept, by run id.
    rows
        Local folder of rows; empty lets the source decide.
    train_limit
        Most train rows read per task; 0 is the cap.
    """

    factors: Factors
    recipe: Recipe
    collection: str
    asked: tuple[tuple[Scoring, str], ...]
    at: Path
    runs: Path = paths.RUNS
    rows: str = ""
    train_limit: int = 0

    @property
    def title(self) -> str:
        """What progress lines call it."""
        factors = self.factors
        if factors.arm == "base":
            return f"base on {factors.held_out}"
        return f"{factors.arm} without {factors.held_out}, seed {factors.seed}"


@dataclass
class Progress:
    """Lines that say what runs, what is done, and how long is left."""

    titles: list[str]
    weights: list[float]
    started: float = field(default_factory=time.monotonic)
    done: float = 0.0
    n_done: int = 0

    def finish(self, n: int, seconds: float) -> None:
        """Count job `n` as done and say so."""
        self.done += self.weights[n]
        self.n_done += 1
        left = self.left()
        say(f"[{self.n_done}/{len(self.titles)}] {self.titles[n]}: {seconds:.0f} s; {left}")

    def tick(self, running: Sequence[int]) -> None:
        """Say what is still running."""
        names = "; ".join(self.titles[n] for n in running)
        elapsed = time.monotonic() - self.started
        say(f"[{self.n_done}/{len(self.titles)}] {elapsed:.0f} s, running: {names}; {self.left()}")

    def left(self) -> str:
        """Time left, from the work done so far."""
        if not self.done:
            return "time left not known yet"
        elapsed = time.monotonic() - self.started
        seconds = elapsed * (sum(self.weights) - self.done) / self.done
        return "all done" if self.n_done == len(self.titles) else f"about {_span(seconds)} left"


def say(line: str) -> None:
    """One line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def run(
    jobs: Sequence[Job], processes: int = 1, work: Callable[[Job], float] | None = None
) -> None:
    """Do every job, in this process or in several.

    Records are added as each job ends, so a killed run loses only the jobs
    in progress.

    Parameters
    ----------
    processes
        Jobs at a time; above 1, each has a process of its own and one thread.
    """
    work = work or compute
    weights = [1.0 if job.factors.arm == "base" else 4.0 for job in jobs]
    progress = Progress([job.title for job in jobs], weights)
    if processes <= 1 or len(jobs) == 1:
        for n, job in enumerate(jobs):
            say(f"[{n}/{len(jobs)}] {job.title} ...")
            progress.finish(n, work(job))
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_single)
    with pool:
        running: dict[Future, int] = {pool.submit(work, job): n for n, job in enumerate(jobs)}
        try:
            _follow(running, progress, processes)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _follow(running: dict[Future, int], progress: Progress, processes: int) -> None:
    while running:
        done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for future in done:
            progress.finish(running.pop(future), future.result())
        if not done:
            progress.tick(list(running.values())[:processes])


def _single() -> None:
    import torch

    torch.set_num_threads(1)


def compute(job: Job) -> float:
    """Load or tune a model, score it, add the records; seconds taken."""
    began = time.monotonic()
    lm, tokenizer, device, mixture = _model(job)
    found = catalogue.load(job.collection)
    about = {"device": device, "mixture": mixture, **results.provenance()}
    for scoring, key in job.asked:
        measured = score_task(job, found, found.task(key), scoring, lm, tokenizer)
        record = Record(
            run_id=run_id(job.factors, job.recipe),
            factors=job.factors,
            recipe=job.recipe,
            scoring=scoring,
            **measured,
            **about,
        )
        results.append([record], job.at)
    return time.monotonic() - began


def score_task(
    job: Job,
    found: Catalogue,
    task: Task,
    scoring: Scoring,
    lm: Any,
    tokenizer: Any,
) -> dict[str, Any]:
    """One task under one way of asking: the measured part of its record."""
    from flanlib import metrics, score

    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    examples = examples_of(found, task, scoring, job.rows)
    asked = asked_with(found, task, scoring)
    prompts = list(prompts_of(examples, asked, scoring))
    longest = job.recipe.max_input_tokens
    if task.kind == "rank":
        table = score.rank(lm, tokenizer, prompts, max_input_tokens=longest)
    else:
        table = score.generate(
            lm,
            tokenizer,
            prompts,
            stop=task.stop,
            max_new_tokens=job.recipe.max_target_tokens,
            max_input_tokens=longest,
        )
    measured = metrics.evaluate(task, table, examples=examples, choice=scoring.choice)
    return {
        "task": task.key,
        "dataset": task.dataset,
        "cluster": task.cluster,
        "kind": task.kind,
        **_measured(measured),
        "data": results.note_examples(examples, job.at),
        "phrasing": results.phrasing_digest(asked),
        "sample": sample(prompts[0], table),
        "started": started,
        "wall_s": round(time.monotonic() - began, 2),
    }


def examples_of(found: Catalogue, task: Task, scoring: Scoring, rows: str = "") -> list[Example]:
    """The examples a task is scored on.

    Raises
    ------
    MissingResultError
        If the source has none.
    """
    examples = sources.examples(found, task, scoring.split, rows=rows or None)
    chosen = list(islice(examples, scoring.max_examples or None))
    if not chosen:
        raise MissingResultError(f"task {task.key}: its source has no {scoring.split} rows")
    return chosen


def first_example(found: Catalogue, task: Task, split: str, rows: str = "") -> Example:
    """The first example of a task's split."""
    example = next(iter(sources.examples(found, task, split, rows=rows or None)), None)
    if example is None:
        raise MissingResultError(f"task {task.key}: its source has no {split} rows")
    return example


def asked_with(found: Catalogue, task: Task, scoring: Scoring) -> tuple[Template, ...]:
    """The templates a task is scored with.

    Raises
    ------
    TemplateError
        If the form has none that can be scored.
    """
    chosen = templates.of_task(found, task, scoring.form)
    if task.kind == "rank":
        chosen = templates.rankable(chosen)
    chosen = tuple(t for t in chosen if not t.inverted)
    if not chosen:
        raise TemplateError(
            f"task {task.key}: no template of form {scoring.form!r} can be scored; add one to"
            f" {found.root / 'templates' / (task.template_set + '.yaml')}"
        )
    return chosen


def prompts_of(
    examples: Sequence[Example], asked: Sequence[Template], scoring: Scoring
) -> Iterator[Prompt]:
    """Every example in every template, examples outermost."""
    separator = " " if scoring.form == "cloze" else templates.SEPARATOR
    for example in examples:
        for template in asked:
            yield templates.render(
                example, template, show_options=scoring.show_options, separator=separator
            )


def _measured(evaluation: Any) -> dict[str, Any]:
    """What a record keeps of an evaluation, rounded so that lines stay short."""
    interval = {name: getattr(evaluation, name) for name in ("stderr", "low", "high")}
    return {
        "metric": evaluation.metric,
        "value": round(evaluation.value, 4),
        **{k: None if v != v else round(v, 4) for k, v in interval.items()},
        "chance": round(evaluation.chance, 4),
        "n": evaluation.n,
        "templates": {k: round(v, 4) for k, v in evaluation.templates.items()},
        "scores": tuple(round(v, 1) for v in evaluation.scores),
        "signature": evaluation.signature,
    }


def sample(prompt: Prompt, table: Any) -> dict[str, Any]:
    """One question and what the model answered, from a table of scores."""
    mine = table[(table["example"] == prompt.example) & (table["template"] == prompt.template)]
    if "prediction" in table:
        answer = str(mine["prediction"].iloc[0])
    else:
        answer = prompt.options[int(mine.loc[mine["ll"].idxmax(), "option"])]
    return {
        "template": prompt.template,
        "example": prompt.example,
        "input": prompt.input,
        "target": prompt.target,
        "answer": answer,
    }


def processes() -> int:
    """Jobs to run at a time: one per core, at most four; one on a GPU."""
    import os

    import torch

    if torch.cuda.is_available():
        return 1
    return max(1, min(4, len(os.sched_getaffinity(0))))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _model(job: Job) -> tuple[Any, Any, str, str]:
    """Model, tokenizer, device, and digest of what it was tuned on."""
    from flanlib import card, model, tune

    factors, recipe, adapter, mixture = job.factors, job.recipe, None, ""
    name, quantization = factors.model, recipe.quantization
    if factors.arm != "base":
        out = job.runs / run_id(factors, recipe)
        made = tune.tune(factors, recipe, out=out, rows=job.rows or None, mixture=_mixture(job))
        mixture = made.mixture["digest"]
        if factors.arm == "finetuned":
            name, quantization = str(made.out), "none"
        else:
            adapter = made.out
    lm, tokenizer = model.load(name, quantization=quantization, adapter=adapter)
    device = card.device_name(next(lm.parameters()).device.type)
    return lm, tokenizer, device, mixture


def _mixture(job: Job) -> Any:
    """What to tune on, where the factors alone do not say it."""
    if job.collection == job.factors.collection and not job.train_limit:
        return None
    from flanlib import mixture

    factors, recipe = job.factors, job.recipe
    return mixture.mixture(
        catalogue.load(job.collection),
        factors.held_out,
        seed=factors.seed,
        form=factors.form,
        clusters=factors.clusters,
        tasks=factors.tasks,
        n_templates=factors.n_templates,
        n_examples=factors.n_examples,
        rows=job.rows or None,
        limit=job.train_limit or None,
        exemplar_share=recipe.exemplar_share,
        max_exemplars=recipe.max_exemplars,
    )


def make_rehearsal_model(name: str) -> None:
    """A tiny random GPT-NeoX below build/models/, unless it is there."""
    from flanlib import model

    if not (paths.BUILD / "models" / name).is_dir():
        model.random_neox(paths.BUILD / "models" / name)
