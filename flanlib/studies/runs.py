"""One run: a model loaded or tuned, then scored on the tasks asked for.

`compute` does a whole job in the process it is called in; `run` spreads jobs
over processes and says what runs and how long is left.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flanlib.core import paths, provenance, storage, threads
from flanlib.core.config import Factors, Recipe, Scoring, run_id
from flanlib.core.errors import DataError
from flanlib.core.progress import Board, say
from flanlib.data import catalogue
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.evaluation import requests
from flanlib.evaluation.evaluate import Scorer, evaluate
from flanlib.models import weights
from flanlib.results import contents, store
from flanlib.results.schema import Record
from flanlib.studies import profiles

if TYPE_CHECKING:
    from flanlib.training.result import TuneResult

TICK_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does in one go.

    Attributes
    ----------
    collection
        Name or folder of the collection; a record keeps the name alone.
    requests
        (scoring, task key) pairs to score.
    at
        Folder the records are added to.
    runs
        Folder below which tuned models are kept, by run id.
    prerequisite
        Settings of the tuned model that a soft prompt is learned on.
    rows
        Local folder of rows; empty lets the source decide.
    train_limit
        Most train rows read per task; 0 is the cap.
    quiet
        Whether it tells where it is in a file and not in lines.
    """

    factors: Factors
    recipe: Recipe
    collection: str
    requests: tuple[tuple[Scoring, str], ...]
    at: Path
    runs: Path = field(default_factory=lambda: paths.RUNS)
    prerequisite: tuple[Factors, Recipe] | None = None
    rows: Rows = None
    train_limit: int = 0
    quiet: bool = False

    @property
    def chain(self) -> list[tuple[Factors, Recipe]]:
        """Settings of this run, and of the tuned model under it."""
        return [(self.factors, self.recipe), *([self.prerequisite] if self.prerequisite else [])]

    @property
    def status(self) -> Path:
        """File that says where a quiet job is."""
        return self.runs / f"{run_id(self.factors, self.recipe)}.status"

    @property
    def expected_s(self) -> float:
        """First guess of its seconds: of a micro model, and longer as parameters are more."""
        tuning = self.recipe.steps * self.recipe.examples_per_step / 100
        work = 1.5 * len(self.requests) + (tuning if self.factors.arm != "base" else 0)
        size = 1.0
        with suppress(DataError):  # of unreadable weights the run itself tells
            size = max(size, weights.n_parameters(self.factors.model) / 2.5e6)
        return 10 + work * size

    def tell(self, line: str) -> None:
        """Say where this job is: a `line`, or the status file of a quiet job."""
        if not self.quiet:
            say(f"  {line}")
            return
        with suppress(OSError):  # a run does not end for want of a word on it
            storage.write(self.status, line)

    @property
    def title(self) -> str:
        """What progress lines call it."""
        factors = self.factors
        if factors.arm == "base":
            return f"{factors.model} on {factors.held_out}"
        parts = [f"{factors.arm} {factors.model} without {factors.held_out}"]
        parts += [f"form {factors.form}"] if factors.form != "instruction" else []
        parts += [f"{len(factors.clusters)} clusters"] if factors.clusters else []
        parts += [f"{factors.n_templates} templates"] if factors.n_templates else []
        parts += ["on " + ", ".join(factors.tasks)] if factors.tasks else []
        parts += [f"{factors.n_examples} examples"] if factors.n_examples else []
        parts += [f"{self.recipe.steps} steps"]
        return ", ".join([*parts, f"seed {factors.seed}"])


Work = Callable[[Job], float]


def run(jobs: Sequence[Job], at_a_time: int = 1, work: Work | None = None) -> None:
    """Do every job, in this process or in several; those that need another last.

    Records are added as each job ends, so a killed run loses only the jobs
    in progress.

    Parameters
    ----------
    at_a_time
        Jobs that run together, as the user asks; 0 leaves it to `threads`.
        Above 1, each has a process of its own.
    work
        Does one job and returns its seconds; None is `compute`.
    """
    later = [job for job in jobs if job.prerequisite]
    for wave in ([job for job in jobs if not job.prerequisite], later):
        if wave:
            _spread(wave, threads.share(len(wave), at_a_time), compute if work is None else work)


def _spread(jobs: Sequence[Job], share: threads.Share, work: Work) -> None:
    """Jobs that need nothing of each other."""
    alone = share.runs == 1
    board = Board(
        [job.title for job in jobs],
        [job.expected_s for job in jobs],
        share.runs,
        [] if alone else [job.status for job in jobs],
    )
    if alone:
        for n, job in enumerate(jobs):
            board.start(n)
            board.tick()
            with threads.limited(share.threads):
                board.finish(n, work(job))
        return
    start = {"initializer": threads.begin, "initargs": (share.threads,)}
    pool = ProcessPoolExecutor(share.runs, mp_context=get_context("spawn"), **start)
    with pool:
        running = {pool.submit(work, replace(job, quiet=True)): n for n, job in enumerate(jobs)}
        try:
            _follow(running, board)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            for path in board.status:
                path.unlink(missing_ok=True)


def _follow(running: dict[Future, int], board: Board) -> None:
    """Wait for jobs, and say now and then where they are."""
    while running:
        for n in list(running.values())[: board.at_a_time]:
            board.start(n)
        done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for future in done:
            board.finish(running.pop(future), future.result())
        if not done:
            board.tick()


def compute(job: Job) -> float:
    """Load or tune a model, score it, add the records; seconds taken."""
    began = time.monotonic()
    job.tell("loading")
    found = catalogue.load(job.collection)
    requests.check(found, job.requests, job.rows)
    scorer, about = scorer_of(job)
    about |= provenance.stamp()
    for n, (scoring, key) in enumerate(job.requests):
        job.tell(f"scoring {key}, {n} of {len(job.requests)} done")
        measured = score_task(job, found, found.task(key), scoring, scorer)
        record = Record(
            run_id=run_id(job.factors, job.recipe),
            factors=job.factors,
            recipe=job.recipe,
            scoring=scoring,
            **measured,
            **about,
        )
        store.append([record], job.at, stale=lambda old: True)
    return time.monotonic() - began


def score_task(
    job: Job, found: Catalogue, task: Task, scoring: Scoring, scorer: Scorer
) -> dict[str, Any]:
    """One task under one way of asking: the measured part of its record."""
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    examples = requests.examples_of(found, task, scoring, job.rows)
    scored = evaluate(scorer, task, examples, scoring, collection=found, rows=job.rows)
    shown = task.source.route == "micro" or not found.tracked
    return {
        "task": task.key,
        "dataset": task.dataset,
        "cluster": task.cluster,
        "kind": task.kind,
        **scored.line(),
        "data": store.note_examples(examples, job.at, words=shown),
        "phrasing": contents.phrasing(found, task, scoring),
        "training_data": contents.training(
            found, job.chain, scoring, task, job.rows, job.train_limit
        )[0],
        "sample": scored.sample() if shown else {},
        "started": started,
        "wall_s": round(time.monotonic() - began, 2),
    }


def scorer_of(job: Job) -> tuple[Scorer, dict[str, Any]]:
    """The model of a job, tuned now if it is not there, and what records say of it."""
    from flanlib.core import devices
    from flanlib.models import language_model

    factors, recipe, about = job.factors, job.recipe, {}
    if factors.arm == "base":
        lm, tokenizer = language_model.load(factors.model, quantization=recipe.quantization)
    else:
        folder = _tuned(job, *job.prerequisite).out if job.prerequisite else None
        made = _tuned(job, factors, recipe, folder)
        lm, tokenizer = made.load()
        about = {"mixture": made.mixture["digest"], "tuning": made.cost}
    about["base_digest"] = weights.fingerprint(factors.model)
    about["tokenizer_digest"] = weights.tokenizer_digest(factors.model)
    about["device"] = devices.name_of(next(lm.parameters()).device.type)
    scorer = Scorer(lm=lm, tokenizer=tokenizer, recipe=recipe)
    return scorer, about | {"dtype": scorer.dtype}


def _tuned(job: Job, factors: Factors, recipe: Recipe, adapter: Path | None = None) -> "TuneResult":
    """The finished run of those settings, tuned now if it is not there."""
    from flanlib.prompts import mixture as mixtures
    from flanlib.training import tune

    job.tell("mixing")
    rows = job.rows
    mixture = mixtures.of_run(
        factors, recipe, rows, collection=job.collection, limit=job.train_limit
    )
    return tune.tune(
        factors,
        recipe,
        out=_run_folder(job, factors, recipe, adapter),
        mixture=mixture,
        adapter=adapter,
        progress=job.tell,
    )


def tuned_today(job: Job) -> bool:
    """Whether a job's tuned model is there, made from today's rows, templates and weights."""
    from flanlib.training import result

    out, note, made_of = _made_of(job, job.factors, job.recipe, [])
    return (out / result.RUN).is_file() and note.is_file() and note.read_bytes() == made_of


def _run_folder(job: Job, factors: Factors, recipe: Recipe, adapter: Path | None) -> Path:
    """Folder of a tuned run, emptied of what was tuned on other rows, words or weights."""
    from flanlib.training import checkpoint

    chain = [job.prerequisite] if adapter and job.prerequisite else []
    out, note, made_of = _made_of(job, factors, recipe, chain)
    if not note.is_file() or note.read_bytes() != made_of:
        for folder in (out, checkpoint.folder(out)):
            shutil.rmtree(folder, ignore_errors=True)
        storage.write(note, made_of)
    return out


def _made_of(
    job: Job, factors: Factors, recipe: Recipe, prerequisites: list[tuple[Factors, Recipe]]
) -> tuple[Path, Path, bytes]:
    """Folder of a run, the file that notes what it was made from, and what that is today."""
    name, chain = run_id(factors, recipe), [(factors, recipe), *prerequisites]
    found = catalogue.load(job.collection)
    digest, _ = contents.training(found, chain, rows=job.rows, limit=job.train_limit)
    made_of = f"{digest} {weights.fingerprint(factors.model)}\n".encode()
    return job.runs / name, job.runs / f"{name}.made-of", made_of


def make_rehearsal_model(name: str) -> None:
    """A tiny random GPT-NeoX below build/models/, unless it is there."""
    from flanlib.models import rehearsal

    if not (folder := paths.BUILD / "models" / name).is_dir():
        rehearsal.random_neox(folder)


def recipe_of(
    model: str,
    adapters: Sequence[Path] = (),
    collection: Catalogue | None = None,
    *,
    longest: int | None = None,
    written: int | None = None,
) -> Recipe:
    """The recipe within whose limits a model is scored, and how it is quantised.

    It is that which the model was tuned with; of an untuned model, that of the
    profile which studies it on the collection. Otherwise the default limits
    hold, and nothing is quantised.

    Parameters
    ----------
    adapters
        Folders of PEFT adapters, the one tuned last at the end.
    collection
        What is scored; None for ready-made prompts.
    longest, written
        Tokens of an input and of a written answer, instead of the recipe's.
    """
    recipe = Recipe(quantization="none")
    folders = (*reversed(adapters), Path(model))
    if (run := next((f for f in folders if (f / "run.json").is_file()), None)) is not None:
        from flanlib.training.result import TuneResult

        made = TuneResult.read(run)
        whole = made.factors.arm == "finetuned"
        recipe = replace(made.recipe, quantization="none" if whole else made.quantization)
    elif collection is not None and not adapters:
        recipe = profiles.recipe_of(collection.root, model) or recipe
    given = {"max_input_tokens": longest, "max_target_tokens": written}
    return replace(recipe, **{name: n for name, n in given.items() if n is not None})
