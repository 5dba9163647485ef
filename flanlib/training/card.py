"""What a run leaves for a reader: versions, and the model card."""

from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flanlib.training.result import TuneResult

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers")


def versions() -> dict[str, str]:
    """Versions of the libraries that tuning depends on."""
    return {name: metadata.version(name) for name in LIBRARIES}


def text(run: "TuneResult") -> str:
    """The model card of a finished `run`, Markdown with a YAML head."""
    factors, recipe, progress = asdict(run.factors), asdict(run.recipe), run.progress
    last = progress.losses[-20:]
    what = {
        "finetuned": "Full fine-tuning",
        "prompt-tuned": "A soft prompt",
        "single-task": "LoRA on one task",
    }.get(factors["arm"], "LoRA")
    over = f"clusters {', '.join(factors['clusters'])}" if factors["clusters"] else "all clusters"
    if factors["tasks"]:
        over = f"tasks {', '.join(factors['tasks'])}"
    else:
        over += f" that holding out `{factors['held_out']}` leaves"
    settings = "\n".join(f"| {key} | {value} |" for key, value in recipe.items())
    return f"""---
base_model: {run.base}
library_name: {"transformers" if factors["arm"] == "finetuned" else "peft"}
tags: [flan, instruction-tuning]
---

# {run.base}, {factors["arm"]}, {factors["held_out"]} held out

{what} of `{run.base}` ({run.quantization} weights) on collection `{factors["collection"]}`:
{over}; form `{factors["form"]}`, seed {factors["seed"]}. Run `{run.run_id}`, mixture digest
`{run.mixture["digest"]}`.

It follows Wei et al. 2022 (arXiv 2109.01652) in data and protocol, at a size the paper did not
study. It is made for measuring transfer to the held-out cluster and for nothing else: it has not
been checked for safety, bias or truthfulness.

{len(progress.losses)} steps, {progress.n_prompt} prompt and {progress.n_target} target tokens,
loss {progress.losses[0]:.3f} at the first step and {sum(last) / len(last):.3f} over the last
{len(last)}, {progress.wall_s:.0f} s on {run.device} in {run.dtype},
{run.peak_memory_gib:.2f} GiB at most. {run.n_trainable} trained parameters.
{progress.n_cut} tokens were cut by the length limits, from {progress.n_cut_targets} targets;
{progress.n_dropped} exemplars did not fit; {progress.n_unknown} tokens stood for text that the
tokenizer has no token for.

| recipe | |
|---|---|
{settings}
"""
