"""How long tuning will take on this CPU, from a short trial before anything is loaded.

The trial runs the trainer itself on the model's first layers with arbitrary
weights, once with one layer and once with three, on real examples of the
mixture. The difference is what a layer costs, attention included; what is
left is the head, the optimiser and what the trainer does besides. Drawing
and tokenising examples are timed as well. Nothing is assumed of the
processor. Time is told twice: as it would be if nothing else ran, and by the
clock beside what runs now.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

import torch
from transformers import (
    AutoModelForCausalLM,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from flanlib.core import devices, machine
from flanlib.core.config import Factors, Recipe
from flanlib.core.progress import span
from flanlib.core.protocols import LanguageModel
from flanlib.core.quiet import quiet
from flanlib.models import encode, language_model, llama, loading
from flanlib.models.encode import Encoded
from flanlib.prompts.prompt import Prompt
from flanlib.training import folding, fused, packing
from flanlib.training.trainer import PackedTrainer, Progress, arguments

FEW, MORE = 1, 3  # layers of the two trials
TRIAL_S = 0.5  # that both together are meant to take, once they have run a step
N_TIMED = 2  # steps timed at least, of each
SAMPLE = 64  # examples looked at
CROWDED = 1.25  # times the time alone; from there on it is told as well


@dataclass(frozen=True)
class Spent:
    """Seconds that something took.

    Attributes
    ----------
    cpu
        Of the processor, all threads together.
    wall
        By the clock.
    """

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> "Spent":
        """Both clocks."""
        return cls(time.process_time(), time.perf_counter())

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.cpu - other.cpu, self.wall - other.wall)

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.cpu + other.cpu, self.wall + other.wall)

    def __mul__(self, times: float) -> "Spent":
        return Spent(self.cpu * times, self.wall * times)

    @property
    def alone(self) -> float:
        """What it would take by the clock with nothing beside it.

        One thread that is let wait uses less of the processor than of the
        clock. Of several, those that wait for another use the processor as
        well, so theirs is the clock's.
        """
        return min(self.cpu, self.wall)


NOTHING = Spent(0.0, 0.0)
Trial = Callable[[int, Sequence[Encoded]], Spent]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What tuning is expected to take.

    Attributes
    ----------
    n_steps
        Optimiser steps.
    tokens_per_step
        Prompt and target tokens of a mean step.
    step
        What a mean step takes.
    """

    n_steps: int
    tokens_per_step: float
    step: Spent

    @property
    def seconds(self) -> float:
        """Of all steps with nothing else running; loading is not in it."""
        return self.n_steps * self.step.alone

    @property
    def line(self) -> str:
        """The forecast for a reader."""
        rate = self.tokens_per_step / self.step.alone
        found = (
            f"{span(self.seconds)} for {self.n_steps} steps of {self.step.alone:.2g} s"
            f" ({rate:,.0f} tokens/s), by a trial"
        )
        if self.step.wall > CROWDED * self.step.alone:
            found += f"; {span(self.n_steps * self.step.wall)} beside what runs here now"
        return found


def forecast(
    factors: Factors,
    recipe: Recipe,
    prompts: Iterable[Prompt],
    *,
    dtype: torch.dtype | str | None = None,
) -> Forecast:
    """Predict the seconds of tuning on this CPU.

    Parameters
    ----------
    prompts
        Of the mixture; a sample of them is drawn and tokenised.
    """
    drawn, config = iter(prompts), loading.config_of(factors.model)
    first = list(islice(drawn, 1))  # rows are read with it, once
    began = Spent.now()
    found = encode.encode_many(
        language_model.load_tokenizer(factors.model),
        first + list(islice(drawn, SAMPLE - 1)),
        max_input_tokens=recipe.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens,
        context=language_model.context(config),
    )
    drawing = (Spent.now() - began) * (1 / len(found))
    return of_examples(factors, recipe, found, drawing, dtype=dtype)


def of_examples(
    factors: Factors,
    recipe: Recipe,
    examples: Sequence[Encoded],
    drawing: Spent = NOTHING,
    *,
    dtype: torch.dtype | str | None = None,
    trial: Trial | None = None,
) -> Forecast:
    """Predict the seconds of tuning on examples like these.

    Parameters
    ----------
    drawing
        What drawing and tokenising one takes.
    trial
        Given a number of layers and the examples of a step, returns what
        the step takes; None is `Trials` of that model.
    """
    config = loading.config_of(factors.model)
    layers = config.get_text_config().num_hidden_layers
    with tempfile.TemporaryDirectory() as folder:
        real = Trials(factors, recipe, Path(folder), dtype)
        n = recipe.examples_per_step if trial else real.n_examples(examples)
        few = spread(examples, n)
        one, three = ((trial or real)(layers, few) for layers in (FEW, MORE))
    step = one + (three - one) * ((layers - FEW) / (MORE - FEW))
    tokens = sum(map(packing.n_tokens, examples)) / len(examples) * recipe.examples_per_step
    whole = spread(examples, recipe.examples_per_step)
    times = real.rows(whole) / real.rows(few) * tokens / sum(map(packing.n_tokens, whole))
    return Forecast(
        n_steps=recipe.steps,
        tokens_per_step=tokens,
        step=step * times + drawing * recipe.examples_per_step,
    )


def spread(examples: Sequence[Encoded], n: int) -> list[Encoded]:
    """So many examples whose lengths are spread as those of all are.

    An example is taken again where there are fewer than `n`.
    """
    by_length = sorted(examples, key=packing.n_tokens)
    return [by_length[int((k + 0.5) * len(by_length) / n)] for k in range(n)]


class Trials:
    """Steps of a run, timed with fewer layers and arbitrary weights."""

    def __init__(
        self, factors: Factors, recipe: Recipe, folder: Path, dtype: torch.dtype | str | None
    ) -> None:
        self.factors, self.recipe, self.folder = factors, recipe, folder
        self.config = loading.config_of(factors.model)
        stored = language_model.stored_type(self.config)
        full = factors.arm == "finetuned"
        self.dtype = torch.float32 if full else devices.checked("cpu", dtype, stored)[1]
        self.eos = language_model.load_tokenizer(factors.model).eos_token_id

    def n_examples(self, examples: Sequence[Encoded]) -> int:
        """Examples of a step that keep both trials within about `TRIAL_S`, at least one."""
        text = self.config.get_text_config()
        layer = 4 * text.hidden_size**2 + 3 * text.hidden_size * text.intermediate_size
        steps = (FEW + MORE) * (N_TIMED + 1)
        name = str(self.dtype).removeprefix("torch.")
        rate = machine.rates().get(name, machine.rates()["float32"])
        tokens = TRIAL_S * rate * 1e9 / (steps * 4 * layer)
        mean = sum(map(packing.n_tokens, examples)) / len(examples)
        return min(self.recipe.examples_per_step, max(1, int(tokens / mean)))

    def rows(self, examples: Sequence[Encoded]) -> int:
        """Places that layers compute for these examples, those that only fill up included."""
        found = [one.input_ids.shape[1] for one in self._packed(examples)]
        written = fused.applies(self.config, self.factors.arm, self.recipe)
        return sum(llama.filled(n, self.dtype) if written else n for n in found)

    def _packed(self, examples: Sequence[Encoded]) -> list[packing.Pack]:
        virtual = self.recipe.prompt_tokens if self.factors.arm == "prompt-tuned" else 0
        return packing.packs(examples, self.eos, self.recipe.pack_tokens, virtual)

    def __call__(self, layers: int, examples: Sequence[Encoded]) -> Spent:
        """What a step takes over these examples with so many layers."""
        step = {"packs": self._packed(examples), "tasks": [], "examples": list(examples)}
        recipe = replace(self.recipe, steps=1 + 40 * N_TIMED)
        net = self._built(layers)
        watch = _Watch()
        with packing.isolating(net), folding.folding(net), quiet():
            trainer = PackedTrainer(
                model=net,
                steps=[step] * recipe.steps,
                progress=Progress(),
                folder=self.folder,
                written=fused.step_of(net),
                args=arguments(recipe, self.factors.seed, self.folder, "cpu", self.dtype),
            )
            trainer.add_callback(watch)
            trainer.train()
        cpu, wall = ([getattr(spent, name) for spent in watch.spent] for name in ("cpu", "wall"))
        return Spent(min(cpu), median(wall))  # more of the processor than the least is disturbance

    def _built(self, layers: int) -> LanguageModel:
        config = loading.of_layers(self.config, layers)
        net = AutoModelForCausalLM.from_config(config, dtype=self.dtype)
        if self.factors.arm != "finetuned":
            net.requires_grad_(False)
        net.config._name_or_path = net.name_or_path = str(self.factors.model)
        return language_model.attach(net, self.recipe, self.factors.seed, self.factors.arm)


class _Watch(TrainerCallback):
    """Notes what every step but the first takes, and stops when that is enough."""

    def __init__(self) -> None:
        self.at: Spent | None = None
        self.spent: list[Spent] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        now = Spent.now()
        if self.at is not None:
            self.spent.append(now - self.at)
        self.at = now
        enough = sum(s.wall for s in self.spent) > TRIAL_S / 2
        if enough and len(self.spent) >= N_TIMED:
            control.should_training_stop = True
