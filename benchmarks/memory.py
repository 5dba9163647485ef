"""Memory of tuning at real size: predicted beside measured, and whether it grows.

A real model is tuned on real rows for 200 steps. Every fortieth step is a
full pack of 2,048 tokens; the others are a few short examples of many
lengths, so that buffers that are made anew for every length would show. Each
type of computing has a process of its own.

    python benchmarks/memory.py --rows FOLDER --model FOLDER
    python benchmarks/memory.py --rows FOLDER --model FOLDER --dtypes bfloat16

needs a folder of rows in the hub's columns and the model's folder, as
`flanlib fetch --models smollm2-135m-instruct` leaves it in build/models. The
prediction is what `flanlib tune --dry-run` prints, made in the same process
just before; the measurement is the process's largest resident size while
tuning, loading included. The record goes to data/benchmarks/memory.json; a
figure outside its bar ends with status 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
import tuning
from transformers import TrainerCallback

from flanlib.core import devices, machine, paths
from flanlib.core.config import Factors
from flanlib.models import encode, language_model
from flanlib.prompts.prompt import Prompt
from flanlib.studies.profiles import PROFILES
from flanlib.training import card, duration, memory, packing, tune

RECORD = paths.BENCHMARKS / "memory.json"
DTYPES = ("bfloat16", "float32")
FULL_EVERY = 40  # steps from one full pack to the next; the tenth step is the first
LONG = (300, 341)  # tokens of an example of a full pack
SHORT = 40  # most tokens of the other steps' examples
EARLY = 20  # step that the last one's resident size is held against
RECIPE = replace(PROFILES["small"].recipe, examples_per_step=6)
BARS = {"predicted_to_measured": 0.15, "growth": 1.1, "first_to_later": 2.0}


class Notes(TrainerCallback):
    """What each step took, and the resident size after it."""

    def __init__(self) -> None:
        self.at = duration.Spent.now()
        self.seconds: list[float] = []
        self.resident: list[float] = []

    def on_step_begin(self, args, state, control, **given) -> None:
        """Start the clock."""
        self.at = duration.Spent.now()

    def on_step_end(self, args, state, control, **given) -> None:
        """Note both."""
        self.seconds.append((duration.Spent.now() - self.at).alone)
        self.resident.append(devices.resident_gib())


def chosen(work: Path, recipe) -> list[Prompt]:
    """Prompts of every step in turn: short ones, and those of a full pack now and then."""
    prompts = tuning.read_prompts(work)
    encoded = encode.encode_many(
        language_model.load_tokenizer(work / "model"),
        prompts,
        max_input_tokens=recipe.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens,
    )
    sizes = [packing.n_tokens(e) for e in encoded]
    long = [p for p, n in zip(prompts, sizes, strict=True) if LONG[0] <= n <= LONG[1]]
    short = [p for p, n in zip(prompts, sizes, strict=True) if n <= SHORT]
    n, found = recipe.examples_per_step, []
    for step in range(recipe.steps):
        source = long if is_full(step) else short
        found += [source[(step * n + k) % len(source)] for k in range(n)]
    return found


def is_full(step: int) -> bool:
    """Whether a step, counted from 0, is a full pack."""
    return step % FULL_EVERY == 9


def measure(work: Path, dtype: str, steps: int) -> dict:
    """Tune once in this process; what was predicted and what was."""
    recipe = replace(RECIPE, steps=steps)
    factors = Factors(collection="flan", model=str(work / "model"))
    prompts, notes, packed = chosen(work, recipe), Notes(), []
    planned = memory.plan(factors, recipe, dtype=dtype)
    train, packs = tune.PackedTrainer.train, packing.packs

    def noted(trainer, **given):
        trainer.add_callback(notes)
        return train(trainer, **given)

    def counted(*given):
        found = packs(*given)
        packed.append(max(one.input_ids.shape[1] for one in found))
        return found

    tune.PackedTrainer.train, packing.packs = noted, counted
    with tempfile.TemporaryDirectory() as out:
        made = tune.tune(
            factors,
            recipe,
            out=Path(out) / "run",
            mixture=prompts,
            dtype=dtype,
            checkpoint_every=10**9,
            progress=None,
        )
    full = [s for n, s in enumerate(notes.seconds) if is_full(n)]
    growth = notes.resident[-1] / notes.resident[min(EARLY, steps) - 1]
    return {
        "steps": steps,
        "tokens": made.progress.n_prompt + made.progress.n_target,
        "fullest_pack": max(packed),
        "full_packs": len(full),
        "parts_gib": planned.parts,
        "predicted_gib": planned.peak_gib,
        "measured_gib": made.peak_memory_gib,
        "predicted_to_measured": planned.peak_gib / made.peak_memory_gib,
        f"resident_at_{EARLY}_gib": notes.resident[min(EARLY, steps) - 1],
        f"resident_at_{steps}_gib": notes.resident[-1],
        "growth": growth,
        "first_full_step_s": full[0],
        "later_full_steps_s": median(full[1:]) if full[1:] else full[0],
        "first_to_later": full[0] / median(full[1:]) if full[1:] else 1.0,
    }


def missed(found: dict) -> list[str]:
    """Bars that one type's figures are outside of."""
    off = abs(found["predicted_to_measured"] - 1) > BARS["predicted_to_measured"]
    over = [name for name in ("growth", "first_to_later") if found[name] > BARS[name]]
    return [*(["predicted_to_measured"] if off else []), *over]


def main() -> None:
    """Measure every type, record, judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, help="folder of rows in the hub's columns")
    parser.add_argument("--model", type=Path, help="folder of a real model")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--worker", choices=DTYPES, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        torch.set_num_threads(asked.threads)
        print(json.dumps(measure(asked.work, asked.worker, asked.steps)))
        return
    lines = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tuning.prepare(work, asked.rows, "", replace(RECIPE, steps=300), asked.model)
        for dtype in asked.dtypes:
            words = ["--worker", dtype, "--work", str(work), "--steps", str(asked.steps)]
            words += ["--threads", str(asked.threads)]
            done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE)
            if done.returncode:
                sys.exit(f"{dtype}: the run failed")
            found = json.loads(done.stdout.splitlines()[-1])
            lines[dtype] = {
                name: float(f"{value:.4g}") if isinstance(value, float) else value
                for name, value in found.items()
            }
            print(json.dumps(lines[dtype]), file=sys.stderr, flush=True)
    below = [f"{dtype}: {what}" for dtype, found in lines.items() for what in missed(found)]
    types = "" if asked.dtypes == DTYPES else f" --dtypes {' '.join(asked.dtypes)}"
    record = {
        "command": "python benchmarks/memory.py --rows FOLDER --model FOLDER"
        f"{types} --steps {asked.steps}",
        "started": time.strftime("%Y-%m-%d"),
        "device": f"{machine.processor()}, threads: {asked.threads}",
        "versions": card.versions(),
        "shape": asked.model.name,
        "lines": lines,
        "bars": BARS,
        "missed": below,
    }
    asked.record.parent.mkdir(parents=True, exist_ok=True)
    asked.record.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({"missed": below}, indent=1))
    sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
