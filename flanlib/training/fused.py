"""A packed step of a Llama-like model, forward and backward, written out.

Autograd would keep and convert far more than a backward pass needs. Here each
layer's gradients are a handful of matrix products into lasting buffers:

* Attention runs over each example alone (`attention`).
* Loss, softmax, the gradient of the stream and the adapters' gradients are
  float32; products are in the weights' type.
* The last layer's feed-forward, and the head, run only where a target is
  predicted; the head's gradient is made together with the loss.

Values agree with transformers' and PEFT's to the rounding of the type; the
tests hold loss and every gradient equal in float32.
"""

import torch
from transformers import PreTrainedConfig

from flanlib.core.config import Arm, Recipe
from flanlib.core.errors import RunError
from flanlib.core.protocols import LanguageModel
from flanlib.models import llama
from flanlib.models.heads import rotate
from flanlib.models.joined import SLACK
from flanlib.training.attention import Attention
from flanlib.training.packing import Pack, bare

HEAD_ROWS = 128  # logits at a time


def fits(model: LanguageModel) -> bool:
    """Whether a PEFT model's step can be run written out.

    Nothing but LoRA on every linear layer of the body may be trained.
    """
    core = bare(model)
    if not llama.fits(core):
        return False
    adapted = sum(
        hasattr(m, "lora_A") for layer in core.base_model.layers for m in llama.linear_layers(layer)
    )
    trained = sum(p.requires_grad for p in model.parameters())
    return trained == 2 * adapted == 2 * 7 * len(core.base_model.layers)


def applies(config: PreTrainedConfig, arm: Arm, recipe: Recipe) -> bool:
    """Whether a run on a CPU would be written out, told before anything is loaded."""
    return arm in ("tuned", "single-task") and not recipe.dropout and llama.suits(config)


def buffer_bytes(
    config: PreTrainedConfig, recipe: Recipe, tokens: int, targets: int, item: int
) -> float:
    """Bytes of the buffers of a run that is written out.

    Parameters
    ----------
    tokens, targets
        Of the fullest pack.
    item
        Bytes of a number in the type of computing.
    """
    text, rank = config.get_text_config(), recipe.rank
    size, inner = text.hidden_size, text.intermediate_size
    width = getattr(text, "head_dim", None) or size // text.num_attention_heads
    mixed, keys = text.num_attention_heads * width, text.num_key_value_heads * width
    qkv = mixed + 2 * keys
    joined = (size + 3 * rank) + (mixed + rank) + (size + 2 * rank) + (inner + rank)
    kept = 8 * size + item * (joined + qkv + 2 * inner)
    once = 4 * 3 * size + item * (joined + qkv + mixed + 3 * size + inner + (mixed + keys) // 2)
    once += 4 * (3 * mixed + 2 * keys) + (2 * mixed * item if item < 4 else 0)  # attention's
    head = targets * (2 * size * item + 8 * size)
    return SLACK * (tokens * (text.num_hidden_layers * kept + once) + head)


def step_of(model: LanguageModel) -> "Step | None":
    """A PEFT model's step written out, where it fits; None leaves it to autograd."""
    return Step(model) if fits(model) else None


class Step:
    """The packed step of a PEFT model that `fits`, with buffers that last for the run."""

    def __init__(self, model: LanguageModel) -> None:
        self.body = llama.Body(bare(model), keep=True)
        self.attention = Attention(self.body.heads)

    def run(self, packed: Pack, scale: float) -> float:
        """One pack forward and backward; gradients are added to the adapters'.

        Parameters
        ----------
        packed
            What to learn from, on the CPU, without places for a soft prompt.
        scale
            What loss and gradients are multiplied by.

        Returns
        -------
        Summed cross-entropy of the target tokens times `scale`, nats.

        Raises
        ------
        RunError
            If an example is longer than what the model's layers look back.
        """
        body = self.body
        if body.window and max(packed.lengths) > body.window:
            raise RunError(
                f"an example of {max(packed.lengths)} tokens is longer than the model's sliding"
                f" window of {body.window}; lower max_input_tokens"
            )

        def attend(number: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
            self.attention.forward(qkv, packed.lengths, mixed)

        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            body.refresh()
            turn = body.rotation(body.padded(packed.position_ids))
            stream = body.embedded(body.padded(packed.input_ids[0]))
            places = body.padded(packed.where, int(packed.where[-1]))
            for number in range(len(body.layers)):
                stream = body.forward(number, stream, turn, attend, places)
            loss, grad = self._head(stream, packed, scale)
            for number in reversed(range(len(body.layers))):
                grad = self._backward(number, grad, packed, turn)
        return loss

    def _backward(
        self, number: int, grad: torch.Tensor, packed: Pack, turn: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Gradient of the stream before a layer; `grad`, of that after it, is used up."""
        body, layer, take = self.body, self.body.layers[number], self.body.take
        n, last = len(grad), number == len(body.layers) - 1
        small = take("small", 0, n, body.size)
        both = take("both", number, n, 2 * body.inner)
        inner = take("inner", number, n, layer.down.width)
        wide = take("down", 0, n, layer.down.width)
        into = layer.down.backward(small.copy_(grad), inner, wide)
        _gate_backward(into, both, body.inner, take("silu", 0, n, body.inner))
        x, wide = (take(name, at, n, layer.gate_up.width) for name, at in (("y", number), ("g", 0)))
        into = layer.gate_up.backward(both, x, wide)
        between = take("between", number, n, body.size, torch.float32)
        self._norm_backward(into, between, layer.between, grad)
        mixed = take("kept" if last else "mixed", number, n, layer.o.width)
        into = layer.o.backward(small.copy_(grad), mixed, take("o", 0, n, layer.o.width))
        n = len(turn[0])
        stream = take("stream", number, n, body.size, torch.float32)
        if last:
            at = packed.where
            grad, into = (
                x.new_zeros(n, x.shape[1]).index_copy_(0, at, x[: len(at)]) for x in (grad, into)
            )
        qkv, back = (
            take(name, at, n, layer.qkv.n_outputs) for name, at in (("qkv", number), ("b", 0))
        )
        mixed = take("mixed", number, n, layer.o.width)
        self.attention.backward(into, qkv, packed.lengths, mixed, back)
        cos, sin = turn
        rotate(body.heads.turned(back), cos, -sin, take("turn", 0, n, body.heads.n_turned // 2))
        x, wide = (take(name, at, n, layer.qkv.width) for name, at in (("x", number), ("q", 0)))
        into = layer.qkv.backward(back, x, wide)
        self._norm_backward(into, stream, layer.before, grad)
        return grad

    def _norm_backward(
        self, grad: torch.Tensor, stream: torch.Tensor, weight: torch.Tensor, onto: torch.Tensor
    ) -> None:
        """Add the gradient that passes through a norm of `stream` to `onto`, all (T, D)."""
        inverse, size = self.body.inverse(stream), self.body.size
        scratch = self.body.take("scratch", 0, len(stream), size, torch.float32)
        torch.mul(grad, weight, out=scratch)
        shared = torch.linalg.vecdot(scratch, stream)[:, None].mul_(inverse**3).div_(-size)
        onto.addcmul_(scratch, inverse).addcmul_(stream, shared)

    def _head(self, stream: torch.Tensor, packed: Pack, scale: float) -> tuple[float, torch.Tensor]:
        """Loss, and the gradient of the last stream, shape (M, D)."""
        n, body = len(stream), self.body
        x = body.normed(stream, body.norm, body.take("head", 0, n, body.size))
        weight = body.core.get_output_embeddings().weight
        grad = body.take("head grad", 0, n, body.size)
        loss = torch.zeros((), dtype=torch.float64)
        for first in range(0, n, HEAD_ROWS):
            rows = slice(first, min(first + HEAD_ROWS, n))
            shape = (rows.stop - first, len(weight))
            narrow, logits = (
                body.take("logits", 0, *shape, kind) for kind in (None, torch.float32)
            )
            torch.mm(x[rows], weight.t(), out=narrow)
            logits.copy_(narrow)
            logits -= logits.logsumexp(1, keepdim=True)
            at = packed.targets[rows, None]
            loss -= logits[: len(at)].gather(1, at).sum()
            logits.exp_()[: len(at)].scatter_add_(1, at, torch.full(at.shape, -1.0))
            logits[len(at) :] = 0
            torch.mm(narrow.copy_(logits.mul_(scale)), weight, out=grad[rows])
        result = stream.new_zeros(stream.shape)
        self._norm_backward(grad, stream, body.norm, result)
        return float(loss) * scale, result


def _gate_backward(
    grad: torch.Tensor, both: torch.Tensor, inner: int, scratch: torch.Tensor
) -> None:
    """Replace gate and up by their gradients; `grad` is that of silu(gate) * up."""
    gate, up = both[:, :inner], both[:, inner:]
    through = torch.mul(grad, up, out=scratch)  # gradient of silu(gate)
    torch.ops.aten.silu.out(gate, out=up)
    up.mul_(grad)
    torch.ops.aten.silu_backward.grad_input(through, gate, grad_input=gate)
