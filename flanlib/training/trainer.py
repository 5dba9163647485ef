"""`transformers.Trainer` over packed steps, with checkpoints of our own.

One step of the Trainer is one optimiser step over `examples_per_step`
examples, packed without padding into as few sequences as `pack_tokens`
allows. The loss is the mean over all target tokens of the step, however they
were packed.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

from flanlib.core import storage
from flanlib.core.config import Recipe
from flanlib.core.errors import RunError
from flanlib.core.protocols import Tokenizer
from flanlib.models import encode
from flanlib.prompts.prompt import Prompt
from flanlib.training import checkpoint, packing
from flanlib.training.fused import Step

TRAINABLE = "trainable.safetensors"
STATE = "progress.json"


@dataclass
class Progress:
    """What a run has done so far; part of every checkpoint.

    Attributes
    ----------
    losses
        Mean loss per target token of each step, in nats.
    n_prompt, n_target
        Tokens read without loss, and trained on (end tokens included).
    n_cut, n_cut_targets
        Tokens cut by the length limits, and targets that lost their end.
    n_dropped, n_unknown
        Exemplars that did not fit, and tokens for text that the tokenizer has none for.
    wall_s
        Spent tuning, over all processes that worked on the run.
    """

    losses: list[float] = field(default_factory=list)
    n_prompt: int = 0
    n_target: int = 0
    n_cut: int = 0
    n_cut_targets: int = 0
    n_dropped: int = 0
    n_unknown: int = 0
    wall_s: float = 0.0


def progress_at(step: int, folder: Path) -> Progress:
    """What was counted until a checkpoint.

    Raises
    ------
    RunError
        If the checkpoint is damaged.
    """
    with checkpoint.reading(folder):
        state = TrainerState.load_from_json(str(folder / TRAINER_STATE_NAME))
        if state.global_step != step or not state.train_batch_size:
            raise ValueError(f"{TRAINER_STATE_NAME} is not that of step {step}")
        progress = Progress(**storage.read_json(folder / STATE, checkpoint.ADVICE))
        if len(progress.losses) != step:
            raise ValueError(f"{STATE} has {len(progress.losses)} losses after {step} steps")
    return progress


class Steps:
    """The examples of each step, encoded and packed, from a step on."""

    def __init__(
        self,
        prompts: Iterable[Prompt],
        tokenizer: Tokenizer,
        recipe: Recipe,
        context: int | None,
        n_virtual: int = 0,
    ) -> None:
        self.prompts, self.tokenizer, self.recipe = iter(prompts), tokenizer, recipe
        self.context, self.n_virtual = context and context - n_virtual, n_virtual

    def __iter__(self) -> Iterator[dict[str, Any]]:
        eos = self.tokenizer.eos_token_id
        while batch := list(islice(self.prompts, self.recipe.examples_per_step)):
            encoded = encode.encode_many(
                self.tokenizer,
                batch,
                max_input_tokens=self.recipe.max_input_tokens,
                max_target_tokens=self.recipe.max_target_tokens,
                context=self.context,
            )
            yield {
                "packs": packing.packs(encoded, eos, self.recipe.pack_tokens, self.n_virtual),
                "tasks": [p.task for p in batch],
                "examples": encoded,
            }


class PackedTrainer(Trainer):
    """A Trainer whose steps are packed, and whose checkpoints are atomic.

    Parameters
    ----------
    steps
        Gives each optimiser step its packs.
    progress
        What was done before; goes on being counted.
    folder
        Where checkpoints are written.
    written
        Runs each pack without autograd; None leaves that to it.
    given
        What transformers' Trainer takes.
    """

    def __init__(
        self,
        *,
        steps: Steps,
        progress: Progress,
        folder: Path,
        written: Step | None = None,
        **given: object,
    ) -> None:
        super().__init__(**given)
        self.written = written
        self.remove_callback(PrinterCallback)
        self.steps, self.progress, self.folder = steps, progress, folder
        self.began, self.before = time.monotonic(), progress.wall_s
        self.tasks: list[str] = []

    def get_train_dataloader(self) -> Steps:
        return self.steps

    def floating_point_ops(self, inputs: object) -> int:
        return 0

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: object = None
    ) -> torch.Tensor:
        model.train()
        self.tasks = inputs["tasks"]
        total = sum(len(p.targets) for p in inputs["packs"])
        found = torch.stack([self._run(packed, total) for packed in inputs["packs"]]).sum()
        self._finite("loss", found)
        self._count(inputs["examples"], total, found.item())
        return found

    def _run(self, packed: packing.Pack, total: int) -> torch.Tensor:
        """Forward and backward over one pack; its share of the step's loss."""
        if self.written is not None:
            return torch.tensor(self.written.run(packed, 1 / total))
        with self.accelerator.autocast():
            loss = packing.loss_sum(self.model, packed.to(self.args.device)) / total
        self.accelerator.backward(loss)
        return loss.detach()

    def _count(self, examples: Sequence[encode.Encoded], n_target: int, loss: float) -> None:
        progress = self.progress
        progress.losses.append(loss)
        progress.n_target += n_target
        progress.n_prompt += sum(len(e.prompt_ids) for e in examples)
        progress.n_cut += sum(e.n_cut for e in examples)
        progress.n_cut_targets += sum(e.n_cut_target > 0 for e in examples)
        progress.n_dropped += sum(e.n_dropped for e in examples)
        progress.n_unknown += sum(e.n_unknown for e in examples)

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        norm = super()._clip_grad_norm(model)
        self._finite("gradient", norm)
        return norm

    def _finite(self, what: str, value: torch.Tensor) -> None:
        if torch.isfinite(value):
            return
        raise RunError(
            f"step {self.state.global_step + 1}: the {what} is {value.item()} on examples of tasks"
            f" {', '.join(sorted(set(self.tasks)))}; lower learning_rate (now"
            f" {self.args.learning_rate:g}) or max_gradient_norm (now {self.args.max_grad_norm:g}),"
            f" or compute in float32; the last good checkpoint is kept in {self.folder}"
        )

    def _save_checkpoint(self, model: torch.nn.Module, trial: object) -> None:
        self.progress.wall_s = self.before + time.monotonic() - self.began
        checkpoint.save(self.folder, self.state.global_step, self._write)

    def _write(self, staging: Path) -> None:
        save_file(trainable(self.model), staging / TRAINABLE)
        self._save_optimizer_and_scheduler(str(staging))
        self._save_rng_state(str(staging))
        self.state.save_to_json(str(staging / "trainer_state.json"))
        storage.write(staging / STATE, json.dumps(asdict(self.progress)))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        with checkpoint.reading(resume_from_checkpoint), torch.no_grad():
            found, own = load_file(Path(resume_from_checkpoint) / TRAINABLE), trainable(self.model)
            if found.keys() != own.keys():
                raise ValueError(f"{TRAINABLE} has other weights than the model")
            for name, value in found.items():
                own[name].copy_(value)

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        with checkpoint.reading(folder):
            super()._load_optimizer_and_scheduler(folder)

    def _load_rng_state(self, folder: str | None) -> None:
        with checkpoint.reading(folder):
            super()._load_rng_state(folder)


def trainable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Name -> value of every parameter that is trained."""
    return {n: p.detach().contiguous() for n, p in model.named_parameters() if p.requires_grad}


class Watch(TrainerCallback):
    """Saves after `every` so many steps, and tells of a `trainer`'s progress in lines."""

    def __init__(self, trainer: PackedTrainer, every: int, tell: Callable[[str], None]) -> None:
        self.trainer, self.every, self.tell = trainer, every, tell
        self.first, self.told = len(trainer.progress.losses), 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        step, last = state.global_step, state.max_steps
        control.should_save = step % self.every == 0 and step < last
        now = time.monotonic()
        if now - self.told >= 5.0 or step == last:
            self.told = now
            spent = now - self.trainer.began
            left = spent / (step - self.first) * (last - step)
            recent = self.trainer.progress.losses[-20:]
            self.tell(
                f"step {step}/{last}  loss {sum(recent) / len(recent):.4f}  {spent:.0f} s,"
                f" {left:.0f} s left"
            )


def arguments(
    recipe: Recipe, seed: int, folder: Path, kind: str, dtype: torch.dtype
) -> TrainingArguments:
    """The Trainer's settings for a recipe on a kind of device.

    A base in bfloat16 is computed under autocast; what is trained stays in
    float32.
    """
    cuda = kind == "cuda"
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=("cosine" if recipe.schedule == "cosine" else "constant_with_warmup"),
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        optim="paged_adamw_8bit" if cuda else "adamw_torch_fused",
        bf16=dtype == torch.bfloat16,
        use_cpu=not cuda,
        activation_checkpointing=cuda,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        ignore_data_skip=True,
        remove_unused_columns=False,
        label_names=[],
        dataloader_pin_memory=False,
    )
