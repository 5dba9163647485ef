"""Greedy generation in batches, with a cache of keys and values."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from transformers import DynamicCache, GenerationConfig

from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.evaluation.backbone import Backbone, backbone
from flanlib.evaluation.decoding import decode
from flanlib.evaluation.likelihood import evaluating

Stops = tuple[Callable[[int], bool], Callable[[int], bool]]


def greedy(
    lm: LanguageModel,
    prompts: Sequence[list[int]],
    *,
    ends: Callable[[int], bool],
    last: Callable[[int], bool] = lambda token: False,
    max_new_tokens: int = 256,
    token_budget: int | None = None,
) -> list[list[int]]:
    """The likeliest next token, again and again.

    Parameters
    ----------
    prompts
        Token ids, at least one each.
    ends
        Whether a token ends the answer; it is not part of the answer.
    last
        Whether a token ends the answer and is part of it.
    max_new_tokens
        Longest answer; shorter where the model's context is full.
    token_budget
        Tokens (with padding) of a batch's prompts; None fits the device.

    Returns
    -------
    one list of token ids per prompt
    """
    answers: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda n: (-len(prompts[n]), n))
    with torch.inference_mode(), evaluating(lm):
        model = backbone(lm)
        budget = token_budget or model.token_budget
        if model.way == "written":
            return _written(model, prompts, (ends, last), max_new_tokens, budget)
        for batch in _batches(order, prompts, budget, level=not model.tree):
            batch_prompts = [prompts[n] for n in batch]
            _answer(model, batch_prompts, batch, answers, (ends, last), max_new_tokens)
    return answers


def _written(
    model: Backbone, prompts: Sequence[list[int]], stops: Stops, max_new_tokens: int, budget: int
) -> list[list[int]]:
    """By a model whose layers are written out."""
    limits = [max_new_tokens] * len(prompts)
    if model.context:
        limits = [min(max_new_tokens, model.context - len(prompt)) for prompt in prompts]
    answers: list[list[int]] = [[] for _ in prompts]

    def goes_on(n: int, token: int) -> bool:
        return _taken(answers[n], token, limits[n], stops)

    room = [len(prompt) + max(limit, 1) for prompt, limit in zip(prompts, limits, strict=True)]
    decode(model, prompts, goes_on, room, token_budget=budget)
    return answers


def _taken(answer: list[int], token: int, limit: int, stops: Stops) -> bool:
    """Add a token to an answer unless it only ends it; whether the answer goes on."""
    ends, last = stops
    if len(answer) >= limit or ends(token):
        return False
    answer.append(token)
    return len(answer) < limit and not last(token)


def _batches(
    order: list[int], prompts: Sequence[list[int]], budget: int, *, level: bool
) -> Iterator[list[int]]:
    """Prompts of like length, or of equal length when `level`."""
    first = 0
    while first < len(order):
        longest = len(prompts[order[first]])
        last = first + max(1, budget // longest)
        batch = order[first:last]
        if level:
            batch = [n for n in batch if len(prompts[n]) == longest]
        yield batch
        first += len(batch)


def _answer(model: Backbone, prompts, rows, answers, stops: Stops, max_new_tokens: int) -> None:
    """Run one batch to its end, halving it where memory is short."""
    decode = _decode if model.tree else _decode_whole
    try:
        found = decode(model, prompts, stops, max_new_tokens)
    except torch.cuda.OutOfMemoryError:
        if len(prompts) == 1:
            raise
        torch.cuda.empty_cache()
        half = len(prompts) // 2
        for part in (slice(half), slice(half, None)):
            _answer(model, prompts[part], rows[part], answers, stops, max_new_tokens)
        return
    for row, answer in zip(rows, found, strict=True):
        answers[row] = answer


def _decode(
    model: Backbone, prompts: list[list[int]], stops: Stops, max_new_tokens: int
) -> list[list[int]]:
    sizes = np.array([len(p) for p in prompts])
    width = int(sizes.max())
    ids = np.zeros((len(prompts), width), dtype=np.int64)
    for n, prompt in enumerate(prompts):
        ids[n, width - len(prompt) :] = prompt
    limits = np.full(len(prompts), max_new_tokens)
    if model.context:
        limits = np.minimum(limits, model.context - sizes)
    answers: list[list[int]] = [[] for _ in prompts]
    state = _Decoder(model, ids, sizes)
    alive = np.arange(len(prompts))
    while len(alive):
        chosen = state.next()
        keep = [
            n
            for n, token in enumerate(chosen)
            if _taken(answers[alive[n]], token, limits[alive[n]], stops)
        ]
        alive = alive[keep]
        state.feed(chosen, keep)
    return answers


def _decode_whole(
    model: Backbone, prompts: list[list[int]], stops: Stops, max_new_tokens: int
) -> list[list[int]]:
    """By transformers itself, for models whose positions follow other rules.

    All prompts have one length, so there is no padding to go wrong.
    """
    ends, last = stops
    limit = max_new_tokens
    if model.context:
        limit = min(limit, model.context - len(prompts[0]))
    if limit < 1:
        return [[] for _ in prompts]

    def over(ids: torch.Tensor, scores: torch.Tensor, **given: object) -> torch.Tensor:
        done = [ends(token) or last(token) for token in ids[:, -1].tolist()]
        return torch.tensor(done, device=ids.device)

    ids = torch.tensor(prompts, device=model.device)
    with _plain_greedy(model):
        found = model.lm.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=limit,
            stopping_criteria=[over],
            pad_token_id=0,
        )
    return [_until(row, ends, last) for row in found[:, ids.shape[1] :].tolist()]


@contextmanager
def _plain_greedy(model: Backbone) -> Iterator[None]:
    """Set aside what a model's folder asks of generation, such as a repetition penalty."""
    holders = [one for one in (model.lm, model.model) if "generation_config" in vars(one)]
    before = [one.generation_config for one in holders]
    for one in holders:
        one.generation_config = GenerationConfig(do_sample=False)
    try:
        yield
    finally:
        for one, config in zip(holders, before, strict=True):
            one.generation_config = config


def _until(row: list[int], ends: Callable, last: Callable) -> list[int]:
    """Tokens up to the first that ends, or with the first that is the last."""
    for n, token in enumerate(row):
        if ends(token):
            return row[:n]
        if last(token):
            return row[: n + 1]
    return row


def end_ids(lm: LanguageModel, tokenizer: Tokenizer) -> frozenset[int]:
    """Every token that ends a text: the tokenizer's, and those that the model names.

    Models made for dialogue end a turn with a token of their own, which their
    generation_config or config has, as a number or a list.
    """
    model = backbone(lm).model
    named = [
        getattr(holder, "eos_token_id", None)
        for holder in (
            tokenizer,
            getattr(lm, "generation_config", None),
            getattr(model, "generation_config", None),
            model.config,
            model.config.get_text_config(),
        )
    ]
    every = [one if isinstance(one, list | tuple) else [one] for one in named]
    return frozenset(token for ids in every for token in ids if token is not None)


class _Decoder:
    """A left-padded batch: its cache, and the token each row reads next."""

    def __init__(self, model: Backbone, ids: np.ndarray, sizes: np.ndarray) -> None:
        self.model = model
        self.cache = DynamicCache()
        self.tokens = torch.from_numpy(ids).to(model.device)
        pads = torch.from_numpy(ids.shape[1] - sizes).to(model.device)
        self.mask = torch.arange(ids.shape[1] + model.n_soft, device=model.device) >= pads[:, None]
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        self.pads = pads

    def next(self) -> list[int]:
        """Read what is fed; the likeliest next token of each row."""
        inputs = {"input_ids": self.tokens}
        if self.model.n_soft and not self.cache.get_seq_length():
            inputs = {"inputs_embeds": self._softened()}
        hidden = self.model.model.base_model(
            **inputs,
            attention_mask=self.mask.long(),
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
        )[0][:, -1]
        return self.model.model.get_output_embeddings()(hidden).argmax(-1).tolist()

    def feed(self, chosen: list[int], keep: list[int]) -> None:
        """Keep some rows and append the chosen tokens to them."""
        if not keep:
            return
        device = self.model.device
        rows = torch.tensor(keep, device=device)
        self.tokens = torch.tensor(chosen, device=device)[rows][:, None]
        if len(keep) < len(chosen):
            self.cache.batch_select_indices(rows)
            self.mask, self.positions = self.mask[rows], self.positions[rows]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(keep), 1)], dim=1)
        self.positions = self.positions[:, -1:] + 1

    def _softened(self) -> torch.Tensor:
        """Embeddings with the soft prompt between padding and prompt."""
        words, soft = self.model.embeddings(self.tokens), self.model.soft
        parts = [
            torch.cat([row[:pad], soft, row[pad:]])
            for row, pad in zip(words, self.pads.tolist(), strict=True)
        ]
        return torch.stack(parts)
