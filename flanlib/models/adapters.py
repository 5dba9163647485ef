"""Lay saved adapters over a model, and save them.

An adapter is laid whole or refused: its settings say which tensors there have
to be, and its file has to hold these, in their shapes, and no others. PEFT by
itself leaves out what does not fit, and says so in a warning.
"""

import json
from pathlib import Path
from typing import Any, get_args

import torch
from peft import (
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)

from flanlib.core import storage
from flanlib.core.config import Quantization
from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.core.progress import say
from flanlib.core.protocols import LanguageModel
from flanlib.core.quiet import quiet
from flanlib.models import adapter_config, loading, manifest, registry, tensors, weights
from flanlib.models.adapter_config import CONFIG, REMEDY

RUN = "run.json"
# Settings of a config.json that tell of the file, not of what the model computes.
SAME_FOR_ALL = ("_name_or_path", "architectures", "transformers_version", "dtype", "use_cache")


def lay(
    net: LanguageModel, folder: Path, base: str | Path, below: Path | None = None
) -> LanguageModel:
    """Put a saved adapter over a model; one already there stays in place.

    Parameters
    ----------
    net
        Model, or model with an adapter over which a soft prompt is laid.
    base
        Model as the user named it, held against what the adapter was made on.
    below
        Folder of the adapter already there.

    Raises
    ------
    DataError
        If files are damaged, were made on another base, or do not fit.
    ParameterError
        If something else than a soft prompt would lie over an adapter.
    """
    settings = adapter_config.settings_of(folder)
    kind = settings["peft_type"]
    if isinstance(net, PeftModel):
        if kind != "PROMPT_TUNING":
            raise ParameterError(f"{folder}: only a soft prompt can be laid over an adapter")
        if net.active_peft_config.is_prompt_learning:
            raise ParameterError(f"{folder}: {below} is a soft prompt, and over it lies no other")
        net = net.get_base_model()
    _check_base(folder, settings, base, below)
    tensors.check_one(folder, weights.ADAPTER)
    found = tensors.tensors_of(weights.files(folder, weights.ADAPTER))
    over = f"{folder}: cannot be laid over {net.config.model_type}"
    try:
        with quiet():
            laid = _laid(net, adapter_config.peft_config(net, settings, found), found)
    except DataError as error:
        raise DataError(f"{over}: {error}") from None
    except Exception as error:  # PEFT and torch raise errors of their own
        text = " ".join(str(error).split())[:300]
        raise DataError(f"{over} ({type(error).__name__}: {text}); {REMEDY}") from error
    if _void(found):
        void = "one side of every LoRA pair is zero, so it does nothing"
        if not all((folder / name).is_file() for name in (RUN, manifest.MANIFEST)):
            raise DataError(f"{over}: {void}; {REMEDY}")
        manifest.verify(folder, REMEDY, [RUN])
        say(f"{folder}: {void}, as its run left it")
    return laid


def save(net: LanguageModel, folder: Path, base: str) -> None:
    """Write an adapter in PEFT's layout, the same bytes for the same adapter.

    Parameters
    ----------
    net
        PEFT model with one adapter.
    base
        Name of the base as the user gave it; what PEFT would write is a path of this machine.
    """
    with quiet():
        net.save_pretrained(folder, save_embedding_layers=False)
    settings = storage.read_json(folder / CONFIG, REMEDY)
    name, _, revision = base.partition("@")
    hub = bool(revision) and not Path(base).is_dir()
    for key in ("base_model_name_or_path", "tokenizer_name_or_path"):
        if settings.get(key):
            settings[key] = name if hub else base
    settings["revision"] = revision if hub else settings.get("revision")
    if isinstance(settings.get("target_modules"), list):
        settings["target_modules"] = sorted(settings["target_modules"])
    storage.write(folder / CONFIG, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def quantization_of(folder: Path) -> Quantization | None:
    """How the base was loaded that an adapter was tuned on, None where nothing says so.

    Raises
    ------
    DataError
        If run.json says something that is not known.
    """
    if not (folder / RUN).is_file():
        return None
    found = storage.read_json(folder / RUN, REMEDY).get("quantization")
    if found not in get_args(Quantization):
        known = " or ".join(get_args(Quantization))
        raise DataError(f"{folder / RUN}: quantization is {found!r:.60}, not {known}; {REMEDY}")
    return found


def _check_base(
    folder: Path, settings: dict[str, Any], base: str | Path, below: Path | None
) -> None:
    """Refuse a base other than the adapter was made on; say so where that is only likely."""
    if not (folder / RUN).is_file():
        name = settings.get("base_model_name_or_path")
        if isinstance(name, str) and name:
            _check_name(folder, name, base)
        return
    quantization_of(folder)
    run = storage.read_json(folder / RUN, REMEDY)
    name, digest, under = run.get("base"), run.get("base_digest"), run.get("adapters")
    if not (isinstance(name, str) and isinstance(digest, str) and isinstance(under, list)):
        raise DataError(f"{folder / RUN}: base, base_digest or adapters is missing; {REMEDY}")
    _check_recipe(folder, settings, run.get("recipe"))
    here, local = weights.fingerprint(base, below), _folder(name) and _folder(base)
    if digest == here and (not local or weights.fingerprint(name, below) == digest):
        if local and not local.samefile(_folder(name)):
            _check_alike(folder, name, base)
        return
    told = ", ".join([name, *map(str, under)])
    if local or bool(_folder(name)) == bool(_folder(base)) or not _like_hub(name):
        ours = ", ".join(map(str, [base, *([below] if below else [])]))
        raise DataError(
            f"{folder}: was tuned on {told:.200} (weights {digest:.12}), not on {ours} ({here});"
            " give --model the base that it was tuned on, and --adapter what lay over that first"
        )
    say(f"{folder}: was tuned on {told:.200}; whether {base} is the same cannot be told")


def _check_alike(folder: Path, name: str, base: str | Path) -> None:
    """Refuse a base of the same weights that reads or computes otherwise."""
    one, two = (loading.config_of(model).to_dict() for model in (name, base))
    differ = [key for key in sorted(one | two) if one.get(key) != two.get(key)]
    differ = [key for key in differ if key not in SAME_FOR_ALL]
    if loading.tokenizer_of(name).get_vocab() != loading.tokenizer_of(base).get_vocab():
        differ.append("vocabulary")
    if differ:
        raise DataError(
            f"{folder}: was tuned on {name:.200}; {base} has the same weights, and another"
            f" {', '.join(differ[:3])}; give --model the base that it was tuned on"
        )


def _check_name(folder: Path, name: str, base: str | Path) -> None:
    """As `_check_base`, for an adapter of which only the name of its base is known."""
    if _folder(name) and _folder(base):
        if weights.fingerprint(name) != weights.fingerprint(base):
            raise DataError(
                f"{folder}: was made on {name:.200} by its {CONFIG}, and {base} has other"
                " weights; give --model the base that it was made on"
            )
    elif Path(name).name.lower() != Path(str(base)).name.lower():
        say(f"{folder}: was made on {name:.200}; whether {base} is the same cannot be told")


def _folder(model: str | Path) -> Path | None:
    """Folder of a model, None for a hub model or one that is not here."""
    try:
        name, _ = weights.locate(model)
    except (DataError, MissingResultError):
        return None
    return Path(name) if Path(name).is_dir() else None


def _like_hub(model: str) -> bool:
    named = registry.load().get(model)
    if named:
        return named.hub is not None
    return model.count("/") == 1 and not model.startswith(("/", ".", "~"))


def _check_recipe(folder: Path, settings: dict[str, Any], recipe: object) -> None:
    """Refuse settings that contradict the recipe of run.json."""
    for key in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern"):
        if settings.get(key):
            raise DataError(
                f"{folder / CONFIG}: {key} is {settings[key]!r:.40}, which `tune` never sets, and"
                f" run.json says that it wrote this; {REMEDY}"
            )
    pairs = {"LORA": {"r": "rank", "lora_alpha": "alpha"}}
    pairs |= {"PROMPT_TUNING": {"num_virtual_tokens": "prompt_tokens"}}
    for key, name in pairs[settings["peft_type"]].items():
        told = recipe.get(name) if isinstance(recipe, dict) else None
        if told is None or settings.get(key) != told:
            raise DataError(
                f"{folder / CONFIG}: {key} is {settings.get(key)!r:.40}, and run.json has {name}"
                f" {told!r:.40}; {REMEDY}"
            )


def _laid(net: LanguageModel, config: PeftConfig, found: dict[str, torch.Tensor]) -> LanguageModel:
    """The model with an adapter, after holding the file against it and it against the file."""
    # PEFT's lean way gives an adapter the base's type, and one of 16 bits would round it.
    lean = not config.is_prompt_learning and net.dtype == torch.float32
    laid = get_peft_model(net, config, low_cpu_mem_usage=lean)
    own = get_peft_model_state_dict(laid, save_embedding_layers=False)
    file = {n: t.shape for n, t in found.items() if n in own and t.shape != own[n].shape}
    missing, unexpected = own.keys() - found.keys(), found.keys() - own.keys()
    if said := tensors.misfit(missing, unexpected, file, {n: own[n].shape for n in file}):
        raise DataError(f"{said}; give the base that it was made on")
    if bad := tensors.not_finite(found.items()):
        raise DataError(f"no finite numbers in {tensors.shortened(bad)}; {REMEDY}")
    given = {
        n: t.to(torch.float32 if own[n].is_meta else own[n].dtype).to(net.device)
        for n, t in found.items()
    }
    set_peft_model_state_dict(laid, given, low_cpu_mem_usage=lean)
    now = get_peft_model_state_dict(laid, save_embedding_layers=False)
    if wrong := [n for n, t in given.items() if not torch.equal(now[n].to(t), t)]:
        raise DataError(f"not taken as saved: {tensors.shortened(wrong)}; {REMEDY}")
    return laid.requires_grad_(False)


def _void(found: dict[str, torch.Tensor]) -> bool:
    """Whether LoRA's product is zero everywhere, and nothing else is in the file."""
    pairs = [(n, n.replace("lora_A", "lora_B")) for n in found if "lora_A" in n]
    if not pairs or 2 * len(pairs) != len(found):
        return False
    return not any(bool(found[a].any()) and bool(found[b].any()) for a, b in pairs)
