"""Tune a model on a mixture: QLoRA, full, one task, or a soft prompt.

Every arm and form goes through `tune`, on a CPU and on a GPU. A run that was
stopped goes on where its last checkpoint stands, to the same weights. On one
machine's CPU with one number of threads, a seed gives the same weights to the
last bit; on CUDA, attention's backward pass adds up in an order of its own,
and weights differ by rounding from run to run.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from flanlib.core import devices, folders, storage
from flanlib.core.bounds import Device, Dtype, PositiveFloat, PositiveInt, checked
from flanlib.core.config import Factors, Recipe, digest, run_id
from flanlib.core.errors import ParameterError, RunError
from flanlib.core.progress import say
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.core.quiet import quiet
from flanlib.data.catalogue import Catalogue
from flanlib.data.source import Rows
from flanlib.models import adapters, language_model, manifest, weights
from flanlib.prompts import mixture as mixtures
from flanlib.prompts.prompt import Prompt
from flanlib.training import card, checkpoint, folding, fused, memory, packing
from flanlib.training.result import RUN, TuneResult
from flanlib.training.trainer import (
    PackedTrainer,
    Progress,
    Steps,
    Watch,
    arguments,
    progress_at,
)

Source = mixtures.Mixture | Sequence[Prompt]


@checked
def tune(
    factors: Factors,
    recipe: Recipe,
    *,
    out: str | Path,
    rows: Rows = None,
    collection: Catalogue | None = None,
    mixture: Source | None = None,
    adapter: str | Path | None = None,
    device: Device | None = None,
    dtype: Dtype | None = None,
    checkpoint_every: PositiveInt = 50,
    available_gib: PositiveFloat | None = None,
    progress: Callable[[str], None] | None = say,
) -> TuneResult:
    """Tune as the factors and the recipe say, and leave the result in `out`.

    A run that was stopped goes on from its last checkpoint when the same
    call is made again, to the same weights. A run that is there is read.

    Parameters
    ----------
    out
        Folder for adapter (or model), run.json and card. Checkpoints stand
        beside it and go when it is finished.
    rows
        Local folder of rows, for the mixture.
    collection
        A collection that was loaded; None loads that which the factors name.
    mixture
        What to tune on instead: a `Mixture`, or prompts, repeated in order
        when they are fewer than the steps need.
    adapter
        Tuned adapter that lies under a soft prompt.
    device, dtype
        See `language_model.load`.
    checkpoint_every
        Steps from one checkpoint to the next.
    available_gib
        Memory that the run may take; None is what is free.
    progress
        Takes lines of text; None for silence.

    Raises
    ------
    RunError
        If the run cannot start, go on or be trusted.
    ParameterError
        If the arm is `base`, or has an adapter under it and is no soft prompt; if the run
        under it is named and no adapter is given; if there is no such device or dtype.
    """
    out, tell = Path(out), progress or (lambda line: None)
    devices.checked(device, dtype)
    folders.vacant(out, folders.files)  # whose files they are is asked below
    if factors.arm == "base":
        raise ParameterError("arm 'base' is not tuned; give tuned, finetuned or another arm")
    if adapter is not None and factors.arm != "prompt-tuned":
        raise ParameterError(f"arm {factors.arm!r} starts from a base; found adapter {adapter}")
    if factors.under and adapter is None:
        raise ParameterError(f"under: {factors.under!r}, and no adapter; give that run's folder")
    source = mixture
    if mixture is None:
        source = mixtures.of_run(factors, recipe, rows, collection=collection or "")
    data, folder = described(source), checkpoint.folder(out)
    identity = {
        "run_id": run_id(factors, recipe),
        "mixture": data["digest"],
        "base": weights.fingerprint(factors.model, adapter),
    }
    # Several may read a finished run at a time, so that asks for no lock.
    if (done := _finished(out, identity)) is not None:
        tell(f"{out}: run {done.run_id} is there already")
        checkpoint.drop(folder)
        return done
    with checkpoint.locked(folder):
        run = Run(
            factors=factors,
            recipe=recipe,
            out=out,
            folder=folder,
            adapter=adapter,
            tell=tell,
            checkpoint_every=checkpoint_every,
            available_gib=available_gib,
        )
        done = _finished(out, identity) or run.go(source, data, identity, device, dtype)
        shutil.rmtree(folder)
        return done


def described(source: Source) -> dict[str, Any]:
    """Digest of what is tuned on, and the settings it came from.

    Raises
    ------
    ParameterError
        If the list is empty.
    """
    if hasattr(source, "digest"):
        return {"digest": source.digest(), "settings": source.settings}
    if not source:
        raise ParameterError("the mixture is empty")
    return {"digest": digest([[p.input, p.separator, p.target] for p in source]), "settings": {}}


def prompts_from(source: Source, start: int) -> Iterator[Prompt]:
    """The prompts of a mixture or a list, endless, after the first `start`."""
    if hasattr(source, "stream"):
        return source.stream(start)
    return islice(cycle(source), start % len(source), None)


def _finished(out: Path, identity: dict[str, str]) -> TuneResult | None:
    """The run in a folder; an error if it is another one."""
    if not (out / RUN).exists():
        folders.vacant(out)
        return None
    found = TuneResult.read(out)
    there = {"run_id": found.run_id, "mixture": found.mixture["digest"], "base": found.base_digest}
    if there != identity:
        raise RunError(f"{out}: holds another run ({there}, not {identity}); give another folder")
    manifest.verify(out, "delete the folder and tune again")
    return found


@dataclass
class Run:
    """One run under way; its checkpoints stand in `folder`.

    Attributes
    ----------
    available_gib
        See `tune`.
    """

    factors: Factors
    recipe: Recipe
    out: Path
    folder: Path
    adapter: str | Path | None
    tell: Callable[[str], None]
    checkpoint_every: int
    available_gib: float | None

    @property
    def quantization(self) -> str:
        """Full fine-tuning moves every weight, so there they stay plain."""
        return "none" if self.factors.arm == "finetuned" else self.recipe.quantization

    def go(
        self,
        source: Source,
        data: dict[str, Any],
        identity: dict[str, str],
        device: str | None,
        dtype: str | None,
    ) -> TuneResult:
        """Load, train and save.

        Parameters
        ----------
        data
            Of the source, as `described` gives it.
        identity
            What a checkpoint has to agree with: run id, digests of mixture and base.
        """
        started = datetime.now(UTC).isoformat(timespec="seconds")
        where = {"device": device, "dtype": dtype, "available_gib": self.available_gib}
        memory.check(memory.plan(self.factors, self.recipe, **where))
        devices.forget_peak(device or devices.default())
        net, tokenizer = language_model.load(
            self.factors.model,
            quantization=self.quantization,
            dtype=dtype,
            device=device,
            adapter=self.adapter,
        )
        kind, kept_in = next(net.parameters()).device.type, packing.bare(net).dtype
        identity = {**identity, "device": kind, "dtype": str(kept_in)}
        packing.check_isolation(net)
        net = language_model.attach(net, self.recipe, self.factors.seed, self.factors.arm)
        n_virtual = self.recipe.prompt_tokens if self.factors.arm == "prompt-tuned" else 0
        done, at, progress = self._resume(identity)
        prompts = prompts_from(source, done * self.recipe.examples_per_step)
        context = language_model.context(packing.bare(net))
        steps = Steps(prompts, tokenizer, self.recipe, context, n_virtual)
        with packing.isolating(net), folding.folding(net), quiet():
            trainer = PackedTrainer(
                model=net,
                steps=steps,
                progress=progress,
                folder=self.folder,
                written=fused.step_of(net),
                args=arguments(self.recipe, self.factors.seed, self.folder, kind, kept_in),
            )
            trainer.add_callback(Watch(trainer, self.checkpoint_every, self.tell))
            trainer.train(resume_from_checkpoint=at and str(at))
        progress.wall_s = trainer.before + time.monotonic() - trainer.began
        return self._save(net, tokenizer, data, identity, progress, started)

    def _resume(self, identity: dict[str, str]) -> tuple[int, Path | None, Progress]:
        """Steps done, the checkpoint to start from, and what was counted."""
        checkpoint.claim(self.folder, identity)
        last = checkpoint.latest(self.folder)
        if last is None:
            return 0, None, Progress()
        progress = progress_at(*last)
        self.tell(f"{self.out}: going on after step {last[0]}")
        return *last, progress

    def _save(
        self,
        net: LanguageModel,
        tokenizer: Tokenizer,
        data: dict[str, Any],
        identity: dict[str, str],
        progress: Progress,
        started: str,
    ) -> TuneResult:
        result = TuneResult(
            out=self.out,
            run_id=identity["run_id"],
            factors=self.factors,
            recipe=self.recipe,
            base=self.factors.model,
            base_digest=identity["base"],
            quantization=self.quantization,
            adapters=[str(self.adapter)] if self.adapter else [],
            mixture=data,
            n_trainable=sum(p.numel() for p in net.parameters() if p.requires_grad),
            progress=progress,
            peak_memory_gib=devices.peak_memory_gib(identity["device"]),
            device=devices.name_of(identity["device"]),
            dtype=identity["dtype"].removeprefix("torch."),
            versions=card.versions(),
            started=started,
        )

        def write(staging: Path) -> None:
            if self.factors.arm == "finetuned":
                with quiet():
                    net.save_pretrained(staging)
                tokenizer.save_pretrained(staging)
            else:
                adapters.save(net, staging, self.factors.model)
            result.write(staging)
            storage.write(staging / manifest.CARD, card.text(result))

        checkpoint.whole(self.out, write)
        return result
