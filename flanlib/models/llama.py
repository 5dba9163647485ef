"""A Llama-like model's layers as a handful of matrix products into lasting buffers.

transformers makes a new tensor for every intermediate value and converts
weights and adapters in every pass. On a CPU that costs as much as the
arithmetic. Here layers that read the same input are one product (`joined`),
and every value has a buffer that is made once. Products are computed in the
weights' type; the stream between layers, normalisation and softmax are
float32. How places attend to each other is the caller's affair.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from transformers import PreTrainedConfig

from flanlib.core.protocols import LanguageModel
from flanlib.models.heads import Heads, rotate
from flanlib.models.joined import Buffers, Joined, base_of, joinable

TYPES = ("llama", "mistral", "qwen2")
NARROWEST = 512  # hidden width; below, calls cost more than what they save
FINE, COARSE = 16, 128  # multiples that rows of a product in bfloat16 come in; see `filled`
Attend = Callable[[int, torch.Tensor, torch.Tensor], None]


def fits(core: LanguageModel) -> bool:
    """Whether a transformers model, under PEFT the `core` inside, can be run so.

    It has to be on a CPU and to have plain linear layers, or LoRA without
    dropout over them.
    """
    if core.device.type != "cpu" or not suits(core.config):
        return False
    return all(joinable(m) for layer in core.base_model.layers for m in linear_layers(layer))


def suits(config: PreTrainedConfig) -> bool:
    """Whether a model of that configuration is Llama-like, and wide enough to gain by it."""
    text = config.get_text_config()
    return text.model_type in TYPES and text.hidden_size >= NARROWEST and text.hidden_act == "silu"


def linear_layers(layer: torch.nn.Module) -> list[torch.nn.Module]:
    """Query, key, value, output, gate, up and down projection of a decoder layer."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        attention.q_proj,
        attention.k_proj,
        attention.v_proj,
        attention.o_proj,
        mlp.gate_proj,
        mlp.up_proj,
        mlp.down_proj,
    ]


def filled(n: int, dtype: torch.dtype) -> int:
    """Rows of a product that has `n` of its own, computed in that type; see `Body.padded`."""
    step = 1 if dtype == torch.float32 else COARSE if n > COARSE else FINE
    return n + -n % step


class Layer:
    """A decoder layer of a transformers model: its joined products and its norms' weights."""

    def __init__(self, layer: torch.nn.Module) -> None:
        q, k, v, o, gate, up, down = linear_layers(layer)
        self.qkv, self.o = Joined([q, k, v]), Joined([o])
        self.gate_up, self.down = Joined([gate, up]), Joined([down])
        norms = layer.input_layernorm, layer.post_attention_layernorm
        self.before, self.between = (norm.weight.detach().float() for norm in norms)
        self.made_of = linear_layers(layer)

    @property
    def products(self) -> tuple[Joined, ...]:
        """The four joined products, in the order in which they run."""
        return self.qkv, self.o, self.gate_up, self.down

    def holds(self, layer: torch.nn.Module) -> bool:
        """Whether a decoder layer of the model still has the modules and weights taken over."""
        now = linear_layers(layer)
        same = all(a is b for a, b in zip(now, self.made_of, strict=True))
        places = {joined.weight.untyped_storage().data_ptr() for joined in self.products}
        return same and {base_of(m).weight.untyped_storage().data_ptr() for m in now} == places

    def refresh(self) -> None:
        """Take in what the adapters have become."""
        for joined in self.products:
            joined.refresh()


def body_of(core: LanguageModel) -> "Body":
    """Body of a `core` that `fits`, for reading; made once and again when layers have changed."""
    found = core.__dict__.get(_HELD)
    if found is None or not found.holds(core):
        with torch.inference_mode(False):
            found = core.__dict__[_HELD] = Body(core)
    found.refresh()
    return found


_HELD = "_flanlib_body"


class Body:
    """A model's layers, with buffers that last.

    Parameters
    ----------
    core
        A transformers model that `fits`. Its linear weights are moved into
        the joined products; it can still be run as before.
    keep
        Whether each layer has buffers of its own, for a backward pass.
    """

    def __init__(self, core: LanguageModel, *, keep: bool = False) -> None:
        config = core.config.get_text_config()
        self.core, self.keep, self.buffers = core, keep, Buffers()
        self.dtype = core.get_input_embeddings().weight.dtype
        self.layers = [Layer(layer) for layer in core.base_model.layers]
        self.norm = core.base_model.norm.weight.detach().float()
        self.epsilon, self.size = config.rms_norm_eps, config.hidden_size
        self.inner = config.intermediate_size
        self.window = getattr(config, "sliding_window", None)
        self.heads = Heads(
            config.num_attention_heads,
            config.num_key_value_heads,
            getattr(config, "head_dim", None) or self.size // config.num_attention_heads,
        )

    def holds(self, core: LanguageModel) -> bool:
        """Whether the layers of a `core` are still those that were taken over, weights and all."""
        given = core.base_model.layers
        return len(given) == len(self.layers) and all(
            ours.holds(theirs) for ours, theirs in zip(self.layers, given, strict=True)
        )

    def refresh(self) -> None:
        """Take in what the adapters have become."""
        with torch.no_grad():
            for layer in self.layers:
                layer.refresh()

    @torch.inference_mode()
    def read(
        self, ids: torch.Tensor, positions: torch.Tensor, attend: Attend, places: torch.Tensor
    ) -> torch.Tensor:
        """Final hidden states at some places, normalised, float32, shape (N, D).

        Parameters
        ----------
        ids
            int64, shape (T,).
        positions
            int64, shape (1, T).
        attend
            See `forward`; there are more rows than T where they are `padded`.
        places
            int64, shape (N,), sorted, at least one.
        """
        n, ids, positions = len(places), self.padded(ids), self.padded(positions)
        places = self.padded(places, int(places[-1]))
        turn, stream = self.rotation(positions), self.embedded(ids)
        for number in range(len(self.layers)):
            stream = self.forward(number, stream, turn, attend, places)
        return self.normed(stream, self.norm, torch.empty_like(stream))[:n]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits in float32, shape (N, vocabulary), of the `hidden` that `read` gave."""
        return torch.nn.functional.linear(hidden, self._head)

    @cached_property
    def _head(self) -> torch.Tensor:
        with torch.inference_mode(False):
            return self.core.get_output_embeddings().weight.detach().float()

    def take(
        self, name: str, number: int, rows: int, columns: int, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """A buffer of the layer `number`, or of all in turn where nothing is kept.

        It has `rows` and `columns`, of the type of computing where `dtype` is None.
        """
        key = (name, number if self.keep else 0)
        return self.buffers.take(key, rows, columns, dtype=dtype or self.dtype)

    def padded(self, rows: torch.Tensor, value: int = 0) -> torch.Tensor:
        """`rows` (..., T) filled up to a number that products in this type are often made for.

        A product in bfloat16 is compiled for its shape when that is first seen:
        milliseconds, and a mebibyte that stays. Rows added change no others.
        """
        n = rows.shape[-1]
        missing = filled(n, self.dtype) - n
        return torch.nn.functional.pad(rows, (0, missing), value=value) if missing else rows

    def rotation(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine of the angles of `positions` (1, T), shape (T, 1, head width / 2)."""
        found = self.core.base_model.rotary_emb(self.norm, positions)
        half = self.heads.width // 2
        return tuple(x[0, :, None, :half].to(self.dtype) for x in found)

    def embedded(self, ids: torch.Tensor) -> torch.Tensor:
        """The stream before the first layer, float32, shape (T, D)."""
        stream = self.take("stream", 0, len(ids), self.size, torch.float32)
        return stream.copy_(self.core.get_input_embeddings().weight[ids])

    def normed(self, stream: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """RMS norm of the `stream`, shape (T, D), times `weight`, into the first D of `out`."""
        scratch = self.take("scratch", 0, len(stream), self.size, torch.float32)
        torch.mul(stream, self.inverse(stream), out=scratch)
        torch.mul(scratch, weight, out=out[:, : self.size])
        return out

    def inverse(self, stream: torch.Tensor) -> torch.Tensor:
        """One over the root mean square of each place of the `stream`, shape (T, 1)."""
        norm = torch.linalg.vector_norm(stream, dim=1, keepdim=True)
        return norm.square_().div_(self.size).add_(self.epsilon).rsqrt_()

    def forward(
        self,
        number: int,
        stream: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        attend: Attend,
        places: torch.Tensor,
    ) -> torch.Tensor:
        """The stream after a layer, shape (T, D); after the last one, (N, D).

        Parameters
        ----------
        number
            Of the layer.
        stream
            float32, shape (T, D); used up where nothing is kept.
        turn
            What `rotation` gave.
        attend
            Given the layer's number, (T, (queries + 2 keys) x width), and a
            tensor whose first queries x width columns it fills, shape (T, …).
        places
            int64, shape (N,), sorted: where the last layer's feed-forward runs.
        """
        n, layer = len(stream), self.layers[number]
        x = self.normed(stream, layer.before, self.take("x", number, n, layer.qkv.width))
        qkv = layer.qkv.forward(x, self.take("qkv", number, n, layer.qkv.n_outputs))
        rotate(self.heads.turned(qkv), *turn, self.take("turn", 0, n, self.heads.n_turned // 2))
        mixed = self.take("mixed", number, n, layer.o.width)
        attend(number, qkv, mixed)
        if number == len(self.layers) - 1:
            kept = self.take("kept", number, len(places), layer.o.width)
            mixed, n = torch.index_select(mixed, 0, places, out=kept), len(places)
            stream = stream[places]
        out = layer.o.forward(mixed, self.take("out", 0, n, self.size))
        between = self.take("between", number, n, self.size, torch.float32)
        torch.add(stream, out, out=between)
        x = self.normed(between, layer.between, self.take("y", number, n, layer.gate_up.width))
        both = layer.gate_up.forward(x, self.take("both", number, n, 2 * self.inner))
        inner = self.take("inner", number, n, layer.down.width)
        gate, active = both[:, : self.inner], self.take("silu", 0, n, self.inner)
        torch.ops.aten.silu.out(gate, out=active)
        torch.mul(active, both[:, self.inner :], out=inner[:, : self.inner])
        out = layer.down.forward(inner, self.take("out", 0, n, self.size))
        after = self.take("stream", number + 1, n, self.size, torch.float32)
        return torch.add(between, out, out=after)
