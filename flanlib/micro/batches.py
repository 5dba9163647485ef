"""Batches of pretraining: pages packed into rows, and how much each token counts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flanlib.micro import corpus, qa_forms

ROW_TOKENS = 256


@dataclass(frozen=True)
class Batch:
    """Packed rows. All arrays have shape (rows, tokens)."""

    ids: np.ndarray
    position: np.ndarray
    document: np.ndarray  # 0 is padding
    weight: np.ndarray  # of a token as a target; 0 for the first of a document


def encode(tokenizer, text: str, answer_weight: float) -> tuple[list[int], list[float]]:
    """Token ids of a page, end token last, and their weights as targets.

    Answers in the text are marked; the marks are taken out.

    Returns
    -------
    Two lists of at most `ROW_TOKENS`; the first weight is 0, as no token predicts it.
    """
    bare, spans, last = [], [], 0
    for part in qa_forms.MARKS.split(text):
        bare.append(part)
        spans.append((last, last + len(part)))
        last += len(part)
    answers = spans[1::2]
    out = tokenizer("".join(bare), return_offsets_mapping=True, add_special_tokens=False)
    weights, at = [], 0
    for start, end in out["offset_mapping"]:
        while at < len(answers) and end > answers[at][1]:
            at += 1
        inside = at < len(answers) and end > answers[at][0] and start < answers[at][1]
        weights.append(answer_weight if inside else 1.0)
    ids = [*out["input_ids"], tokenizer.eos_token_id][:ROW_TOKENS]
    weights = [0.0, *weights[1:], 1.0][:ROW_TOKENS]
    return ids, weights


def rows(tokenizer, texts: Iterator[str], answer_weight: float) -> Iterator[tuple]:
    """Documents, with answers marked, packed into rows of ROW_TOKENS, in order of arrival.

    Returns
    -------
    Lists of `ROW_TOKENS` numbers: ids, positions, documents from 1, weights; 0 is
    padding. What does not fill a row at the end is not given.
    """
    row: list[list] = [[], [], [], []]
    number = 0
    for text in texts:
        ids, weights = encode(tokenizer, text, answer_weight)
        if len(row[0]) + len(ids) > ROW_TOKENS:
            yield tuple(r + [0] * (ROW_TOKENS - len(r)) for r in row)
            row, number = [[], [], [], []], 0
        number += 1
        row[0] += ids
        row[1] += range(len(ids))
        row[2] += [number] * len(ids)
        row[3] += weights


def batches(tokenizer, world_seed: int, seed: int, phases=corpus.PHASES) -> Iterator[Batch]:
    """All batches of a pretraining run, one pass, in order."""
    for phase in phases:
        texts = corpus.documents(world_seed, seed, phase)
        source = rows(tokenizer, texts, phase.answer_weight)
        n = 0
        while n < phase.n_tokens:
            ids, position, document, weight = zip(
                *(next(source) for _ in range(phase.rows)), strict=True
            )
            batch = Batch(
                np.array(ids), np.array(position), np.array(document), np.array(weight, np.float32)
            )
            n += int((batch.document > 0).sum())
            yield batch


def n_steps(phases=corpus.PHASES) -> int:
    """Expected optimiser steps: nine tenths of a row are text."""
    return sum(int(p.n_tokens / (p.rows * ROW_TOKENS * 0.88)) for p in phases)
