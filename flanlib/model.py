"""Load a causal language model, quantised or plain, and attach adapters.

One path for CPU and CUDA: transformers loads, bitsandbytes quantises (NF4
with double quantisation), PEFT adapts. On a CPU every quantised weight is
taken back once, by bitsandbytes' own function, into the 32-bit values that
it would otherwise recompute in every forward pass: the same numbers, without
the time, and without the repacking to bfloat16 that bitsandbytes does on
some processors when a model is not in training.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import (
    LoraConfig,
    PeftModel,
    PromptTuningConfig,
    PromptTuningInit,
    get_peft_model,
)
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    set_seed,
)

from flanlib import devices
from flanlib.config import Arm, Quantization, Recipe
from flanlib.errors import DataError, ParameterError, RunError
from flanlib.quiet import quiet
from flanlib.rehearsal import random_neox as random_neox
from flanlib.weights import fingerprint as fingerprint
from flanlib.weights import locate as locate

PADS = ("<|padding|>", "<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>")


def load(
    model: str | Path,
    *,
    quantization: Quantization = "nf4",
    dtype: torch.dtype | str | None = None,
    device: str | torch.device | None = None,
    adapter: str | Path | Sequence[str | Path] | None = None,
) -> tuple[Any, Any]:
    """A model ready to score, and its tokenizer.

    Parameters
    ----------
    model
        Name below data/models/, folder, or hub id.
    dtype
        Of computing; by default bfloat16 on CUDA, float32 on a CPU.
    device
        By default the first CUDA device, or else the CPU.
    adapter
        PEFT folder, or several to lay one over the other: a soft prompt
        over a tuned model. Adapters are never merged into the base.

    Returns
    -------
    The model in evaluation mode, parameters frozen, and the tokenizer.

    Raises
    ------
    DataError
        If model, tokenizer or adapter cannot be read.
    """
    where = torch.device(device or devices.default())
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    dtype = dtype or (torch.float32 if where.type == "cpu" else torch.bfloat16)
    name, revision = locate(model)
    given: dict[str, Any] = {"dtype": dtype, "attn_implementation": "sdpa"}
    if quantization == "nf4":
        given["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        given["device_map"] = {"": where}
    found = _read(AutoModelForCausalLM, name, revision, **given)
    if quantization == "none":
        found = found.to(where)
    elif where.type == "cpu":
        unfold(found, dtype)
    found.requires_grad_(False)
    tokenizer = load_tokenizer(model)
    for folder in [adapter] if isinstance(adapter, str | Path) else adapter or []:
        found = _lay(found, Path(folder))
    return found.eval(), tokenizer


def load_tokenizer(model: str | Path) -> Any:
    """A model's tokenizer, with a pad token that is not its end token.

    Raises
    ------
    DataError
        If it cannot be read or defines no end token.
    """
    name, revision = locate(model)
    tokenizer = _read(AutoTokenizer, name, revision)
    if tokenizer.eos_token_id is None:
        raise DataError(f"{name}: the tokenizer has no end token; set eos_token in its folder")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        vocabulary = tokenizer.get_vocab()
        spare = [tokenizer.unk_token, *tokenizer.convert_ids_to_tokens([0, 1])]
        choices = (t for t in (*PADS, *spare) if t in vocabulary and t != tokenizer.eos_token)
        tokenizer.pad_token = next(choices)
    tokenizer.padding_side = "right"
    return tokenizer


def _read(kind: Any, name: str, revision: str | None, **given: Any) -> Any:
    """Load by transformers, quietly, its errors told in one line."""
    try:
        with quiet():
            return kind.from_pretrained(name, revision=revision, trust_remote_code=False, **given)
    except torch.OutOfMemoryError:
        raise RunError(f"{name}: too large for {given.get('device_map')}; {_SMALLER}") from None
    except Exception as error:  # the readers below raise errors of their own kinds
        text = " ".join(str(error).split())[:300]
        raise DataError(
            f"{name}: {kind.__name__} cannot read it ({type(error).__name__}: {text});"
            " give a name below data/models/, a folder saved by transformers, or a hub id"
            " that was downloaded or can be"
        ) from error


_SMALLER = "use a smaller model, or quantization nf4"


def _lay(model: Any, folder: Path) -> Any:
    """Put a saved adapter over a model; one already there stays in place."""
    if not (folder / "adapter_config.json").is_file():
        raise DataError(f"{folder}: no adapter_config.json; give a folder written by tune")
    kind = json.loads((folder / "adapter_config.json").read_text())["peft_type"]
    if isinstance(model, PeftModel):
        if kind != "PROMPT_TUNING":
            raise ParameterError(f"{folder}: only a soft prompt can be laid over an adapter")
        model = model.get_base_model()
    try:
        with quiet():
            return PeftModel.from_pretrained(model, str(folder)).requires_grad_(False)
    except Exception as error:  # PEFT, safetensors and torch raise errors of their own
        text = " ".join(str(error).split())[:300]
        raise DataError(
            f"{folder}: cannot be laid over {model.config.model_type}: {text}"
        ) from error


def unfold(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Take 4-bit weights back into plain ones, by bitsandbytes' own function.

    Where that would need more than half of the memory left, the weights stay
    in 4 bits and each forward pass takes them back anew.
    """
    import bitsandbytes as bnb

    found = {n: m for n, m in model.named_modules() if isinstance(m, bnb.nn.Linear4bit)}
    size = sum(m.in_features * m.out_features for m in found.values()) * dtype.itemsize
    if size > 0.5 * psutil.virtual_memory().available:
        for module in found.values():
            module.support_avx512bf16_for_cpu = False
        return
    for name, module in found.items():
        plain = torch.nn.Linear(
            module.in_features, module.out_features, module.bias is not None, "meta", dtype
        )
        weight = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        plain.weight = torch.nn.Parameter(weight.to(dtype), requires_grad=False)
        plain.bias = module.bias
        model.set_submodule(name, plain)
    for attribute in ("is_loaded_in_4bit", "is_quantized"):
        setattr(model, attribute, False)
    for owner, attribute in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(owner, attribute):
            delattr(owner, attribute)
    if hasattr(model, "quantization_method"):
        del model.quantization_method


def context(model: Any) -> int | None:
    """Positions a model was trained with, or None where none are stated."""
    config = model if not hasattr(model, "config") else model.config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def config_of(model: str | Path) -> Any:
    """A model's configuration, without its weights."""
    name, revision = locate(model)
    return _read(AutoConfig, name, revision)


def attach(model: Any, recipe: Recipe, seed: int, arm: Arm = "tuned") -> Any:
    """Make a loaded model trainable as an arm asks.

    LoRA goes on every linear layer but the head; a soft prompt starts at
    vectors of randomly drawn words; `finetuned` frees every parameter. The
    seed is set before the adapter exists.

    Returns
    -------
    A PEFT model, or the model itself for `finetuned`, in training mode.
    """
    set_seed(seed)
    return adapt(model, recipe, arm)


@quiet()  # PEFT remarks on names and on second adapters, both meant here
def adapt(model: Any, recipe: Recipe, arm: Arm) -> Any:
    """What `attach` does, without setting a seed.

    Raises
    ------
    ParameterError
        If weights are 4-bit where all are trained, or LoRA would come on top of an
        adapter.
    """
    if arm == "finetuned":
        if any(p.dtype == torch.uint8 for p in model.parameters()):
            raise ParameterError("full fine-tuning needs quantization none; found 4-bit weights")
        return model.float().requires_grad_(True).train()
    name = getattr(model.config, "_name_or_path", "")
    if arm == "prompt-tuned":
        core = model.get_base_model() if isinstance(model, PeftModel) else model
        config = PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=recipe.prompt_tokens,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
            tokenizer_name_or_path=name,
            base_model_name_or_path=name,
        )
        return get_peft_model(core.requires_grad_(False), config).train()
    if isinstance(model, PeftModel):
        raise ParameterError("LoRA is attached to a base model, and this one has an adapter")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        base_model_name_or_path=name,
    )
    return get_peft_model(model, config).train()


def soft_prompt(model: Any) -> torch.Tensor | None:
    """A prompt-tuned model's vectors, shape (tokens, width), else None."""
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        return model.get_prompt(batch_size=1)[0]
    return None
