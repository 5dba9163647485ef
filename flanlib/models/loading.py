"""Load what transformers saved, and refuse what is not what was asked for.

transformers draws weights that a checkpoint lacks at random, leaves out those
that it does not know, and says so in a warning. Here both are errors, and so
are settings of a config.json that would bring in code or other weights.
"""

import copy
import re
import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

from flanlib.core.errors import DataError, RunError
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.core.quiet import quiet
from flanlib.models import manifest, tensors, weights

Found = TypeVar("Found")

# Settings of a config.json that bring in kernels, other weights or other numbers.
FOREIGN = (
    *("quantization_config", "compression_config", "kernel_config", "fusion_config"),
    *("distributed_config", "transformers_weights", "configuration_files"),
)
# Buffers that old checkpoints carry: constants, which a model makes anew.
CONSTANTS = r"(^|\.)(masked_bias|rotary_emb\.inv_freq)$"


def config_of(model: str | Path) -> PreTrainedConfig:
    """A model's configuration, without its weights.

    Raises
    ------
    DataError
        If it cannot be read, or asks for code, kernels or weights from elsewhere.
    """
    name, revision = weights.locate(model)
    raw, _ = _read(PreTrainedConfig.get_config_dict, name, revision)
    _check_settings(name, raw)
    found = _read(AutoConfig.from_pretrained, name, revision, trust_remote_code=False)
    found._attn_implementation = found._experts_implementation = None
    return found


def of_layers(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """A copy of a configuration that has its first `layers` alone."""
    found = copy.deepcopy(config)
    text = found.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    return found


def causal_lm(model: str | Path, **given: object) -> LanguageModel:
    """A causal language model whose every weight is the checkpoint's.

    Parameters
    ----------
    given
        What `from_pretrained` takes: numbers, device, quantisation.

    Raises
    ------
    DataError
        If weights are missing from the checkpoint, foreign to the model or of
        another shape; if they are whole numbers or in 8 bits; if the file contradicts
        ties of the configuration; if files beside it hold other weights.
    RunError
        If the device is too small.
    """
    config = config_of(model)
    name, revision = weights.locate(model)
    if Path(name).is_dir():
        _check_folder(Path(name))
    net, report = _read(
        AutoModelForCausalLM.from_pretrained,
        name,
        revision,
        config=config,
        trust_remote_code=False,
        weights_only=True,
        attn_implementation="sdpa",
        ignore_mismatched_sizes=True,  # so that all of them are told
        output_loading_info=True,
        **given,
    )
    ties = net.all_tied_weights_keys  # of what is tied, the source counts
    missing = [n for n in report["missing_keys"] if ties.get(n) not in report["missing_keys"]]
    unexpected = [n for n in report["unexpected_keys"] if not re.search(CONSTANTS, n)]
    own = {key: own for key, _, own in report["mismatched_keys"]}
    file = {key: shape for key, shape, _ in report["mismatched_keys"]}
    if said := tensors.misfit(missing, unexpected, file, own):
        raise DataError(
            f"{name}: its weights are not those of {type(net).__name__} as config.json describes"
            f" it: {said}; give a whole checkpoint of this model"
        )
    if Path(name).is_dir():
        tensors.check_floating(weights.files(Path(name)))
    _check_ties(name, net)
    net.name_or_path = net.config.name_or_path = str(model)
    return net


def tokenizer_of(model: str | Path) -> Tokenizer:
    """A model's tokenizer as it was saved.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    name, revision = weights.locate(model)
    return _read(AutoTokenizer.from_pretrained, name, revision, trust_remote_code=False)


def _check_folder(folder: Path) -> None:
    """Refuse a model folder with something else in it that would be loaded."""
    if (folder / "adapter_config.json").is_file():
        raise DataError(
            f"{folder}: holds an adapter beside the model; give --adapter the adapter's folder"
            " and --model that of its base"
        )
    if shards := sorted(folder.glob("shard-*-model-*.safetensors")):
        raise DataError(
            f"{shards[0]}: a part of a distributed checkpoint; save it anew by save_pretrained"
        )
    if (folder / "run.json").is_file() and (folder / manifest.MANIFEST).is_file():
        manifest.verify(folder, "copy the folder again, or tune again")
    weights.files(folder)
    tensors.check_one(folder, weights.MODEL)


def _check_settings(name: str, raw: object) -> None:
    """Refuse a configuration that brings in kernels, or weights of another making."""
    for key, value in _settings(raw):
        kernel = key.endswith("_implementation") and re.search("[/:|]", str(value))
        if kernel or (key in FOREIGN and value):
            raise DataError(
                f"{name}: config.json: {key} is {reprlib.repr(value)}; flanlib loads plain weights"
                " of the folder itself, with attention of its own: take it out, or give a"
                " checkpoint in plain weights"
            )


def _settings(value: object) -> Iterator[tuple[str, Any]]:
    """Every key of a nested configuration, with what it holds."""
    parts = value.items() if isinstance(value, dict) else ()
    for key, part in parts:
        yield str(key), part
        yield from _settings(part)


def _check_ties(name: str, net: LanguageModel) -> None:
    """Refuse a file in which weights differ that the configuration ties."""
    told = net.get_expanded_tied_weights_keys(all_submodels=True)
    if lost := {n: source for n, source in told.items() if n not in net.all_tied_weights_keys}:
        weight, source = next(iter(lost.items()))
        raise DataError(
            f"{name}: {weight} differs from {source} in the file, and config.json ties the two;"
            " if the file is right, set tie_word_embeddings to false there"
        )


def _read(reader: Callable[..., Found], name: str, revision: str | None, **given: object) -> Found:
    """Load by transformers, quietly, its errors told in one line."""
    try:
        with quiet():
            return reader(name, revision=revision, **given)
    except torch.OutOfMemoryError:
        raise RunError(
            f"{name}: too large for {given.get('device_map')}; use a smaller model, or"
            " quantization nf4"
        ) from None
    except Exception as error:  # the readers below raise errors of their own kinds
        text = " ".join(str(error).split())[:300]
        raise DataError(
            f"{name}: {reader.__self__.__name__} cannot read it ({type(error).__name__}: {text});"
            " give a name of `flanlib list --models`, a folder saved by transformers, or a hub id"
            " that was downloaded or can be"
        ) from error
