"""How much memory and arithmetic a run will need, before anything is loaded.

The model is built on PyTorch's meta device, where tensors have shapes and no
content, with one layer and with two; a packed step is run forward there, and
what autograd keeps is added up. The difference is one layer's share.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import torch
from transformers import AttentionInterface, AutoModelForCausalLM, PreTrainedConfig

from flanlib.core import devices
from flanlib.core.bounds import Device, Dtype, PositiveFloat, checked
from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import RunError
from flanlib.core.protocols import LanguageModel
from flanlib.models import encode, language_model, loading
from flanlib.prompts.prompt import Prompt
from flanlib.training import fused, packing

COUNTED = "flanlib_counted"
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # codes, 8-bit scales, scales of scales
SAMPLE = 256
TFLOPS = 100.0  # per second, kept up by a data-centre GPU in bfloat16: assumed, not measured
MARGIN = 1.1  # what allocators keep back, and what autocast converts


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take.

    Attributes
    ----------
    tokens_per_step
        Prompt and target tokens of a mean step, over a sample of the
        mixture; None where no mixture was given.
    n_steps
        Optimiser steps.
    flop_per_token
        Of the linear layers: two per weight forward, two for the gradient
        that goes through, two more where the forward pass is made again,
        and two where the weight itself is trained.
    parts
        GiB for weights, trained (weights, gradients, optimiser),
        activations, logits, and the process itself.
    peak_gib, available_gib
        Most that is needed at once, and what the device has left.
    advice
        What would make it fit; empty if it does.
    """

    device: str
    n_parameters: int
    n_trainable: int
    tokens_per_step: float | None
    n_steps: int
    flop_per_token: float
    checkpointing: bool
    parts: dict[str, float]
    peak_gib: float
    available_gib: float
    advice: str

    @property
    def fits(self) -> bool:
        """Whether the device has room for it."""
        return self.peak_gib <= self.available_gib

    @property
    def hours(self) -> float | None:
        """On a GPU that keeps up `TFLOPS`; None on a CPU, or where tokens are not known."""
        if self.device == "cpu" or self.tokens_per_step is None:
            return None
        operations = self.flop_per_token * self.tokens_per_step * self.n_steps
        return operations / (TFLOPS * 1e12) / 3600

    def lines(self) -> list[str]:
        """The plan for a reader."""
        found = [
            f"parameters        {self.n_parameters:,}",
            f"trained           {self.n_trainable:,}"
            f" ({100 * self.n_trainable / self.n_parameters:.2f} %)",
        ]
        if self.tokens_per_step is not None:
            found.append(f"tokens per step   {self.tokens_per_step:,.0f}")
        if self.hours is not None:
            found.append(
                f"hours             {self.hours:.1f} at {TFLOPS:.0f} TFLOP/s, an assumption"
            )
        found += [f"{name:<17} {gib:.2f} GiB" for name, gib in self.parts.items()]
        found.append(
            f"peak on {self.device:<9} {self.peak_gib:.2f} GiB of {self.available_gib:.2f} GiB"
        )
        return [*found, self.advice] if self.advice else found


@checked
def plan(
    factors: Factors,
    recipe: Recipe,
    *,
    device: Device | None = None,
    dtype: Dtype | None = None,
    available_gib: PositiveFloat | None = None,
    prompts: Iterable[Prompt] | None = None,
) -> Plan:
    """Predict what tuning will take.

    Parameters
    ----------
    device
        `cpu` or `cuda`; by default the one that `tune` would use.
    available_gib
        Memory to plan for; by default what the device has left.
    prompts
        Of the mixture; a sample is tokenised to count tokens.

    Raises
    ------
    ParameterError
        If there is no such device to measure the memory of.
    """
    if available_gib is None:
        devices.checked(device)
    kind = torch.device(device).type if device else devices.default()
    room = devices.available_gib(kind) if available_gib is None else available_gib
    config = loading.config_of(factors.model)
    packing.check_type(config.model_type)
    stored = language_model.stored_type(config)
    half = kind == "cuda" or devices.checked("cpu", dtype, stored)[1] != torch.float32
    count = partial(_count, config, kind, half)
    found = count(factors, recipe)
    peak = sum(found.parts.values())
    return Plan(
        device=kind,
        n_parameters=found.n_parameters,
        n_trainable=found.n_trainable,
        tokens_per_step=_tokens(factors, recipe, language_model.context(config), prompts),
        n_steps=recipe.steps,
        flop_per_token=found.flop_per_token,
        checkpointing=kind == "cuda",
        parts={name: round(gib, 3) for name, gib in found.parts.items()},
        peak_gib=round(peak, 3),
        available_gib=round(room, 2),
        advice="" if peak <= room else _advice(count, factors, recipe, room),
    )


def check(found: Plan) -> None:
    """Refuse a run that will not fit.

    Raises
    ------
    RunError
        With the parts and what would make it fit.
    """
    if not found.fits:
        parts = ", ".join(f"{name} {gib:.2f}" for name, gib in found.parts.items())
        raise RunError(
            f"tuning needs {found.peak_gib:.2f} GiB ({parts}) and the {found.device} has"
            f" {found.available_gib:.2f} GiB left; {found.advice}"
        )


@dataclass(frozen=True, kw_only=True)
class _Counts:
    n_parameters: int
    n_trainable: int
    flop_per_token: float
    parts: dict[str, float]


Count = Callable[[Factors, Recipe], _Counts]
Keep = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class _Size:
    """Of a model with so many layers: parameters by kind, bytes kept by autograd."""

    linear: int
    other: int
    trained: int
    kept: int
    largest: int


def _count(
    config: PreTrainedConfig, kind: str, half: bool, factors: Factors, recipe: Recipe
) -> _Counts:
    layers = config.get_text_config().num_hidden_layers
    width, vocabulary = config.get_text_config().hidden_size, config.get_text_config().vocab_size
    full, cuda = factors.arm == "finetuned", kind == "cuda"
    item = 2 if half and not full else 4
    tokens, targets = longest_pack(recipe)
    one, two = (_size(config, n, factors, recipe, half) for n in (1, 2))
    linear, other, trained = (
        getattr(one, name) + (getattr(two, name) - getattr(one, name)) * (layers - 1)
        for name in ("linear", "other", "trained")
    )
    layer = two.kept - one.kept
    # Checkpointing, on CUDA, keeps each layer's input, and one layer whole.
    kept = one.kept + (layers * tokens * width * item + layer if cuda else (layers - 1) * layer)
    four_bits = recipe.quantization == "nf4" and not full
    weights = linear * (NF4_BYTES if four_bits and cuda else item) + other * item
    states = 2 if cuda and not full else 8
    in_process = 0.0 if cuda else devices.resident_gib()
    taken_back = one.largest * 2 if four_bits and cuda else 0
    activations, logits = MARGIN * (kept + taken_back), MARGIN * 2 * targets * vocabulary * 4
    if not cuda and fused.applies(config, factors.arm, recipe):
        activations = fused.buffer_bytes(config, recipe, tokens, targets, item)
        logits = fused.HEAD_ROWS * vocabulary * (item + 8)
    return _Counts(
        n_parameters=linear + other,
        n_trainable=trained,
        flop_per_token=float(linear * (4 + 2 * cuda + 2 * full)),
        parts={
            "weights": 0.0 if full else weights / devices.GIB,
            "trained": trained * (8 + states) / devices.GIB,
            "activations": activations / devices.GIB,
            "logits": logits / devices.GIB,
            "process": in_process,
        },
    )


def _size(
    config: PreTrainedConfig, layers: int, factors: Factors, recipe: Recipe, half: bool
) -> _Size:
    """Build a model of so many layers on the meta device, and step once."""
    config = loading.of_layers(config, layers)
    dtype = torch.bfloat16 if half and factors.arm != "finetuned" else torch.float32
    with torch.device("meta"):
        net = AutoModelForCausalLM.from_config(config, dtype=dtype)
        head = net.get_output_embeddings()
        linears = [m for m in net.modules() if isinstance(m, torch.nn.Linear) and m is not head]
        linear = sum(m.weight.numel() for m in linears)
        largest = max((m.weight.numel() for m in linears), default=0)
        every = sum(p.numel() for p in net.parameters())
        if factors.arm != "finetuned":
            net.requires_grad_(False)
        if factors.arm == "prompt-tuned":
            trained = recipe.prompt_tokens * config.get_text_config().hidden_size
        else:
            net = language_model.adapt(net, recipe, factors.arm).to(dtype)
            trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
        kept = _kept(net, *longest_pack(recipe))
    return _Size(linear=linear, other=every - linear, trained=trained, kept=kept, largest=largest)


def _kept(net: LanguageModel, tokens: int, targets: int) -> int:
    """Bytes that autograd keeps of one forward pass over a pack."""
    core = packing.bare(net)
    own = {p.untyped_storage()._cdata for p in core.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        address = tensor.untyped_storage()._cdata
        if address not in own:
            kept[address] = tensor
        return tensor

    ids, where = (
        torch.zeros(*n, dtype=torch.long, device="meta") for n in ((1, tokens), (targets,))
    )
    embedded = core.get_input_embeddings()(ids).requires_grad_()
    core.set_attn_implementation(COUNTED)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with packing.sparing(core, where, tokens), hooks:
        scores = core(
            inputs_embeds=embedded,
            position_ids=ids,
            use_cache=False,
            logits_to_keep=where,
            counting=keep,
        ).logits[0]
        torch.nn.functional.cross_entropy(scores.float(), where, reduction="sum")
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _counted_attention(
    module: torch.nn.Module, *given: torch.Tensor | None, counting: Keep, **_: object
) -> tuple[torch.Tensor, None]:
    """What a fused attention keeps: its inputs and its output."""
    query, key, value = (counting(tensor) for tensor in given[:3])  # the mask is the fourth
    groups = query.shape[1] // key.shape[1]
    mixed = query + key.repeat_interleave(groups, 1) + value.repeat_interleave(groups, 1)
    return counting(mixed.transpose(1, 2).contiguous()), None


AttentionInterface.register(COUNTED, _counted_attention)


def longest_pack(recipe: Recipe) -> tuple[int, int]:
    """Tokens of the fullest pack, and how many of them may be targets."""
    example = recipe.max_input_tokens + recipe.max_target_tokens + 2
    tokens = max(recipe.pack_tokens, example)
    return tokens, -(-tokens * recipe.max_target_tokens // example)


def _tokens(
    factors: Factors, recipe: Recipe, context: int | None, prompts: Iterable[Prompt] | None
) -> float | None:
    if prompts is None:
        return None
    found = encode.encode_many(
        language_model.load_tokenizer(factors.model),
        islice(prompts, SAMPLE),
        max_input_tokens=recipe.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens,
        context=context,
    )
    return sum(map(packing.n_tokens, found)) / len(found) * recipe.examples_per_step


def _advice(count: Count, factors: Factors, recipe: Recipe, room: float) -> str:
    """The first of a few changes that makes it fit."""
    tries = []
    if factors.arm == "finetuned":
        tries.append(("arm tuned", replace(factors, arm="tuned"), recipe))
    elif recipe.quantization == "none":
        tries.append(("quantization nf4", factors, replace(recipe, quantization="nf4")))
    for tokens in (1024, 512, 256):
        share = tokens * 4 // 5
        smaller = replace(
            recipe,
            pack_tokens=min(recipe.pack_tokens, tokens),
            max_input_tokens=min(recipe.max_input_tokens, share),
            max_target_tokens=min(recipe.max_target_tokens, tokens - share),
        )
        tries.append(
            (
                f"pack_tokens {smaller.pack_tokens}, max_input_tokens {smaller.max_input_tokens},"
                f" max_target_tokens {smaller.max_target_tokens}",
                factors,
                smaller,
            )
        )
    for what, others, less in tries:
        needed = sum(count(others, less).parts.values())
        if needed <= room:
            return f"{what} would need {needed:.2f} GiB"
    return "use a smaller model, or a device with more memory"
