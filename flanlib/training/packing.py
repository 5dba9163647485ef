"""Several examples in one sequence, none of which sees another.

Packed examples stand end to end. Positions start at zero for each, and an
attention function of our own runs over each example's stretch alone, so
isolation does not hang on a mask: there is nothing else to attend to, and
no square of the packed length is ever built. Logits are computed only where
a target token is predicted.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from flanlib.core.errors import RunError
from flanlib.core.protocols import LanguageModel
from flanlib.models.encode import Encoded

ATTENTION = "flanlib_isolated"
PACKABLE = ("gpt_neox", "llama", "qwen2", "qwen3", "olmo2", "smollm3", "mistral", "gpt2")
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.05}


@dataclass(frozen=True, slots=True)
class Pack:
    """One packed sequence of T tokens with M target tokens.

    Attributes
    ----------
    input_ids, position_ids
        int64, shape (1, T).
    lengths
        Tokens of each example, in order; they sum to T.
    where
        int64, shape (M,): positions whose logits predict a target token.
    targets
        int64, shape (M,): the tokens predicted there.
    n_virtual
        Places at the head of each example kept for a soft prompt.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    lengths: tuple[int, ...]
    where: torch.Tensor
    targets: torch.Tensor
    n_virtual: int = 0

    def to(self, device: torch.device) -> "Pack":
        """The same on another device."""
        if self.input_ids.device == device:
            return self
        moved = (t.to(device) for t in (self.input_ids, self.position_ids))
        ends = (t.to(device) for t in (self.where, self.targets))
        return Pack(*moved, self.lengths, *ends, self.n_virtual)


def trained(example: Encoded, eos: int) -> list[int]:
    """Target tokens to learn: with the end token, unless the end was cut."""
    return example.target_ids if example.n_cut_target else [*example.target_ids, eos]


def n_tokens(example: Encoded) -> int:
    """Tokens of an example that a run counts, prompt and target, end token included."""
    return len(example.prompt_ids) + len(trained(example, 0))


def pack(examples: Sequence[Encoded], eos: int, n_virtual: int = 0) -> Pack:
    """Put examples end to end."""
    ids: list[int] = []
    positions: list[int] = []
    lengths, where, targets = [], [], []
    for example in examples:
        answer = trained(example, eos)
        start = len(ids)
        # The last target token is predicted, never read.
        stretch = [0] * n_virtual + example.prompt_ids + answer[:-1]
        ids += stretch
        positions += range(len(stretch))
        first = start + n_virtual + len(example.prompt_ids) - 1
        where += range(first, first + len(answer))
        targets += answer
        lengths.append(len(stretch))
    return Pack(
        torch.tensor([ids]),
        torch.tensor([positions]),
        tuple(lengths),
        torch.tensor(where),
        torch.tensor(targets),
        n_virtual,
    )


def packs(examples: Iterable[Encoded], eos: int, max_tokens: int, n_virtual: int = 0) -> list[Pack]:
    """Fill packs of at most `max_tokens` tokens, keeping the order.

    An example longer than `max_tokens` has a pack to itself: it is the
    encoding's limits that bound an example, and nothing is cut here.
    """
    rows: list[list[Encoded]] = []
    used = 0
    for example in examples:
        n = n_virtual + len(example.prompt_ids) + len(example.target_ids)
        if not rows or used + n > max_tokens:
            rows.append([])
            used = 0
        rows[-1].append(example)
        used += n
    return [pack(row, eos, n_virtual) for row in rows]


def isolated_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    example_lengths: Sequence[int] | None = None,
    sliding_window: int | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each example of a pack.

    Parameters
    ----------
    query, key, value
        Shape (1, heads, T, head width); keys may have fewer heads.
    dropout
        Share of attention weights, between 0 and 1.
    example_lengths
        Of the examples, in order.
    sliding_window
        Tokens that the layer looks back; None for all.

    Returns
    -------
    Shape (1, T, heads, head width), and no weights.

    Raises
    ------
    RunError
        If the lengths did not reach this layer, or the layer wants
        something that would change the numbers.
    """
    if example_lengths is None or query.shape[2] != sum(example_lengths):
        raise RunError("this architecture does not hand the examples' lengths to its attention")
    if kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        raise RunError("attention with soft caps or sinks cannot be packed")
    if sliding_window is not None and max(example_lengths) > sliding_window:
        raise RunError(
            f"an example of {max(example_lengths)} tokens is longer than the model's sliding"
            f" window of {sliding_window}; lower max_input_tokens"
        )
    if groups := query.shape[1] // key.shape[1] - 1:
        key = key.repeat_interleave(groups + 1, 1)
        value = value.repeat_interleave(groups + 1, 1)
    lengths = list(example_lengths)
    parts = zip(
        query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True
    )
    seen = [
        functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, dropout_p=dropout
        ).transpose(1, 2)
        for q, k, v in parts
    ]
    return torch.cat(seen, 1), None


AttentionInterface.register(ATTENTION, isolated_attention)


@contextmanager
def isolating(model: LanguageModel) -> Iterator[Any]:
    """Let a model attend within examples only, for the block's duration."""
    core = bare(model)
    before = core.config._attn_implementation
    core.set_attn_implementation(ATTENTION)
    try:
        with sparing(core):
            yield model
    finally:
        core.set_attn_implementation(before)


@contextmanager
def sparing(
    core: PreTrainedModel, rows: torch.Tensor | None = None, n_tokens: int = 0
) -> Iterator[None]:
    """Run the last feed-forward only where a target is predicted.

    Nothing reads what the last layer says elsewhere, so values and gradients
    stay as they are; zeros stand in for the rest. `logits` sets the rows of
    each pass.

    Parameters
    ----------
    core
        The model inside, without its head.
    rows
        int64, shape (M,): places where the last feed-forward runs; None for all.
    n_tokens
        Places in all.
    """
    last = _layers(core)[-1].mlp

    def select(module: torch.nn.Module, given: tuple) -> tuple:
        return (given[0][:, last.rows],) if last.rows is not None else given

    def spread(module: torch.nn.Module, given: tuple, found: torch.Tensor) -> torch.Tensor:
        if last.rows is None:
            return found
        whole = found.new_zeros(found.shape[0], last.n_tokens, found.shape[2])
        return whole.index_copy(1, last.rows, found)

    last.rows, last.n_tokens = rows, n_tokens
    hooks = last.register_forward_pre_hook(select), last.register_forward_hook(spread)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        del last.rows, last.n_tokens


def _layers(core: PreTrainedModel) -> torch.nn.ModuleList:
    body = core.base_model
    return body.layers if hasattr(body, "layers") else body.h


def bare(model: LanguageModel) -> PreTrainedModel:
    """The transformers model inside PEFT's wrappers; adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def logits(model: LanguageModel, packed: Pack) -> torch.Tensor:
    """Logits where targets are predicted, shape (M, vocabulary).

    The model has to be inside `isolating`. A soft prompt's vectors are laid
    at the head of each example.
    """
    core = bare(model)
    given: dict[str, Any] = {"input_ids": packed.input_ids}
    if packed.n_virtual:
        given = {"inputs_embeds": _with_prompt(model, core, packed)}
    last = _layers(core)[-1].mlp
    # These stay until the next pass, for a backward pass that runs the layer again.
    last.rows, last.n_tokens = packed.where, packed.input_ids.shape[1]
    found = core(
        **given,
        position_ids=packed.position_ids,
        use_cache=False,
        logits_to_keep=packed.where,
        example_lengths=packed.lengths,
    ).logits[0]
    return found if len(found) == len(packed.where) else found[packed.where]


def _with_prompt(model: LanguageModel, core: PreTrainedModel, packed: Pack) -> torch.Tensor:
    """Embeddings with the soft prompt at each example's head, shape (1, T, width)."""
    n = len(packed.lengths)
    prompt = model.get_prompt(batch_size=n)
    embedded = core.get_input_embeddings()(packed.input_ids)
    heads = packed.position_ids[0] < packed.n_virtual
    placed = embedded.clone()
    placed[0, heads] = prompt.reshape(n * packed.n_virtual, -1).to(embedded.dtype)
    return placed


def loss_sum(model: LanguageModel, packed: Pack) -> torch.Tensor:
    """Summed cross-entropy of the target tokens, in nats, float32."""
    return functional.cross_entropy(logits(model, packed).float(), packed.targets, reduction="sum")


def check_type(name: str) -> None:
    """Refuse an architecture that is not among `PACKABLE`.

    Raises
    ------
    RunError
        Naming those that are.
    """
    if name not in PACKABLE:
        raise RunError(
            f"{name}: packed examples of this architecture see each other, or were never shown"
            f" not to; {_ADVICE}"
        )


@torch.no_grad()
def check_isolation(model: LanguageModel) -> None:
    """Refuse an architecture whose packed examples differ from separate ones.

    `PACKABLE` names those whose loss and gradients the test suite holds
    equal; the model at hand is tried as well, whatever its name. Two short
    examples are run packed, and each alone by the model's own attention; then
    the first is changed, which must leave the second's logits untouched to
    the last bit.

    Raises
    ------
    RunError
        Naming the architecture and what differed.
    """
    core = bare(model)
    name = core.config.model_type
    check_type(name)
    device = next(core.parameters()).device
    vocabulary = core.config.get_text_config().vocab_size
    mode = core.training
    core.eval()
    try:
        one, other, two = (_probe(start, vocabulary) for start in (3, 11, 7))
        apart = [
            core(torch.tensor([x.prompt_ids], device=device)).logits[0, -1] for x in (one, two)
        ]
        with isolating(core):
            both = logits(core, pack([one, two], 0).to(device))
            changed = logits(core, pack([other, two], 0).to(device))
    except (RunError, TypeError, ValueError) as error:
        raise RunError(f"{name}: examples cannot be packed: {error}; {_ADVICE}") from None
    finally:
        core.train(mode)
    gap = (both - torch.stack(apart)).abs().max().item()
    allowed = TOLERANCE.get(both.dtype, 1e-4) * max(1.0, both.abs().max().item())
    if not gap <= allowed:
        raise RunError(
            f"{name}: packed logits differ from separate ones by {gap:.2g}"
            f" (allowed {allowed:.2g}); {_ADVICE}"
        )
    if not torch.equal(both[1], changed[1]):
        raise RunError(f"{name}: a packed example sees the one before it; {_ADVICE}")


_ADVICE = f"use a model of type {', '.join(PACKABLE)}"


def _probe(start: int, vocabulary: int) -> Encoded:
    prompt = [(start * 31 + 17 * i * i) % vocabulary for i in range(start + 5)]
    return Encoded(prompt, [1], n_cut=1, n_cut_target=1)
