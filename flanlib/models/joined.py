"""Linear layers that read the same input as one product, in buffers that last.

A LoRA layer's adapter enters the same product, as further columns of input
and weight: [x, s x A^T] [W, B]^T = x W^T + s x A^T B^T. Nothing is added to
the frozen weight, so no update is lost to its rounding.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from peft.tuners.lora import Linear as LoraLinear

SLACK = 1.125  # room in a buffer for what is a little larger, which saves making it anew


class Buffers:
    """Tensors that are made once, as large as they are ever needed, and reused."""

    def __init__(self) -> None:
        self.held: dict[Hashable, torch.Tensor] = {}

    def take(self, name: Hashable, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        """A contiguous tensor of a `shape` over the buffer of that name; content is arbitrary."""
        size, key = math.prod(shape), (name, dtype)
        held = self.held.get(key)
        if held is None or len(held) < size:
            held = self.held[key] = torch.empty(int(SLACK * size), dtype=dtype)
        return held[:size].view(shape)


def base_of(layer: torch.nn.Module) -> torch.nn.Module:
    """The plain linear layer in a LoRA layer, or the layer itself."""
    return layer.get_base_layer() if isinstance(layer, LoraLinear) else layer


def joinable(layer: torch.nn.Module) -> bool:
    """Whether it is a plain linear layer, or LoRA over one without dropout or extras."""
    base = base_of(layer)
    kinds = (torch.float32, torch.bfloat16)
    if type(base) is not torch.nn.Linear or base.weight.dtype not in kinds:
        return False
    if base is layer:
        return True
    names = layer.active_adapters
    return (
        len(names) == 1
        and (isinstance(layer.lora_dropout[names[0]], torch.nn.Identity) or not layer.training)
        and not layer.use_dora[names[0]]
        and not layer.disable_adapters
        and not layer.merged
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One adapter inside a joined product."""

    a: torch.nn.Parameter
    b: torch.nn.Parameter
    scaling: float
    rows: slice  # of the joined output
    columns: slice  # of the adapters' part of the joined input


class Joined:
    """Layers that read the same input, as one matrix product.

    `weight`, of shape (N, K + R), holds the frozen weights and B of each
    layer in a block of its own; `narrow`, of shape (R, K), holds s A of each.

    Parameters
    ----------
    layers
        Linear layers with inputs of one width, with or without LoRA. Their
        weights become views of `weight`, so that they are in memory once.
    """

    def __init__(self, layers: Sequence[torch.nn.Module]) -> None:
        bases = [base_of(layer) for layer in layers]
        dtype, self.n_inputs = bases[0].weight.dtype, bases[0].in_features
        self.parts: list[_Part] = []
        spans: list[slice] = []
        row = column = 0
        for layer, base in zip(layers, bases, strict=True):
            spans.append(slice(row, row + base.out_features))
            row = spans[-1].stop
            if layer is base:
                continue
            name = layer.active_adapters[0]
            a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
            columns = slice(column, column + len(a))
            self.parts.append(_Part(a, b, layer.scaling[name], spans[-1], columns))
            column = columns.stop
        self.n_outputs, self.rank = row, column
        self.weight = torch.zeros(row, self.width, dtype=dtype)
        self.narrow = torch.empty(column, self.n_inputs, dtype=dtype)
        for span, base in zip(spans, bases, strict=True):
            view = self.weight[span, : self.n_inputs]
            base.weight.data = view.copy_(base.weight.detach())
        biases = [base.bias for base in bases]
        self.bias = None if biases[0] is None else torch.cat([b.detach() for b in biases])

    @property
    def width(self) -> int:
        """Columns of the joined input: K of its own, R of the adapters."""
        return self.n_inputs + self.rank

    def refresh(self) -> None:
        """Take in what the adapters have become."""
        for part in self.parts:
            columns = slice(self.n_inputs + part.columns.start, self.n_inputs + part.columns.stop)
            self.weight[part.rows, columns] = part.b.detach()
            torch.mul(part.a.detach(), part.scaling, out=self.narrow[part.columns])

    def forward(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """The layers' outputs side by side.

        Parameters
        ----------
        x
            Shape (T, K + R), the input in the first K columns; the others are
            filled here.
        out
            Shape (T, N), filled.
        """
        if self.rank:
            torch.mm(x[:, : self.n_inputs], self.narrow.t(), out=x[:, self.n_inputs :])
        torch.mm(x, self.weight.t(), out=out)
        return out if self.bias is None else out.add_(self.bias)

    def backward(self, grad: torch.Tensor, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Gradient of the input, shape (T, K); the adapters' are added to theirs.

        Parameters
        ----------
        grad
            Of the output, shape (T, N).
        x
            As `forward` left it.
        out
            Shape (T, K + R), filled.
        """
        torch.mm(grad, self.weight, out=out)
        into, narrow = out[:, : self.n_inputs], out[:, self.n_inputs :]
        grad_a = narrow.t() @ x[:, : self.n_inputs]
        wide = x[:, self.n_inputs :]
        for part in self.parts:
            _add(part.a, grad_a[part.columns], part.scaling)
            # The narrow factor comes first: the other way round takes up to twice as long.
            _add(part.b, (wide[:, part.columns].t() @ grad[:, part.rows]).t(), 1.0)
        return into.addmm_(narrow, self.narrow)


def _add(parameter: torch.nn.Parameter, grad: torch.Tensor, scaling: float) -> None:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    parameter.grad.add_(grad, alpha=scaling)
