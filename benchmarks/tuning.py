"""Tuning beside TRL's SFTTrainer: same model, adapter, examples and order.

A small Llama with a vocabulary of 8,192 (or, on a GPU, a GPT-NeoX of one of
Pythia's shapes) with random weights is tuned on the mixture of real rows
that holding out NLI leaves. Each way of tuning runs in a process of its own,
in turn and several times, so that a busy machine is busy for all:

flanlib      packed, isolated examples, logits where there are targets
trl          SFTTrainer as it stands: padded to the longest of a batch of 8,
             two batches to a step
trl-packed   SFTTrainer with packing, one full pack of our length to a step;
             off FlashAttention it lets packed examples see each other
flanlib-nf4  flanlib, base in 4 bits, taken back once
flanlib-bnb  flanlib, base in 4 bits, taken back in every pass (bitsandbytes)

    python benchmarks/tuning.py --rows FOLDER
    python benchmarks/tuning.py --rows FOLDER --model FOLDER --dtype bfloat16 --threads 2 --steps 3

The second takes a real model and the recipe of the profile `small`, and tells
besides what share of the rate of a large matrix product in that type, measured
in the same run, its arithmetic reaches: four operations per weight of the body
and token (forward, and the gradient that goes through a frozen base), and
attention's within examples. There the first step, in which buffers and
products are made, is not timed for any.

needs `trl` beside flanlib, and a folder of rows in the hub's columns. TRL is
handed token ids, flanlib text. Useful tokens are those of prompt and target,
end token included, padding not. Seconds are those of the CPU spent in
training on a CPU, and of the clock on a GPU. The record goes to
data/benchmarks/tuning.json, of a real model to tuning-MODEL.json (the type is
in the name where it is float32); a figure below its bar ends with status 1.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from flanlib.core import devices, machine, paths
from flanlib.core.config import Factors, Recipe
from flanlib.core.quiet import quiet
from flanlib.data import catalogue
from flanlib.models import encode, language_model, loading, rehearsal
from flanlib.prompts import mixture
from flanlib.prompts.prompt import Prompt
from flanlib.studies.profiles import PROFILES
from flanlib.training import card, memory, tune
from flanlib.training.trainer import PackedTrainer

RECORD = paths.BENCHMARKS / "tuning.json"
WAYS = ("flanlib", "trl", "trl-packed", "flanlib-nf4", "flanlib-bnb")
VOCABULARY = 8_192
LLAMA = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4}
RECIPE = Recipe(examples_per_step=16, learning_rate=1e-3, quantization="none")
REAL_RECIPE = replace(PROFILES["small"].recipe, quantization="none")
TRL_BATCH = 8
BARS = {"times_trl": 3.0, "times_trl_packed": 4.0, "loss_gap": 1e-3}
REAL_BARS = {"times_trl": 6.0, "times_trl_packed": 6.0, "loss_gap": 0.05}
UTILISATION = {"bfloat16": 0.55, "float32": 0.60}  # least share of the product's rate
SIDE = 2_048  # of the square matrices whose product is timed


def prepare(work: Path, rows: Path, shape: str, recipe: Recipe, real: Path | None) -> None:
    """Write prompts for the workers, and tokenizer and model, made here or taken from `real`."""
    flan = catalogue.load("flan")
    found = mixture.mixture(flan, "nli", seed=1, rows=rows, limit=400)
    given = found.take(recipe.steps * recipe.examples_per_step)
    prompts = [replace(p, wording=None) for p in given]  # made of functions; only the text stays
    (work / "prompts.json").write_text(json.dumps([asdict(p) for p in prompts]))
    if real:
        (work / "model").symlink_to(real.resolve())
        return
    words = tokenizer([text for p in prompts for text in (p.input, p.target)])
    if shape == "llama":
        transformers.set_seed(0)
        config = transformers.LlamaConfig(
            **LLAMA,
            vocab_size=VOCABULARY,
            num_attention_heads=4,
            max_position_embeddings=2_048,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=1,
        )
        net = transformers.LlamaForCausalLM(config)
    else:
        net = rehearsal.neox(shape).to(torch.bfloat16)
    with quiet():
        net.save_pretrained(work / "model")
        words.save_pretrained(work / "model")


def tokenizer(texts: list[str]) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of 8,192 tokens, trained on the texts tuned on."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<pad>", "<eos>"]
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=specials,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=specials[0], eos_token=specials[1]
    )


def read_prompts(work: Path) -> list[Prompt]:
    """What `prepare` wrote."""
    return [Prompt(**p) for p in json.loads((work / "prompts.json").read_text())]


def stay_folded(net, dtype) -> None:
    """Leave the weights in 4 bits, and keep bitsandbytes from repacking them."""
    for module in net.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


class Clock:
    """Seconds of the CPU and of the clock, and memory, from when it is made."""

    def __init__(self) -> None:
        self.resident = resident_mib()
        self.restart()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def restart(self) -> None:
        """Count seconds from here; memory goes on from where it began."""
        self.cpu, self.wall = time.process_time(), time.monotonic()

    def read(self) -> dict[str, float]:
        """What was spent since, and the peak."""
        found = {
            "cpu_s": time.process_time() - self.cpu,
            "wall_s": time.monotonic() - self.wall,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        found["grown_mib"] = found["peak_mib"] - self.resident
        if torch.cuda.is_available():
            found["peak_device_gib"] = torch.cuda.max_memory_allocated() / 2**30
        return found


class AfterFirst(transformers.TrainerCallback):
    """Lets a clock run from the end of the first step, if that is asked.

    Parameters
    ----------
    clock
        To restart.
    n_read
        Tells the tokens read so far; kept as `before` then, else zeros.
    asked
        Whether the first step is left out.
    """

    def __init__(self, clock: Clock, n_read: Callable[[], dict], asked: bool) -> None:
        self.clock, self.n_read, self.asked = clock, n_read, asked
        self.before = dict.fromkeys(n_read(), 0)

    def on_step_end(self, args, state, control, **given) -> None:
        """Start anew after the first step."""
        if self.asked and state.global_step == 1:
            self.before = dict(self.n_read())
            self.clock.restart()

    def timed(self) -> dict:
        """Tokens read while the clock ran."""
        return {name: n - self.before[name] for name, n in self.n_read().items()}


def matrix_rate(dtype: torch.dtype) -> float:
    """GFLOP per second of a large matrix product, by the clock that one thread or more have."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    spent = []
    for _ in range(6):
        start = now()
        a @ b
        spent.append(now() - start)
    return 2 * SIDE**3 / statistics.median(spent[1:]) / 1e9


def arithmetic(work: Path, items: list[encode.Encoded]) -> float:
    """GFLOP that tuning on these examples takes, of the body alone; see the top."""
    config = loading.config_of(work / "model")
    net = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    weights = sum(m.weight.numel() for m in net.modules() if isinstance(m, torch.nn.Linear))
    weights -= net.get_output_embeddings().weight.numel()
    lengths = [len(e.prompt_ids) + len(e.target_ids) for e in items]
    wide = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    # Two products, half of each masked, forward once and backward twice as much.
    attention = 6 * wide * config.num_hidden_layers * sum(n * n for n in lengths)
    return (4 * weights * sum(lengths) + attention) / 1e9


def resident_mib() -> float:
    """Memory the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def run_flanlib(work: Path, recipe: Recipe, way: str, dtype: str, real: bool) -> dict:
    """Tune by the function that users call; timed from step to step."""
    if way == "flanlib-bnb":
        language_model.unfold = stay_folded
    quantization = recipe.quantization if way == "flanlib" else "nf4"
    recipe = replace(recipe, quantization=quantization)
    factors = Factors(collection="flan", model=str(work / "model"))
    planned = memory.plan(factors, recipe, dtype=dtype)
    found: dict = {}
    train = PackedTrainer.train

    def timed(trainer, **given):
        def n_read() -> dict[str, int]:
            n = trainer.progress.n_prompt + trainer.progress.n_target
            return {"useful_tokens": n, "read_tokens": n}

        clock = Clock()
        watch = AfterFirst(clock, n_read, real)
        trainer.add_callback(watch)
        result = train(trainer, **given)
        found.update(clock.read(), **watch.timed())
        return result

    PackedTrainer.train = timed
    with tempfile.TemporaryDirectory() as out:
        made = tune.tune(
            factors,
            recipe,
            out=Path(out) / "run",
            mixture=read_prompts(work),
            dtype=dtype,
            checkpoint_every=10**9,
            progress=None,
        )
    rate = matrix_rate(getattr(torch, dtype))
    items = encoded(work, recipe)[recipe.examples_per_step * real :]
    seconds = found["cpu_s" if torch.get_num_threads() == 1 else "wall_s"]
    return {
        "matrix_gflop_per_s": rate,
        "utilisation": arithmetic(work, items) / seconds / rate,
        "losses": made.losses,
        "predicted_gib": planned.peak_gib,
        "n_parameters": planned.n_parameters,
        **found,
    }


def encoded(work: Path, recipe: Recipe) -> list[encode.Encoded]:
    """Token ids of the prompts, cut as tuning cuts them."""
    return encode.encode_many(
        language_model.load_tokenizer(work / "model"),
        read_prompts(work),
        max_input_tokens=recipe.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens,
    )


def run_trl(work: Path, recipe: Recipe, way: str, dtype: str, real: bool) -> dict:
    """SFTTrainer on the same token ids, adapter and schedule."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    cuda = torch.cuda.is_available()
    net, words = language_model.load(work / "model", quantization=recipe.quantization, dtype=dtype)
    net = language_model.attach(net, recipe, Factors().seed)
    items = encoded(work, recipe)
    packed = way == "trl-packed"
    settings = {
        "max_steps": recipe.steps,
        "per_device_train_batch_size": 1 if packed else TRL_BATCH,
        "gradient_accumulation_steps": 1 if packed else recipe.examples_per_step // TRL_BATCH,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup,
        "max_grad_norm": recipe.max_gradient_norm,
        "optim": "paged_adamw_8bit" if cuda else "adamw_torch_fused",
        "train_sampling_strategy": "sequential",
        "max_length": recipe.pack_tokens,
        "packing": packed,
        "completion_only_loss": True,
        "gradient_checkpointing": cuda,
        "bf16": dtype == "bfloat16",
        "use_cpu": not cuda,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    with quiet(), tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=net,
            args=SFTConfig(output_dir=out, **settings),
            train_dataset=Dataset.from_list([as_trl(e, words.eos_token_id) for e in items]),
            processing_class=words,
        )
        counted = count_tokens(trainer)
        clock = Clock()
        watch = AfterFirst(clock, lambda: counted, real)
        trainer.add_callback(watch)
        trainer.train()
        spent = clock.read()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    return {"losses": losses, **watch.timed(), **spent}


def as_trl(example: encode.Encoded, eos: int) -> dict[str, list[int]]:
    """Token ids and which of them carry loss, as SFTTrainer reads them."""
    target = [*example.target_ids, *([] if example.n_cut_target else [eos])]
    return {
        "input_ids": example.prompt_ids + target,
        "completion_mask": [0] * len(example.prompt_ids) + [1] * len(target),
    }


def count_tokens(trainer) -> dict[str, int]:
    """Count what each step reads, as the run goes."""
    counted = {"useful_tokens": 0, "read_tokens": 0}
    step = trainer.training_step

    def counting(net, inputs, *given):
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        counted["read_tokens"] += ids.numel()
        counted["useful_tokens"] += ids.numel() if mask is None else int(mask.sum())
        return step(net, inputs, *given)

    trainer.training_step = counting
    return counted


def measure(work: Path, way: str, recipe: Recipe, dtype: str, threads: int, real: bool) -> dict:
    """One run in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--worker", way, "--work", str(work)),
            *("--steps", str(recipe.steps), "--quantization", recipe.quantization),
            *("--dtype", dtype, "--threads", str(threads), *(["--real"] if real else [])),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{way}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def summary(runs: list[dict], clock: str) -> dict:
    """Medians over the runs of one way, by seconds of that clock."""
    seconds = [r[clock] for r in runs]
    names = ("cpu_s", "wall_s", "peak_mib", "grown_mib", "peak_device_gib")
    names += ("matrix_gflop_per_s", "utilisation")
    found = {
        name: round(statistics.median(r[name] for r in runs), 2)
        for name in names
        if name in runs[0]
    }
    useful, read = runs[0]["useful_tokens"], runs[0]["read_tokens"]
    if "n_parameters" in runs[0]:  # forward and backward, 2 each; LoRA's own left out
        rate = useful / statistics.median(seconds)
        found["model_gflop_per_s"] = round(4 * runs[0]["n_parameters"] * rate / 1e9, 2)
        found["predicted_gib"] = runs[0]["predicted_gib"]
    return {
        "useful_tokens": useful,
        "padding_percent": round(100 * (1 - useful / read), 1),
        "useful_tokens_per_s": round(useful / statistics.median(seconds), 1),
        "useful_tokens_per_s_runs": [round(useful / s, 1) for s in seconds],
        **found,
        "losses": [round(x, 6) for x in runs[0]["losses"]],
    }


def compare(ways: dict[str, dict]) -> dict:
    """What is held against the bars."""
    ours, padded, packed = (ways[name] for name in ("flanlib", "trl", "trl-packed"))
    gap = max(abs(a - b) for a, b in zip(ours["losses"], padded["losses"], strict=True))
    found = {
        "times_trl": ours["useful_tokens_per_s"] / padded["useful_tokens_per_s"],
        "times_trl_packed": ours["useful_tokens_per_s"] / packed["useful_tokens_per_s"],
        "loss_gap": gap,
    }
    for name in ("flanlib-nf4", "flanlib-bnb"):
        if name in ways:
            rate = ways[name]["useful_tokens_per_s"]
            found[f"{name}_times_plain"] = rate / ours["useful_tokens_per_s"]
    if "flanlib-nf4" in ways:
        nf4, plain = ways["flanlib-nf4"]["losses"], ours["losses"]
        n = max(1, len(plain) // 4)
        found["nf4_fall"] = statistics.mean(nf4[:n]) - statistics.mean(nf4[-n:])
        found["plain_fall"] = statistics.mean(plain[:n]) - statistics.mean(plain[-n:])
        found["nf4_minus_plain_at_end"] = statistics.mean(nf4[-n:]) - statistics.mean(plain[-n:])
        if "flanlib-bnb" in ways:
            bnb = ways["flanlib-bnb"]["losses"]
            found["nf4_taken_back_once_gap"] = max(
                abs(a - b) for a, b in zip(nf4, bnb, strict=True)
            )
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def missed(compared: dict, ways: dict[str, dict], bars: dict, dtype: str, real: bool) -> list[str]:
    """Bars that were not reached."""
    cuda = torch.cuda.is_available()
    found = [
        f"{n} {compared[n]} < {bars[n]}" for n in bars if "times" in n and compared[n] < bars[n]
    ]
    if not cuda and compared["loss_gap"] > bars["loss_gap"]:
        found.append(f"loss_gap {compared['loss_gap']} > {bars['loss_gap']}")
    if real and ways["flanlib"]["utilisation"] < UTILISATION[dtype]:
        found.append(f"utilisation {ways['flanlib']['utilisation']} < {UTILISATION[dtype]}")
    memory_name = "peak_device_gib" if cuda else "peak_mib"
    for name in ("trl", "trl-packed"):
        if ways["flanlib"][memory_name] >= ways[name][memory_name]:
            found.append(f"{memory_name} not below that of {name}")
    return found


def main() -> None:
    """Prepare, run every way in turn, record, judge."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, help="folder of rows in the hub's columns")
    parser.add_argument("--shape", default="llama", choices=["llama", *rehearsal.SHAPES])
    parser.add_argument("--model", type=Path, help="folder of a real model, instead of a shape")
    parser.add_argument("--dtype", default="bfloat16" if cuda else "float32", choices=UTILISATION)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quantization", default="none", choices=["none", "nf4"])
    parser.add_argument("--record", type=Path, help="by default below data/benchmarks")
    parser.add_argument("--real", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    real = asked.real or asked.model is not None
    usual = REAL_RECIPE if real else RECIPE
    recipe = replace(usual, steps=asked.steps, quantization=asked.quantization)
    if asked.worker:
        torch.set_num_threads(asked.threads)
        run = run_trl if asked.worker.startswith("trl") else run_flanlib
        print(json.dumps(run(asked.work, recipe, asked.worker, asked.dtype, real)))
        return
    left_out = ("flanlib-nf4", "flanlib-bnb") if real else ("flanlib-bnb",) if cuda else ()
    names = [way for way in WAYS if way not in left_out]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work, asked.rows, asked.shape, recipe, asked.model)
        runs: dict[str, list[dict]] = {name: [] for name in names}
        for _ in range(asked.repeats):
            for name in names:
                runs[name].append(measure(work, name, recipe, asked.dtype, asked.threads, real))
                last = runs[name][-1]
                print(f"{name}: {last['cpu_s']:.1f} CPU s, {last['wall_s']:.1f} s", file=sys.stderr)
    # Threads that wait for each other still use the processor, so several are timed by the clock.
    clock = "wall_s" if cuda or asked.threads > 1 else "cpu_s"
    ways = {name: summary(found, clock) for name, found in runs.items()}
    bars = REAL_BARS if real else BARS
    compared = compare(ways)
    below = missed(compared, ways, bars, asked.dtype, real)
    ours = ways["flanlib"]
    measured = round(ours["peak_device_gib"] if cuda else ours["peak_mib"] / 1024, 3)
    settings = f" --model FOLDER --dtype {asked.dtype} --threads {asked.threads}" if real else ""
    processor = f"{machine.processor()}, threads: {asked.threads}"
    record = {
        "command": f"python benchmarks/tuning.py --rows FOLDER{settings} --steps {asked.steps}",
        "started": time.strftime("%Y-%m-%d"),
        "device": devices.name_of("cuda") if cuda else processor,
        "versions": {**card.versions(), "trl": metadata.version("trl")},
        "shape": asked.model.name if real else asked.shape,
        "dtype": asked.dtype,
        "clock": clock,
        "recipe": asdict(recipe),
        "repeats": asked.repeats,
        "ways": ways,
        "compared": compared,
        "memory": {
            "predicted_gib": ways["flanlib"]["predicted_gib"],
            "measured_gib": measured,
        },
        "bars": {**bars, **({"utilisation": UTILISATION[asked.dtype]} if real else {})},
        "missed": below,
    }
    full = "-float32" if real and asked.dtype == "float32" else ""
    path = asked.record or (
        RECORD.with_stem(f"tuning-{asked.model.name}{full}") if real else RECORD
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({"compared": compared, "missed": below}, indent=1))
    sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
