"""Rank scoring beside lm-evaluation-harness: same model, prompts, options.

Real rows of RTE (two options of one token) and Cosmos QA (four options of
many tokens), each asked in ten ways, are scored by both programs in turn on
small randomly initialised models of three architectures. Both get the text
and tokenise prompt and option apart. The harness runs with the batch size
that suits it best. Memory is measured in a process of its own for each.

    python benchmarks/scoring.py --rows FOLDER

needs `lm_eval` beside flanlib, and a folder of rows in the hub's columns
(`rte/validation.jsonl.gz`, `cosmos_qa/validation.jsonl.gz`). The record goes
to data/benchmarks/scoring.json; a figure below its bar ends with status 1.
"""

import argparse
import gzip
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from flanlib import adapters, catalogue, paths, score, templates
from flanlib.likelihood import Work

RECORD = paths.BENCHMARKS / "scoring.json"
TASKS = {"rte": 2.0, "cosmos_qa": 6.0}
SHAPES = ("llama", "gpt_neox", "gpt2")
VOCABULARY = 8192
BATCH_SIZES = (1, 4, 16, 64)
N_ROWS, REPEATS, TOLERANCE = 40, 3, 1e-4


def prompts(task_key: str, folder: Path, n_rows: int) -> list[templates.Prompt]:
    """Rows × ten phrasings: instructions that rank, plain and named forms."""
    flan = catalogue.load("flan")
    task = flan.task(task_key)
    ways = list(templates.rankable(templates.of_task(flan, task)))
    for form in ("none", "dataset-name", "cloze"):
        ways += templates.of_task(flan, task, form)
    found = []
    with gzip.open(folder / task_key / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        for n, line in enumerate(islice(lines, n_rows)):
            example = adapters.adapt(json.loads(line), task, str(n))
            found += [templates.render(example, way) for way in ways[:10]]
    return found


def tokenizer(texts: list[str]) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of 8,192 tokens, trained on the texts scored."""
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="<eos>"
    )


def build(shape: str, hidden: int = 256, layers: int = 6) -> transformers.PreTrainedModel:
    """A model of that shape, about 5 M parameters beside the embeddings."""
    common = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": 1}
    if shape == "gpt2":
        config = transformers.GPT2Config(
            n_embd=hidden, n_layer=layers, n_head=hidden // 64, n_positions=1024, **common
        )
    else:
        config = {"llama": transformers.LlamaConfig, "gpt_neox": transformers.GPTNeoXConfig}[shape](
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            intermediate_size=int(hidden * (2.6875 if shape == "llama" else 4)),
            max_position_embeddings=1024,
            initializer_range=0.06,
            **common,
        )
    transformers.set_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


class Ours:
    """flanlib: from prompts to a table of log-likelihoods."""

    def __init__(self, lm, words, batch_size: int | None = None) -> None:
        self.lm, self.words, self.batch_size = lm, words, batch_size
        self.work = Work()

    def __call__(self, asked: list[templates.Prompt]) -> np.ndarray:
        """Log-likelihoods in the order of prompts and options."""
        self.work = Work()
        table = score.rank(
            self.lm,
            self.words,
            asked,
            calibrate=False,
            token_budget=self.batch_size,
            work=self.work,
        )
        return table["ll"].to_numpy()


class Harness:
    """lm_eval's own path, with prompt and option tokenised apart."""

    def __init__(self, lm, words, batch_size: int) -> None:
        from lm_eval.models.huggingface import HFLM

        class Apart(HFLM):
            def _encode_pair(self, context, continuation):
                return self.tok_encode(context), self.tok_encode(continuation)

        device = str(next(lm.parameters()).device)
        self.model = Apart(
            pretrained=lm,
            tokenizer=words,
            batch_size=batch_size,
            add_bos_token=False,
            device=device,
        )

    def __call__(self, asked: list[templates.Prompt]) -> np.ndarray:
        """Log-likelihoods in the order of prompts and options."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("loglikelihood", {}, (p.input + p.separator, option), k)
            for p in asked
            for k, option in enumerate(p.options)
        ]
        return np.array([ll for ll, _ in self.model.loglikelihood(requests, disable_tqdm=True)])


def timed(scorer, asked) -> tuple[np.ndarray, float, float]:
    """Log-likelihoods, wall seconds, processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = scorer(asked)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def floor_seconds(lm, distinct: int, width: int) -> float:
    """Processor seconds of the body alone on that many tokens, unshared rows."""
    ids = torch.randint(2, VOCABULARY, (max(1, 2048 // width), width))
    with torch.inference_mode():
        lm.base_model(input_ids=ids)
        start = time.process_time()
        for _ in range(4):
            lm.base_model(input_ids=ids, use_cache=False)
    return (time.process_time() - start) / (4 * ids.numel()) * distinct


def compare(shape: str, task: str, folder: Path, n_rows: int, repeats: int) -> dict:
    """One line of the record: agreement, speed and memory."""
    asked = prompts(task, folder, n_rows)
    words, lm = tokenizer([t for p in asked for t in (p.input, *p.options)]), build(shape)
    few = asked[:: max(1, len(asked) // 80)]
    trials = {n: min(timed(Harness(lm, words, n), few)[2] for _ in range(2)) for n in BATCH_SIZES}
    best = min(trials, key=trials.get)
    ours, theirs = Ours(lm, words), Harness(lm, words, best)
    ours(few), theirs(few)
    runs: dict[str, list] = {"flanlib": [], "lm_eval": []}
    for _ in range(repeats):
        runs["flanlib"].append(timed(ours, asked))
        runs["lm_eval"].append(timed(theirs, asked))
    a, b = runs["flanlib"][0][0], runs["lm_eval"][0][0]
    starts = np.cumsum([0] + [len(p.options) for p in asked])[:-1]
    picks = [
        [int(v[s : s + len(p.options)].argmax()) for s, p in zip(starts, asked, strict=True)]
        for v in (a, b)
    ]
    cpu = {name: statistics.median(r[2] for r in found) for name, found in runs.items()}
    wall = {name: statistics.median(r[1] for r in found) for name, found in runs.items()}
    memory = {name: memory_mib(name, shape, task, folder, n_rows, best) for name in runs}
    work = ours.work
    floor = floor_seconds(lm, work.distinct, min(1024, work.distinct // len(asked) + 32))
    return {
        "shape": shape,
        "task": task,
        "prompts": len(asked),
        "options": len(a),
        "lm_eval_batch_size": best,
        "largest_difference_nats": float(np.abs(a - b).max()),
        "same_choices": sum(x == y for x, y in zip(*picks, strict=True)) / len(asked),
        "cpu_s": cpu,
        "wall_s": wall,
        "speed_ratio_cpu": cpu["lm_eval"] / cpu["flanlib"],
        "speed_ratio_wall": wall["lm_eval"] / wall["flanlib"],
        "speed_ratio_each_run": [y[2] / x[2] for x, y in zip(*runs.values(), strict=True)],
        "bar": TASKS[task],
        "peak_memory_mib": memory,
        "tokens": {
            "separate": work.separate,
            "distinct": work.distinct,
            "computed": work.computed,
            "padded": work.padded,
        },
        "floor_s": floor,
        "share_of_floor": floor / cpu["flanlib"],
    }


def memory_mib(name: str, shape: str, task: str, folder: Path, n_rows: int, batch: int) -> float:
    """Growth of the peak resident size while scoring, in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(folder), "--n-rows", str(n_rows)]
    command += ["--memory-of", name, shape, task, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure_memory(name: str, shape: str, task: str, batch: str, folder: Path, n_rows: int) -> None:
    """Child of `memory_mib`: print mebibytes."""
    asked = prompts(task, folder, n_rows)
    words, lm = tokenizer([t for p in asked for t in (p.input, *p.options)]), build(shape)
    scorer = Ours(lm, words) if name == "flanlib" else Harness(lm, words, int(batch))
    scorer(asked[-1:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scorer(asked)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def main() -> int:
    """Measure, record, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of rows in hub columns")
    parser.add_argument("--n-rows", type=int, default=N_ROWS, help="rows per task (default 40)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed runs (default 3)")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES)
    parser.add_argument("--tasks", nargs="+", default=tuple(TASKS), choices=tuple(TASKS))
    parser.add_argument("--dry", action="store_true", help="print, write no record")
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if options.memory_of:
        measure_memory(*options.memory_of, options.rows, options.n_rows)
        return 0
    lines = []
    for shape in options.shapes:
        for task in options.tasks:
            line = compare(shape, task, options.rows, options.n_rows, options.repeats)
            lines.append(line)
            print(json.dumps(line), flush=True)
    failed = [
        f"{line['shape']} {line['task']}"
        for line in lines
        if line["largest_difference_nats"] > TOLERANCE
        or line["same_choices"] < 1
        or line["speed_ratio_cpu"] < line["bar"]
        or line["peak_memory_mib"]["flanlib"] > line["peak_memory_mib"]["lm_eval"]
    ]
    if not options.dry:
        record = {
            "command": "python benchmarks/scoring.py --rows FOLDER",
            "started": time.strftime("%Y-%m-%d"),
            "device": f"{platform.processor() or platform.machine()} CPU, {torch.get_num_threads()} thread",
            "versions": {n: metadata.version(n) for n in ("torch", "transformers", "lm_eval")},
            "lines": lines,
        }
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("below the bar: " + ", ".join(failed) if failed else "every line is above its bar")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
