"""Generation beside transformers' own: same model, prompts, limits, greedy.

Real rows of translation (WMT) and of text from data (E2E), each asked in
several templates, are answered by both in turn with a real model on a CPU.
Ours takes text; transformers is handed the same token ids, padded at the left
and sorted by length, with the batch size that suits it best. Texts are
compared as they are and up to where the first of them differs; both are also
run in float32 on a part of the prompts, where no rounding may part them.

    python benchmarks/generation.py --rows FOLDER --model FOLDER --threads 2

needs a folder of rows in the hub's columns and the model's folder. The record
goes to data/benchmarks/generation.json; a figure below its bar ends with
status 1.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from importlib import metadata
from itertools import islice, takewhile
from pathlib import Path

import torch

from flanlib.core import machine, paths
from flanlib.data import catalogue, sources
from flanlib.evaluation import generate, score
from flanlib.models import encode, language_model
from flanlib.prompts import prompt, templates

TASKS = ("wmt16_translate_deen", "e2e_nlg")
BATCH_SIZES = (1, 4, 16)
N_ROWS, N_TEMPLATES, REPEATS, NEW_TOKENS = 8, 4, 3, 48
N_EXACT = 8  # prompts answered in float32 as well
BAR = 2.0


def prompts(task_key: str, folder: Path, n_rows: int) -> list[prompt.Prompt]:
    """Rows × templates that ask for an answer to write."""
    flan = catalogue.load("flan")
    task = flan.task(task_key)
    ways = [way for way in templates.of_task(flan, task) if not way.inverted][:N_TEMPLATES]
    examples = islice(sources.examples(flan, task, "eval", rows=folder), n_rows)
    return [templates.render(example, way) for example in examples for way in ways]


def ours(lm, words, asked: list[prompt.Prompt]) -> list[str]:
    """Answers by the function that users call."""
    table = score.generate(lm, words, asked, max_new_tokens=NEW_TOKENS)
    return list(table["prediction"])


def theirs(lm, words, asked: list[prompt.Prompt], batch: int) -> list[str]:
    """Answers by transformers' generate, greedy, padded at the left."""
    read = encode.inputs(
        words, asked, [NEW_TOKENS] * len(asked), max_input_tokens=encode.MAX_INPUT_TOKENS
    )
    ids = [one.prompt_ids for one in read]
    order = sorted(range(len(ids)), key=lambda n: -len(ids[n]))
    ends = sorted(generate.end_ids(lm, words))
    found = [""] * len(ids)
    for first in range(0, len(order), batch):
        at = order[first : first + batch]
        width = max(len(ids[n]) for n in at)
        pads = [width - len(ids[n]) for n in at]
        with torch.inference_mode():
            out = lm.generate(
                input_ids=torch.tensor(
                    [[ends[0]] * p + ids[n] for p, n in zip(pads, at, strict=True)]
                ),
                attention_mask=torch.tensor([[0] * p + [1] * (width - p) for p in pads]),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )
        for n, row in zip(at, out[:, width:].tolist(), strict=True):
            stop = next((k for k, token in enumerate(row) if token in ends), len(row))
            found[n] = words.decode(row[:stop], skip_special_tokens=True).strip()
    return found


def timed(answer, *given) -> tuple[list[str], float, float]:
    """Answers, wall seconds, processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = answer(*given)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def alike(a: list[str], b: list[str]) -> dict:
    """Share of texts that are the same, and of their characters before they part."""
    pairs = list(zip(a, b, strict=True))
    parts = [len(begin(*pair)) / max(map(len, pair)) for pair in pairs if any(pair)]
    same = sum(one == other for one, other in pairs) / len(pairs)
    return {"same_texts": same, "same_until": statistics.mean(parts)}


def begin(one: str, other: str) -> list:
    """The characters that two texts have in common from the start."""
    return list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def compare(asked: argparse.Namespace, task: str) -> dict:
    """One line of the record."""
    given = prompts(task, asked.rows, asked.n_rows)
    lm, words = language_model.load(
        asked.model, quantization="none", dtype=asked.dtype, device="cpu"
    )
    few, clock = given[:: max(1, len(given) // 16)], 2 if asked.threads == 1 else 1
    ours(lm, words, few[:4])
    trials = {n: timed(theirs, lm, words, few, n)[clock] for n in BATCH_SIZES}
    best = min(trials, key=trials.get)
    runs: dict[str, list] = {"flanlib": [], "transformers": []}
    for _ in range(asked.repeats):
        runs["flanlib"].append(timed(ours, lm, words, given))
        runs["transformers"].append(timed(theirs, lm, words, given, best))
    seconds = {name: statistics.median(r[clock] for r in found) for name, found in runs.items()}
    texts = {name: found[0][0] for name, found in runs.items()}
    full = language_model.load(asked.model, quantization="none", dtype="float32", device="cpu")
    part = given[:: max(1, len(given) // N_EXACT)]
    n_tokens = sum(len(words(text)["input_ids"]) for text in texts["flanlib"])
    return {
        "shape": asked.model.name,
        "task": task,
        "dtype": asked.dtype,
        "prompts": len(given),
        "tokens_written": n_tokens,
        "transformers_batch_size": best,
        "transformers_seconds_of_few_by_batch_size": trials,
        "in_type": alike(*texts.values()),
        "in_float32": alike(ours(*full, part), theirs(*full, part, 1)),
        "clock": ("wall", "processor")[clock - 1],
        "seconds": seconds,
        "other_clock_seconds": {
            name: statistics.median(r[3 - clock] for r in found) for name, found in runs.items()
        },
        "speed_ratio": seconds["transformers"] / seconds["flanlib"],
        "speed_ratio_of_each_run": [
            y[clock] / x[clock] for x, y in zip(*runs.values(), strict=True)
        ],
        "bar": BAR,
        "tokens_written_per_second": n_tokens / seconds["flanlib"],
    }


def below(line: dict) -> list[str]:
    """What of a line misses its bar."""
    bars = {
        "speed": line["speed_ratio"] >= line["bar"],
        "texts in float32": line["in_float32"]["same_texts"] == 1,
    }
    return [name for name, met in bars.items() if not met]


def main() -> int:
    """Measure, record, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of rows in hub columns")
    parser.add_argument("--model", type=Path, required=True, help="folder of a real model")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--n-rows", type=int, default=N_ROWS, help="rows per task")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed runs (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    parser.add_argument("--record", type=Path, default=paths.BENCHMARKS / "generation.json")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(asked.threads)
    lines, missed = [], []
    for task in TASKS:
        line = compare(asked, task)
        lines.append(line)
        missed += [f"{task}: {what}" for what in below(line)]
        print(json.dumps(line), flush=True)
        record = {
            "command": "benchmarks/generation.py --rows FOLDER --model FOLDER"
            f" --dtype {asked.dtype} --threads {asked.threads} --repeats {asked.repeats}",
            "date": time.strftime("%Y-%m-%d"),
            "device": f"{machine.processor()}, {asked.threads} thread(s)",
            "versions": {n: metadata.version(n) for n in ("torch", "transformers")},
            "lines": lines,
            "missed": missed,
        }
        asked.record.parent.mkdir(parents=True, exist_ok=True)
        asked.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("\n".join(["below the bar:", *missed]) if missed else "every line is above its bar")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
