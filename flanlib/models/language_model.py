"""Load a causal language model, quantised or plain, and attach adapters.

One path for CPU and CUDA: transformers loads, bitsandbytes quantises (NF4
with double quantisation), PEFT adapts. On a CPU every quantised weight is
taken back once, by bitsandbytes' own function, into the 32-bit values that
it would otherwise recompute in every forward pass: the same numbers, without
the time, and without the repacking to bfloat16 that bitsandbytes does on
some processors when a model is not in training.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, PromptTuningInit, get_peft_model
from transformers import BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel, set_seed
from transformers.utils import is_bitsandbytes_available

from flanlib.core import devices
from flanlib.core.bounds import check
from flanlib.core.config import Arm, Quantization, Recipe
from flanlib.core.errors import DataError, ParameterError
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.core.quiet import quiet
from flanlib.models import adapters, llama, loading, tensors
from flanlib.models.loading import config_of

PADS = ("<|padding|>", "<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>")


def load(
    model: str | Path,
    *,
    quantization: Quantization = "nf4",
    dtype: torch.dtype | str | None = None,
    device: str | torch.device | None = None,
    adapter: str | Path | Sequence[str | Path] | None = None,
) -> tuple[LanguageModel, Tokenizer]:
    """A model ready to score, and its tokenizer.

    Parameters
    ----------
    dtype
        Of computing, a name of `bounds.Dtype`; for the default see `devices.checked`.
    adapter
        PEFT folder, or several to lay one over the other: a soft prompt
        over a tuned model. Adapters are never merged into the base.

    Returns
    -------
    The model in evaluation mode, parameters frozen, and the tokenizer.

    Raises
    ------
    ParameterError
        If there is no such device, dtype or quantization.
    DataError
        If model, tokenizer or adapter cannot be read, do not belong together, or are
        not whole; see `loading.causal_lm` and `adapters.lay`.
    """
    check("quantization", Quantization, quantization)
    where, numbers = devices.checked(device, dtype)
    if not dtype:
        where, numbers = devices.checked(device, stored=stored_type(config_of(model)))
    given: dict[str, Any] = {"dtype": numbers}
    if quantization == "nf4":
        if not is_bitsandbytes_available():
            raise ParameterError("quantization nf4 needs bitsandbytes; install it, or give none")
        given["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=numbers,
        )
        given["device_map"] = {"": where}
    found = loading.causal_lm(model, **given)
    if quantization == "none":
        found = found.to(where)
    elif where.type == "cpu":
        unfold(found, numbers)
    if bad := tensors.not_finite(found.named_parameters()):
        raise DataError(
            f"{model}: {len(bad)} weights hold numbers that are not finite in {numbers}"
            f" ({tensors.shortened(bad)}); give a sound checkpoint, or another dtype"
        )
    if not bool(found.get_output_embeddings().weight.any()):
        raise DataError(
            f"{model}: all weights of its head are 0, so every word is as likely as any other;"
            " copy the checkpoint again"
        )
    found.requires_grad_(False)
    tokenizer = load_tokenizer(model)
    _check_vocabulary(model, tokenizer, found)
    below = None
    for folder in [adapter] if isinstance(adapter, str | Path) else adapter or []:
        found = adapters.lay(found, Path(folder), model, below)
        below = Path(folder)
    return found.eval(), tokenizer


def stored_type(config: PreTrainedConfig) -> torch.dtype | None:
    """Type of a checkpoint's weights; None where the model is too narrow for it to matter.

    In a narrow model it is calls and not products that take the time.
    """
    text = config.get_text_config()
    return config.dtype if text.hidden_size >= llama.NARROWEST else None


def load_tokenizer(model: str | Path) -> Tokenizer:
    """A model's tokenizer; its pad token is not its end token.

    Where it has no token to spare, it has no pad token: nothing here is padded
    by it, and a word made into one would be left out of what is written.

    Raises
    ------
    DataError
        If it cannot be read or defines no end token.
    """
    tokenizer = loading.tokenizer_of(model)
    if tokenizer.eos_token_id is None:
        raise DataError(f"{model}: the tokenizer has no end token; set eos_token in its folder")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        vocabulary = tokenizer.get_vocab()
        choices = (t for t in (*PADS, tokenizer.unk_token) if t in vocabulary)
        tokenizer.pad_token = next((t for t in choices if t != tokenizer.eos_token), None)
    tokenizer.padding_side = "right"
    return tokenizer


def _check_vocabulary(model: str | Path, tokenizer: Tokenizer, net: LanguageModel) -> None:
    """Refuse a tokenizer that gives tokens for which the model has no vector."""
    rows = min(len(e.weight) for e in (net.get_input_embeddings(), net.get_output_embeddings()))
    beyond = {t: i for t, i in tokenizer.get_vocab().items() if i >= rows}
    if beyond:
        first = sorted(beyond, key=beyond.__getitem__)
        raise DataError(
            f"{model}: the tokenizer has {len(beyond)} tokens beyond the model's {rows} (first"
            f" {first[0]!r:.40}, {beyond[first[0]]}); give the tokenizer of this model"
        )


def unfold(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Take 4-bit weights back into plain ones of `dtype`, by bitsandbytes' own function.

    Where that needs more than half of the memory left, the weights stay in 4 bits, and each
    forward pass takes them back anew.
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


def context(model: LanguageModel) -> int | None:
    """Positions a model was trained with, or None where none are stated."""
    config = model if not hasattr(model, "config") else model.config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def attach(model: LanguageModel, recipe: Recipe, seed: int, arm: Arm = "tuned") -> LanguageModel:
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
def adapt(model: LanguageModel, recipe: Recipe, arm: Arm) -> LanguageModel:
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
