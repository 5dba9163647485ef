"""Read an adapter's settings: what of them can be laid, in bounds of time and numbers."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import regex
import torch
from peft import LoraConfig, PeftConfig, PromptTuningConfig

from flanlib.core import storage
from flanlib.core.errors import DataError
from flanlib.core.protocols import LanguageModel
from flanlib.models import manifest, weights

CONFIG = "adapter_config.json"
REMEDY = "copy the adapter again, or tune again"
KINDS = {"LORA": LoraConfig, "PROMPT_TUNING": PromptTuningConfig}
# Settings that are read here, or have no part in what a laid adapter computes. Any other has
# to have its default value.
READ = {
    *("peft_type", "task_type", "base_model_name_or_path", "revision", "inference_mode"),
    *("peft_version", "auto_mapping"),
}
READ_OF = {
    "LORA": {
        *("r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "init_lora_weights"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        *("modules_to_save", "use_rslora", "use_dora", "fan_in_fan_out"),
    },
    "PROMPT_TUNING": {
        *("num_virtual_tokens", "token_dim", "num_layers", "num_attention_heads"),
        "num_transformer_submodules",
        *("prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path"),
        "tokenizer_kwargs",
    },
}
UNCHANGED = (True, False, None, "gaussian", "orthogonal", "eva")  # starts that leave the base be
PATIENCE_S = 1.0


def settings_of(folder: Path) -> dict[str, Any]:
    """What adapter_config.json says, of a kind that can be laid.

    Parameters
    ----------
    folder
        Of the adapter; its files are held against manifest.json where there is one.

    Raises
    ------
    DataError
        If the file is not there or not readable, or is of another kind or task.
    RunError
        If a file is not the one that was written.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise DataError(f"{folder}: no {CONFIG}; give a folder written by tune")
    if (folder / manifest.MANIFEST).exists():
        loaded = [file, *weights.files(folder, weights.ADAPTER)]
        manifest.verify(folder, REMEDY, [path.name for path in loaded])
    settings = storage.read_json(file, REMEDY)
    kind, task = settings.get("peft_type"), settings.get("task_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(f"{file}: peft_type is {kind!r:.60}; allowed are {' and '.join(KINDS)}")
    if task not in (None, "CAUSAL_LM"):
        raise DataError(f"{file}: task_type is {task!r:.60}, not CAUSAL_LM; give another adapter")
    usual = KINDS[kind]().to_dict()
    for key, value in settings.items():
        if key not in READ | READ_OF[kind] and value and value != usual.get(key):
            raise DataError(
                f"{file}: {key:.60} is {value!r:.60}; adapters with it cannot be laid here"
            )
    return settings


def peft_config(
    net: LanguageModel, settings: dict[str, Any], found: dict[str, torch.Tensor]
) -> PeftConfig:
    """PEFT's configuration, patterns written out, numbers checked.

    Parameters
    ----------
    net
        Model that the adapter is laid over.
    settings
        As `settings_of` gives them.

    Raises
    ------
    DataError
        If a number or pattern would make it another adapter, or take too long.
    """
    given = {"task_type": "CAUSAL_LM", "inference_mode": True}
    if settings["peft_type"] == "PROMPT_TUNING":
        return PromptTuningConfig(num_virtual_tokens=_vectors(net, settings, found), **given)
    _check_number("r", settings.get("r"), whole=True)
    _check_number("lora_alpha", settings.get("lora_alpha"))
    if settings.get("init_lora_weights") not in UNCHANGED:
        raise DataError(
            f"init_lora_weights is {settings['init_lora_weights']!r:.40}, which changes the base;"
            " convert it to a plain LoRA adapter by PEFT"
        )
    for key in ("modules_to_save", "layers_pattern"):
        _check_words(key, settings.get(key))
    patterns = Patterns(name for name, part in net.named_modules() if not list(part.children()))
    plain = ("layers_to_transform", "layers_pattern", "modules_to_save")
    switches = ("use_rslora", "use_dora", "fan_in_fan_out")
    return LoraConfig(
        r=settings["r"],
        lora_alpha=settings["lora_alpha"],
        rank_pattern=patterns.numbers("rank_pattern", settings, whole=True),
        alpha_pattern=patterns.numbers("alpha_pattern", settings),
        target_modules=patterns.names_of(settings.get("target_modules")),
        exclude_modules=patterns.names_of(settings.get("exclude_modules")),
        **{key: settings.get(key) for key in plain},
        **{key: bool(settings.get(key)) for key in switches},
        **given,
    )


def _vectors(net: LanguageModel, settings: dict[str, Any], found: dict[str, torch.Tensor]) -> int:
    """How many vectors a soft prompt has, in settings and file alike."""
    n, width = settings.get("num_virtual_tokens"), net.get_input_embeddings().embedding_dim
    _check_number("num_virtual_tokens", n, whole=True)
    for key, fits in (("token_dim", width), ("num_transformer_submodules", 1)):
        if settings.get(key) not in (None, fits):
            raise DataError(f"{key} is {settings[key]!r:.40}, and this model has {fits}")
    shape = tuple(found["prompt_embeddings"].shape) if "prompt_embeddings" in found else None
    if shape not in (None, (n, width)):
        raise DataError(f"1 misshapen (prompt_embeddings: {shape}, not {(n, width)})")
    return n if shape else 1


def _check_number(key: str, value: object, *, whole: bool = False) -> None:
    """Refuse what is no number, or would make an adapter do nothing."""
    kinds = int if whole else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    if not (fits and math.isfinite(value) and value != 0 and (value > 0 or not whole)):
        wanted = "a whole number above 0" if whole else "a number other than 0"
        raise DataError(f"{key} is {value!r:.40}, not {wanted}")


def _check_words(key: str, value: object) -> None:
    """Refuse patterns where PEFT would take names for patterns."""
    names = [value] if isinstance(value, str) else value or []
    if not all(isinstance(name, str) and regex.fullmatch(r"[\w.]+", name) for name in names):
        raise DataError(f"{key} is {value!r:.60}, not names of modules")


class Patterns:
    """Regular expressions in an adapter's settings, written out as `names` of modules."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names, self.until = list(names), time.monotonic() + PATIENCE_S

    def names_of(self, given: list[str] | str | None) -> list[str] | str | None:
        """Names that a pattern matches; a list is left as it is, PEFT takes it for names.

        Parameters
        ----------
        given
            A pattern, a list, or the word `all-linear`.
        """
        if not isinstance(given, str) or given == "all-linear":
            return given
        return [name for name in self.names if self._fits(given, name)]

    def numbers(self, key: str, settings: dict[str, Any], *, whole: bool = False) -> dict:
        """Name -> number of the first pattern that matches the end of the name.

        Parameters
        ----------
        key
            Setting that holds numbers by pattern.
        settings
            Of the adapter.
        whole
            Whether the numbers are whole and above 0.
        """
        given = settings.get(key) or {}
        if not isinstance(given, dict):
            raise DataError(f"{key} is {given!r:.40}, not numbers by name of module")
        found: dict[str, Any] = {}
        for pattern, value in given.items():
            _check_number(f"{key} of {pattern:.40}", value, whole=whole)
            for name in self.names:
                if name not in found and self._fits(rf"(.*\.)?({pattern})", name):
                    found[name] = value
        return found

    def _fits(self, pattern: str, name: str) -> bool:
        try:
            left = max(self.until - time.monotonic(), 1e-3)
            return regex.fullmatch(pattern, name, timeout=left) is not None
        except TimeoutError:
            raise DataError(
                f"the pattern {pattern!r:.60} takes longer than {PATIENCE_S:.0f} s to match"
            ) from None
        except regex.error as error:
            raise DataError(f"{pattern!r:.60} is no pattern ({error})") from None
