"""A finished run: what its folder says of it, and the model it made."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from flanlib.core import storage
from flanlib.core.config import STRICT, Factors, Quantization, Recipe
from flanlib.core.errors import DataError, RunError
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.models import adapters, language_model, manifest
from flanlib.training.trainer import Progress

RUN = adapters.RUN


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TuneResult:
    """A finished run; the content of its run.json and clock.json.

    Attributes
    ----------
    out
        PEFT adapter folder, or a model folder for the `finetuned` arm.
    base, base_digest, quantization, adapters
        What `out` was tuned on: model, digest of its weights and of the
        adapters below, how it was loaded, and those adapters.
    mixture
        Digest of the prompts, and the settings they came from.
    """

    out: Path
    run_id: str
    factors: Factors
    recipe: Recipe
    base: str
    base_digest: str
    quantization: Quantization
    adapters: list[str]
    mixture: dict[str, Any]
    n_trainable: int
    progress: Progress
    peak_memory_gib: float
    device: str
    dtype: str
    versions: dict[str, str]
    started: str

    @property
    def losses(self) -> list[float]:
        """Mean loss per target token of each step, in nats."""
        return self.progress.losses

    @property
    def cost(self) -> dict[str, float | str]:
        """Device, seconds, tokens and memory, as records keep them."""
        return {
            "device": self.device,
            "wall_s": round(self.progress.wall_s, 1),
            "n_tokens": self.progress.n_prompt + self.progress.n_target,
            "peak_memory_gib": round(self.peak_memory_gib, 3),
        }

    @classmethod
    def read(cls, out: str | Path) -> "TuneResult":
        """A run from its folder.

        Raises
        ------
        RunError
            If the folder holds no finished run.
        """
        path, remedy = Path(out) / RUN, "delete its folder and tune again"
        try:
            found = storage.read_json(path, remedy)
            if (path.parent / manifest.CLOCK).exists():  # older runs have all in one file
                clock = storage.read_json(path.parent / manifest.CLOCK, remedy)
                found["progress"]["wall_s"] = clock.pop("wall_s")
                found |= clock
            found["mixture"]["digest"]  # what a run is compared by
            return cls(**{**found, "out": Path(out)})
        except DataError as error:
            raise RunError(f"no finished run: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            why = (
                f"{'.'.join(map(str, first['loc']))}: {first['msg']}, found {first['input']!r:.60}"
            )
        except (TypeError, KeyError) as error:
            why = f"{type(error).__name__}: {error!s:.100}"
        raise RunError(f"{path}: no finished run ({why}); {remedy}")

    def load(
        self, device: str | None = None, dtype: str | None = None
    ) -> tuple[LanguageModel, Tokenizer]:
        """The tuned model and its tokenizer; see `language_model.load`."""
        if self.factors.arm == "finetuned":
            return language_model.load(self.out, quantization="none", device=device, dtype=dtype)
        return language_model.load(
            self.base,
            quantization=self.quantization,
            device=device,
            dtype=dtype,
            adapter=[*self.adapters, self.out],
        )

    def write(self, folder: Path) -> None:
        """Write run.json and clock.json."""
        found = asdict(self)
        del found["out"]
        clock = {name: found.pop(name) for name in ("started", "peak_memory_gib")}
        clock["wall_s"] = found["progress"].pop("wall_s")
        for name, content in ((RUN, found), (manifest.CLOCK, clock)):
            storage.write(folder / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
