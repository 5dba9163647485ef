"""Greedy generation in batches, with a cache of keys and values."""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from flanlib.scoring.likelihood import evaluating
from flanlib.scoring.opened import Opened, opened


def greedy(
    lm: Any,
    prompts: Sequence[list[int]],
    *,
    ends: Callable[[int], bool],
    max_new_tokens: int = 256,
    token_budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """The likeliest next token, again and again.

    Parameters
    ----------
    prompts
        Token ids, at least one each.
    ends
        Whether a token ends the answer; it is not part of the answer.
    max_new_tokens
        Longest answer; shorter where the model's context is full.
    token_budget
        Tokens (with padding) of a batch's prompts; None fits the device.
    progress
        Called with prompts done and prompts in all.

    Returns
    -------
    one list of token ids per prompt
    """
    answers: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda n: (-len(prompts[n]), n))
    done = 0
    with torch.inference_mode(), evaluating(lm):
        model = opened(lm)
        budget = token_budget or model.token_budget
        for batch in _batches(order, prompts, budget, level=not model.tree):
            _answer(model, [prompts[n] for n in batch], batch, answers, ends, max_new_tokens)
            done += len(batch)
            if progress:
                progress(done, len(prompts))
    return answers


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


def _answer(model: Opened, prompts, rows, answers, ends, max_new_tokens: int) -> None:
    """Run one batch to its end, halving it where memory is short."""
    decode = _decode if model.tree else _decode_whole
    try:
        found = decode(model, prompts, ends, max_new_tokens)
    except torch.cuda.OutOfMemoryError:
        if len(prompts) == 1:
            raise
        torch.cuda.empty_cache()
        half = len(prompts) // 2
        for part in (slice(half), slice(half, None)):
            _answer(model, prompts[part], rows[part], answers, ends, max_new_tokens)
        return
    for row, answer in zip(rows, found, strict=True):
        answers[row] = answer


def _decode(model: Opened, prompts: list[list[int]], ends, max_new_tokens: int) -> list[list[int]]:
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
        keep = []
        for n, token in enumerate(chosen):
            answer = answers[alive[n]]
            if len(answer) < limits[alive[n]] and not ends(token):
                answer.append(token)
                if len(answer) < limits[alive[n]]:
                    keep.append(n)
        alive = alive[keep]
        state.feed(chosen, keep)
    return answers


def _decode_whole(model: Opened, prompts: list[list[int]], ends, max_new_tokens: int):
    """By transformers itself, for models whose positions follow other rules.

    All prompts have one length, so there is no padding to go wrong.
    """
    limit = max_new_tokens
    if model.context:
        limit = min(limit, model.context - len(prompts[0]))
    ids = torch.tensor(prompts, device=model.device)
    found = model.lm.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=limit,
        do_sample=False,
        pad_token_id=0,
    )
    written = found[:, ids.shape[1] :].tolist()
    return [list(takewhile(lambda token: not ends(token), row)) for row in written]


class _Decoder:
    """A left-padded batch: its cache, and the token each row reads next."""

    def __init__(self, model: Opened, ids: np.ndarray, sizes: np.ndarray) -> None:
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
