"""Rank scoring beside lm-evaluation-harness: same model, prompts, options.

Real rows of RTE (two options of one token) and Cosmos QA (four options of
many tokens), each asked in ten ways, are scored by both programs in turn on
randomly initialised models of three architectures: six layers, 256 wide, with
the vocabulary size their families are published with, and one of them also
with 8,192 words, where the harness wastes least on its output layer: there one
pass over the distinct tokens, the floor (`floor_seconds`), is itself 1.9 and 5.6
times as fast, less than the bars, which are for the published sizes. Both get the text and tokenise prompt and option
apart. The harness runs with the batch size that suits it best. Memory is
measured in a process of its own.

    python benchmarks/scoring.py --rows FOLDER

    python benchmarks/scoring.py --rows FOLDER --model FOLDER --dtype bfloat16 --threads 2

The second takes a real model, on a CPU. Both programs' log-likelihoods are
then held against ours in float32, as are their choices, and choices closer
than what bfloat16 rounds are counted; the record is scoring-MODEL.json.

needs `lm_eval` beside flanlib, and a folder of rows in the hub's columns
(`rte/validation.jsonl.gz`, `cosmos_qa/validation.jsonl.gz`). The record goes
to data/benchmarks/scoring.json; a figure below its bar ends with status 1.
With `--device cuda` the model is a 1.4 B GPT-NeoX in bfloat16, and the record
scoring-cuda.json tells tokens per second and the share of `--peak-tflops`.
"""

import argparse
import ctypes
import gzip
import json
import logging
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from flanlib.core import machine, paths
from flanlib.data import adapters, catalogue
from flanlib.evaluation import choices, score
from flanlib.evaluation.likelihood import Work
from flanlib.models import language_model
from flanlib.prompts import prompt, templates

TASKS = {"rte": 2.0, "cosmos_qa": 6.0}
REAL_TASKS = {"rte": 3.0, "cosmos_qa": 8.0}
REAL_ROWS, REAL_SHARE, SAME_CHOICES = 12, 0.8, 0.99
SHAPES = {"llama": 32_000, "gpt_neox": 50_304, "gpt2": 50_257}
SMALL = 8_192
BATCH_SIZES = {"cpu": (1, 4, 16), "cuda": (16, 64, 128)}
N_ROWS, REPEATS, TOLERANCE = 20, 3, 1e-4


@dataclass(frozen=True)
class Setting:
    """What one line of the record is about."""

    shape: str
    vocabulary: int
    task: str
    device: str


def prompts(task_key: str, folder: Path, n_rows: int) -> list[prompt.Prompt]:
    """Rows × ten phrasings: instructions that rank, plain and named forms."""
    flan = catalogue.load("flan")
    task = flan.task(task_key)
    ways = list(templates.rankable(templates.of_task(flan, task)))
    for form in ("none", "dataset-name", "cloze"):
        ways += templates.of_task(flan, task, form)
    found = []
    with gzip.open(folder / task_key / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        for n, line in enumerate(islice(lines, n_rows)):
            example = adapters.adapt_all(json.loads(line), task, str(n))[0]
            found += [templates.render(example, way) for way in ways[:10]]
    return found


def tokenizer(texts: list[str]) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of 8,192 tokens, trained on the texts scored."""
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SMALL,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="<eos>"
    )


def build(shape: str, vocabulary: int, device: str = "cpu") -> transformers.PreTrainedModel:
    """A model of that shape, about 5 M parameters beside the embeddings.

    On CUDA it has the size of Pythia-1.4B and computes in bfloat16.
    """
    hidden, layers = (256, 6) if device == "cpu" else (2048, 24)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    common = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 1}
    if shape == "gpt2":
        config = transformers.GPT2Config(
            n_embd=hidden, n_layer=layers, n_head=max(4, hidden // 128), n_positions=1024, **common
        )
    else:
        config = {"llama": transformers.LlamaConfig, "gpt_neox": transformers.GPTNeoXConfig}[shape](
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=max(4, hidden // 128),
            intermediate_size=int(hidden * (2.6875 if shape == "llama" else 4)),
            max_position_embeddings=1024,
            initializer_range=0.06 if device == "cpu" else 0.02,
            **common,
        )
    transformers.set_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval().to(device)


class Ours:
    """flanlib: from prompts to a table of log-likelihoods."""

    def __init__(self, lm, words, batch_size: int | None = None) -> None:
        self.lm, self.words, self.batch_size = lm, words, batch_size
        self.table = None
        self.work = Work()

    def __call__(self, asked: list[prompt.Prompt]) -> np.ndarray:
        """Log-likelihoods in the order of prompts and options."""
        self.work = Work()
        self.table = table = score.rank(
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

    def __call__(self, asked: list[prompt.Prompt]) -> np.ndarray:
        """Log-likelihoods in the order of prompts and options."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("loglikelihood", {}, (p.input + p.separator, option), k)
            for p in asked
            for k, option in enumerate(p.options)
        ]
        return np.array([ll for ll, _ in self.model.loglikelihood(requests, disable_tqdm=True)])


def real(asked: argparse.Namespace, task: str) -> dict:
    """One line of the record of a real model: exactness and speed."""
    prompted = prompts(task, asked.rows, asked.n_rows or REAL_ROWS)
    lm, words = language_model.load(
        asked.model, quantization="none", dtype=asked.dtype, device="cpu"
    )
    few, clock = prompted[:: max(1, len(prompted) // 12)], 2 if asked.threads == 1 else 1
    trials = {n: timed(Harness(lm, words, n), few)[clock] for n in BATCH_SIZES["cpu"]}
    best = min(trials, key=trials.get)
    scorers = {"flanlib": Ours(lm, words), "lm_eval": Harness(lm, words, best)}
    runs: dict[str, list] = {name: [] for name in scorers}
    scorers["flanlib"](few)  # the harness has had its trials
    for _ in range(asked.repeats):
        for name, scorer in scorers.items():
            runs[name].append(timed(scorer, prompted))
    seconds = {name: statistics.median(r[clock] for r in found) for name, found in runs.items()}
    work, table = scorers["flanlib"].work, scorers["flanlib"].table
    floor = floor_seconds(lm, work.distinct, min(512, work.distinct // len(prompted) + 32), clock)
    exact = Ours(
        *language_model.load(asked.model, quantization="none", dtype="float32", device="cpu")
    )
    truth = exact(prompted)
    within = choices.ROUNDING.get(asked.dtype, TOLERANCE)
    return {
        "shape": asked.model.name,
        "task": task,
        "dtype": asked.dtype,
        "prompts": len(prompted),
        "options": len(truth),
        "lm_eval_batch_size": best,
        "lm_eval_seconds_of_few_by_batch_size": trials,
        "from_float32": {
            name: agreement(prompted, found[0][0], truth) for name, found in runs.items()
        },
        "close_choices_percent": 100 * float((choices.choices(table)["margin"] < within).mean()),
        "clock": ("wall", "processor")[clock - 1],
        "seconds": seconds,
        "other_clock_seconds": {
            name: statistics.median(r[3 - clock] for r in found) for name, found in runs.items()
        },
        "speed_ratio": seconds["lm_eval"] / seconds["flanlib"],
        "speed_ratio_of_each_run": [
            y[clock] / x[clock] for x, y in zip(*runs.values(), strict=True)
        ],
        "bar": REAL_TASKS[task],
        "tokens": {k: getattr(work, k) for k in ("separate", "distinct", "computed", "padded")},
        "tokens_per_second": work.computed / seconds["flanlib"],
        "floor_seconds": floor,
        "share_of_floor": floor / seconds["flanlib"],
    }


def below_real(line: dict) -> list[str]:
    """What of a real model's line misses its bar."""
    ours, theirs = (line["from_float32"][name] for name in ("flanlib", "lm_eval"))
    largest = "largest_difference_nats"
    bars = {
        "exactness": ours[largest] <= max(TOLERANCE, theirs[largest]),
        "choices": ours["same_choices"] >= SAME_CHOICES,
        "speed": line["speed_ratio"] >= line["bar"],
        "floor": line["share_of_floor"] >= REAL_SHARE,
    }
    return [name for name, met in bars.items() if not met]


def timed(scorer, asked) -> tuple[np.ndarray, float, float]:
    """Log-likelihoods, wall seconds, processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = scorer(asked)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def floor_seconds(lm, distinct: int, width: int, clock: int = 2) -> float:
    """Seconds of the body alone on that many tokens, unshared rows; as `timed` numbers clocks."""
    now = (time.perf_counter, time.process_time)[clock - 1]
    ids = torch.randint(
        2, min(SMALL, lm.config.vocab_size), (max(1, 512 // width), width), device=lm.device
    )
    with torch.inference_mode():
        lm.base_model(input_ids=ids, use_cache=False)
        start = now()
        for _ in range(8):
            lm.base_model(input_ids=ids, use_cache=False)
    return (now() - start) / (8 * ids.numel()) * distinct


def agreement(asked: list[prompt.Prompt], a: np.ndarray, b: np.ndarray) -> dict:
    """How far two lists of log-likelihoods are apart, and what they choose."""
    same, margins, first = 0, [], 0
    for p in asked:
        x, y = a[first : first + len(p.options)], b[first : first + len(p.options)]
        same += int(x.argmax() == y.argmax())
        if x.argmax() != y.argmax():
            margins.append(float(x.max() - x[y.argmax()]))
        first += len(p.options)
    return {
        "largest_difference_nats": float(np.abs(a - b).max()),
        "same_choices": same / len(asked),
        "largest_margin_of_another_choice_nats": max(margins, default=0.0),
    }


def compare(setting: Setting, folder: Path, n_rows: int, repeats: int, peak: float) -> dict:
    """One line of the record: agreement, speed and memory."""
    asked = prompts(setting.task, folder, n_rows)
    words = tokenizer([t for p in asked for t in (p.input, *p.options)])
    lm = build(setting.shape, setting.vocabulary, setting.device)
    few, clock = asked[:: max(1, len(asked) // 20)], 1 if setting.device == "cuda" else 2
    trials = {n: timed(Harness(lm, words, n), few)[clock] for n in BATCH_SIZES[setting.device]}
    best = min(trials, key=trials.get)
    ours, theirs = Ours(lm, words), Harness(lm, words, best)
    ours(few), theirs(few)
    runs: dict[str, list] = {"flanlib": [], "lm_eval": []}
    for _ in range(repeats):
        runs["flanlib"].append(timed(ours, asked))
        runs["lm_eval"].append(timed(theirs, asked))
    seconds = {name: statistics.median(r[clock] for r in found) for name, found in runs.items()}
    work = ours.work
    line = {
        **asdict(setting),
        "prompts": len(asked),
        "options": len(runs["flanlib"][0][0]),
        "lm_eval_batch_size": best,
        **agreement(asked, runs["flanlib"][0][0], runs["lm_eval"][0][0]),
        "clock": ("wall", "processor")[clock - 1],
        "seconds": seconds,
        "speed_ratio": seconds["lm_eval"] / seconds["flanlib"],
        "speed_ratio_of_each_run": [
            y[clock] / x[clock] for x, y in zip(*runs.values(), strict=True)
        ],
        "bar": TASKS[setting.task],
        "tokens": {k: getattr(work, k) for k in ("separate", "distinct", "computed", "padded")},
        "tokens_per_second": work.computed / seconds["flanlib"],
    }
    if setting.device == "cuda":
        weights = sum(p.numel() for p in lm.base_model.parameters())
        line["share_of_peak"] = 2 * weights * line["tokens_per_second"] / (peak * 1e12)
        return line
    floor = floor_seconds(lm, work.distinct, min(512, work.distinct // len(asked) + 32))
    memory = {name: memory_mib(name, setting, folder, n_rows, best) for name in runs}
    return {
        **line,
        "floor_seconds": floor,
        "share_of_floor": floor / seconds["flanlib"],
        "peak_memory_mib": memory,
    }


def memory_mib(name: str, setting: Setting, folder: Path, n_rows: int, batch: int) -> float:
    """Growth of the resident size while scoring, in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(folder), "--n-rows", str(n_rows)]
    command += ["--memory-of", name, setting.shape, setting.task, str(setting.vocabulary)]
    done = subprocess.run([*command, str(batch)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure_memory(options: argparse.Namespace) -> None:
    """Child of `memory_mib`: print mebibytes."""
    name, shape, task, vocabulary, batch = options.memory_of
    asked = prompts(task, options.rows, options.n_rows)
    words = tokenizer([t for p in asked for t in (p.input, *p.options)])
    lm = build(shape, int(vocabulary))
    scorer = Ours(lm, words) if name == "flanlib" else Harness(lm, words, int(batch))
    scorer(asked[-1:])
    ctypes.CDLL(None).malloc_trim(0)  # give back what building left over
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status_kib("VmRSS")
    longest = sorted(asked, key=lambda p: -len(p.input))[: len(asked) // 4]
    scorer(longest)
    print((status_kib("VmHWM") - before) / 1024)


def status_kib(name: str) -> int:
    """One line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def below(line: dict) -> list[str]:
    """What of a line misses its bar."""
    exact = line["device"] == "cpu"
    memory = line.get("peak_memory_mib", {"flanlib": 0, "lm_eval": 0})
    bars = {
        "agreement": not exact or line["largest_difference_nats"] <= TOLERANCE,
        "choices": not exact or line["same_choices"] == 1,
        "memory": memory["flanlib"] <= memory["lm_eval"],
        "speed": line["vocabulary"] == SMALL or line["speed_ratio"] >= line["bar"],
    }
    return [name for name, met in bars.items() if not met]


def save(lines: list[dict], asked: argparse.Namespace) -> None:
    """Write the record."""
    device = asked.device
    threads = torch.get_num_threads()
    name = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else f"{machine.processor()}, {threads} thread"
    )
    how = f"--device {device}"
    if asked.model:
        how = f"--model FOLDER --dtype {asked.dtype} --threads {asked.threads}"
    record = {
        "command": f"benchmarks/scoring.py --rows FOLDER {how} --repeats {asked.repeats}",
        "date": time.strftime("%Y-%m-%d"),
        "device": name,
        "versions": {n: metadata.version(n) for n in ("torch", "transformers", "lm_eval")},
        "lines": lines,
    }
    stem = "scoring" if device == "cpu" else f"scoring-{device}"
    if asked.model:
        stem = f"scoring-{asked.model.name}" + ("-float32" if asked.dtype == "float32" else "")
    paths.BENCHMARKS.mkdir(parents=True, exist_ok=True)
    path = paths.BENCHMARKS / f"{stem}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, record, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of rows in hub columns")
    parser.add_argument("--n-rows", type=int, help="rows per task")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed runs (default 3)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the GPU, bf16, dense")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    parser.add_argument("--model", type=Path, help="folder of a real model, on the CPU")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--dry", action="store_true", help="print, write no record")
    parser.add_argument("--memory-of", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    if options.memory_of:
        options.n_rows = options.n_rows or N_ROWS
        measure_memory(options)
        return 0
    lines, missed = [], []

    def keep(name: str, line: dict, below: list[str]) -> None:
        lines.append(line)
        missed.extend(f"{name}: {what}" for what in below)
        print(json.dumps(line), flush=True)
        if not options.dry:
            save(lines, options)

    if options.model:
        for task in REAL_TASKS:
            line = real(options, task)
            keep(task, line, below_real(line))
        return told(missed)
    options.n_rows = options.n_rows or N_ROWS
    shapes = SHAPES if options.device == "cpu" else {"gpt_neox": SHAPES["gpt_neox"]}
    settings = [Setting(s, n, t, options.device) for s, n in shapes.items() for t in TASKS]
    if options.device == "cpu":
        settings += [Setting("llama", SMALL, t, "cpu") for t in TASKS]
    for setting in settings:
        line = compare(setting, options.rows, options.n_rows, options.repeats, options.peak_tflops)
        keep(str(setting), line, below(line))
    return told(missed)


def told(missed: list[str]) -> int:
    """Say what missed its bar; the exit status."""
    print("\n".join(["below the bar:", *missed]) if missed else "every line is above its bar")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
