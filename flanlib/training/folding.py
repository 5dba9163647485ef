"""LoRA in one matrix product per layer, for training on plain weights.

PEFT adds x A^T B^T to x W^T: two products more and two passes over an output
of T x width each way. While T is far larger than the rank, it costs less to
add s B A to W first, anew in every pass, and to multiply once. Gradients of
A and B come from the same products as PEFT's; the base weight is not
touched. Values agree with PEFT's to the rounding of float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch.nn import functional

from flanlib.core.protocols import LanguageModel


class Folded(torch.autograd.Function):
    """y = x (W + s B A)^T + b, with gradients for x, A and B."""

    @staticmethod
    def forward(ctx, x, weight, bias, a, b, scaling):
        whole = torch.addmm(weight, b, a, alpha=scaling)
        ctx.save_for_backward(x, weight, a, b)
        ctx.scaling = scaling
        return functional.linear(x, whole, bias)

    @staticmethod
    def backward(ctx, grad):
        x, weight, a, b = ctx.saved_tensors
        rows, inputs = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
        narrow = (rows @ b).mul_(ctx.scaling)
        grad_a = narrow.t() @ inputs
        grad_b = (rows.t() @ (inputs @ a.t())).mul_(ctx.scaling)
        grad_x = None
        if ctx.needs_input_grad[0]:
            whole = torch.addmm(weight, b, a, alpha=ctx.scaling)
            grad_x = (rows @ whole).view(x.shape)
        return grad_x, None, None, grad_a, grad_b, None


@contextmanager
def folding(model: LanguageModel) -> Iterator[None]:
    """Compute a PEFT model's LoRA layers folded, for the block's duration.

    Layers whose base is quantised, whose adapter drops inputs out, or that
    are not in float32 stay PEFT's.
    """
    layers = [m for m in model.modules() if isinstance(m, LoraLinear) and _plain(m)]
    for layer in layers:
        layer.forward = MethodType(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _plain(layer: torch.nn.Module) -> bool:
    base, names = layer.get_base_layer(), layer.active_adapters
    return (
        type(base) is torch.nn.Linear
        and base.weight.dtype == torch.float32
        and len(names) == 1
        and isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)
        and not layer.use_dora[names[0]]
        and not layer.merged
    )


def _forward(layer: torch.nn.Module, x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    base, name = layer.get_base_layer(), layer.active_adapters[0]
    return Folded.apply(
        x,
        base.weight,
        base.bias,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
