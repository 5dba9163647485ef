"""Verbs about models: pretrain, tune, score."""

from pathlib import Path
from typing import Literal

from flanlib.commands.arguments import like
from flanlib.commands.verbs import refuse, show
from flanlib.core.bounds import (
    Count,
    Device,
    Dtype,
    InputTokens,
    PositiveFloat,
    PositiveInt,
    Seed,
    Shots,
    Tokens,
)
from flanlib.core.config import Factors, Form, Recipe
from flanlib.core.errors import MissingResultError, ParameterError
from flanlib.core.progress import say

# Options of `score` that say how a collection's tasks are asked.
OF_TASKS = (
    *("collection", "tasks", "rows", "shots", "form", "show_options", "choice", "split", "seed"),
    *("max_examples", "templates_per_example", "chat", "max_input_tokens", "max_new_tokens"),
)


@like(
    "flanlib.micro.pretrain:pretrain",
    world_seed="Of the world that the corpus tells of.",
    seed="Of the start weights and of the corpus.",
)
def pretrain(name: str, **given: object) -> None:
    """Pretrain one size of the micro ladder, or all of them.

    Parameters
    ----------
    name
        A size such as micro-2m, or all.
    """
    from flanlib.micro import pretrain

    names = list(pretrain.SIZES) if name == "all" else [name]
    if len(names) > 1 and given["out"]:
        raise ParameterError("--out is one model's folder; leave it out, or name one size")
    for one in names:
        record = pretrain.pretrain(one, **{**given, "say": say})
        show({key: value for key, value in record.items() if key != "curve"})


def tune(
    factors: Factors,
    recipe: Recipe,
    *,
    out: Path | None = None,
    rows: Path | None = None,
    adapter: Path | None = None,
    device: Device = "",
    dtype: Dtype = "",
    checkpoint_every: PositiveInt = 50,
    dry_run: bool = False,
    available_gib: PositiveFloat | None = None,
) -> None:
    """Tune a model with one cluster held out; a stopped run goes on.

    Parameters
    ----------
    out
        Folder for the adapter (or model), run.json and model card.
    adapter
        Tuned adapter that lies under a soft prompt.
    checkpoint_every
        Steps from one checkpoint to the next.
    dry_run
        Print trained parameters, tokens per step, predicted memory and time
        (on a CPU by a short trial, on a GPU by an assumed rate), and stop;
        status 1, with advice, where it will not fit.
    available_gib
        Memory that a dry run plans for; without it, what is free here.
    """
    if dry_run:
        _plan(factors, recipe, rows, device or None, dtype or None, available_gib)
        return
    if out is None:
        raise ParameterError("--out: say where the adapter goes, or give --dry-run")
    from flanlib.models import weights

    weights.locate(factors.model)  # a mistyped name shows before rows are read
    from flanlib.core import threads
    from flanlib.training import tune

    threads.settle()
    result = tune.tune(
        factors,
        recipe,
        out=out,
        rows=rows,
        adapter=adapter,
        device=device or None,
        dtype=dtype or None,
        checkpoint_every=checkpoint_every,
        progress=say,
    )
    progress = result.progress
    show(
        {
            "out": str(result.out),
            "run_id": result.run_id,
            "mixture": result.mixture["digest"],
            "n_trainable": result.n_trainable,
            "steps": len(result.losses),
            "first_loss": round(result.losses[0], 4),
            "last_loss": round(result.losses[-1], 4),
            "tokens": progress.n_prompt + progress.n_target,
            "wall_s": round(progress.wall_s, 1),
            "peak_memory_gib": result.peak_memory_gib,
            "device": result.device,
        }
    )


def _plan(
    factors: Factors,
    recipe: Recipe,
    rows: Path | None,
    device: str | None,
    dtype: str | None,
    available_gib: float | None,
) -> None:
    """Print what a run will take, without rows all but its tokens and time; `RunError` if too much."""
    from flanlib.prompts.mixture import of_run
    from flanlib.training import duration, memory

    prompts = None
    try:
        prompts = of_run(factors, recipe, rows)
    except MissingResultError as error:
        say(f"no tokens counted: {error}")
    found = memory.plan(
        factors, recipe, device=device, dtype=dtype, available_gib=available_gib, prompts=prompts
    )
    print("\n".join(found.lines()), flush=True)
    memory.check(found)
    if found.device == "cpu" and prompts is not None:
        forecast = duration.forecast(factors, recipe, prompts, dtype=dtype)
        print(f"time              {forecast.line}")


def score(
    *,
    model: str,
    out: Path,
    adapter: tuple[Path, ...] = (),
    collection: str = "micro",
    tasks: tuple[str, ...] = (),
    rows: Path | None = None,
    shots: Shots = 0,
    form: Form = "instruction",
    show_options: bool = True,
    choice: Literal["sum", "token", "byte", "pmi"] = "sum",
    split: Literal["eval", "dev"] = "eval",
    max_examples: Count = 0,
    templates_per_example: Count = 0,
    chat: bool = False,
    max_input_tokens: InputTokens | None = None,
    max_new_tokens: Tokens | None = None,
    seed: Seed = 0,
    prompts: Path | None = None,
    option_prefix: str = "\n",
    quantization: Literal["", "nf4", "none"] = "",
    device: Device = "",
    dtype: Dtype = "",
    token_budget: PositiveInt | None = None,
) -> None:
    """Score a model on tasks under every template, or on ready-made prompts.

    What it prints of a task: metric, value, 95 % interval, what guessing gets,
    examples, and (`close`) percent of prompts whose best two options are closer
    than the rounding of the type computed in, where that is a short one.

    Parameters
    ----------
    model
        Name below data/models/ or of the registry, a folder, or a hub id.
    out
        Folder for a sheet of Parquet shards per task, and results.jsonl; for
        ready-made prompts, scores.jsonl. A stopped command goes on.
    adapter
        Folder that `tune` wrote; a soft prompt after the adapter under it.
    tasks
        Task keys; without them, all whose rows are there.
    shots
        Exemplars in front of each example.
    form
        How questions are phrased.
    show_options
        Whether the OPTIONS block follows the request.
    choice
        How log-likelihoods of options of unequal length are compared.
    split
        Rows scored.
    max_examples
        Most examples of one task; 0 is all of them.
    templates_per_example
        Templates that each example is asked in, taking turns; 0 is all of them.
    chat
        Whether the request is wrapped in the model's own chat template.
    max_input_tokens
        Longest input; what gives way is said by `flanlib.models.truncation`. Without it,
        that of the recipe which the adapter was tuned with; for an untuned model,
        of the profile that studies it on the collection, or else 1,024.
    max_new_tokens
        Longest written answer, in tokens. Without it, that of the same recipe, or
        else 256.
    seed
        Of the exemplars.
    prompts
        JSON lines with id, input, options and, if known, gold, instead of a
        collection's tasks.
    option_prefix
        Stands before each option of ready-made prompts; the two are
        tokenised together, apart from the input.
    quantization
        Of the model; without it, that which the adapter was tuned on; for an
        untuned model, that of the profile that studies it on the collection, or
        else none.
    token_budget
        Tokens in one forward pass; without it, what fits the device.
    """
    given = locals()
    from flanlib.core import devices, folders, threads
    from flanlib.core.config import Scoring
    from flanlib.data import catalogue
    from flanlib.evaluation import evaluate, requests, score_tables
    from flanlib.models import language_model, weights
    from flanlib.studies import runs

    found = None
    if prompts is None:
        refuse(score, given, ("option_prefix",), "without --prompts")
    else:
        refuse(score, given, OF_TASKS, "with --prompts, which are scored as they are")
    devices.checked(device, dtype)
    weights.locate(model)
    if prompts is None:
        found = catalogue.load(collection)
        chosen = requests.with_rows(found, tasks, rows, split)
    else:
        score_tables.ready_made(prompts)
    threads.settle()
    folders.make(out)  # what is no place for scores shows before a model is read
    recipe = runs.recipe_of(model, adapter, found, longest=max_input_tokens, written=max_new_tokens)
    quantized = quantization or recipe.quantization
    lm, tokenizer = language_model.load(
        model,
        quantization=quantized,
        dtype=dtype or None,
        device=device or None,
        adapter=adapter or None,
    )
    scorer = evaluate.Scorer(lm=lm, tokenizer=tokenizer, recipe=recipe, token_budget=token_budget)
    if found is None:
        n, right = score_tables.score_file(scorer, prompts, option_prefix=option_prefix, out=out)
        show({"prompts": n, "accuracy": right, "scores": str(out / "scores.jsonl")})
        return
    scoring = Scoring(
        form=form,
        show_options=show_options and form != "cloze",
        choice=choice,
        split=split,
        shots=shots,
        max_examples=max_examples,
        templates_per_example=templates_per_example,
        chat=chat,
    )
    about = {
        "model": model,
        "adapter": ", ".join(map(str, adapter)),
        "quantization": quantized,
        "dtype": scorer.dtype,
    }
    measured = score_tables.score_tasks(
        *(scorer, found, chosen, scoring), out=out, rows=rows, seed=seed, about=about, say=say
    )
    keys = ("task", "cluster", "metric", "value", "low", "high", "chance", "n", "close")
    show([{key: line[key] for key in keys} for line in measured])
