"""Log-likelihoods of many continuations, one pass over distinct tokens.

Prompts and options are laid out as a prefix tree. A branch of the tree is one
row of a batch: tokens in depth-first order, positions equal to depth, and a
token sees exactly its ancestors. In depth-first order token j is an ancestor
of token i when j <= i < end[j], with end[j] the first index after j's
subtree, so one comparison gives the whole attention mask. The output layer
runs only where an option token is predicted.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from flanlib.errors import RunError
from flanlib.opened import Opened, opened

LOGIT_BYTES = 64 * 2**20
MASK_ELEMENTS = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt and the continuations to weigh.

    Attributes
    ----------
    prompt_ids
        At least one token.
    options
        Token ids of each continuation, at least one token each.
    where
        Task, template and row, for error messages.
    """

    prompt_ids: list[int]
    options: list[list[int]]
    where: str


@dataclass(slots=True)
class Row:
    """A branch of the prefix tree, flattened depth first.

    Attributes
    ----------
    ids, positions, ends
        int64 arrays, shape (T,).
    paths
        (item, option, node indices of the tokens that predict the option).
    chain
        Whether the row is a single path, so that causal attention is enough.
    """

    ids: np.ndarray
    positions: np.ndarray
    ends: np.ndarray
    paths: list[tuple[int, int, np.ndarray]]
    chain: bool


@dataclass(slots=True)
class Work:
    """What a pass did, for reports.

    Attributes
    ----------
    separate, distinct, computed, padded
        Tokens if every option ran alone; in the tree of all prompts; in the
        rows; in the rows with padding.
    """

    separate: int = 0
    distinct: int = 0
    computed: int = 0
    padded: int = 0
    batches: int = 0
    halvings: int = field(default=0)


def likelihoods(
    lm: Any,
    items: Sequence[Item],
    *,
    token_budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    work: Work | None = None,
) -> list[np.ndarray]:
    """Summed log-probability of each option after its prompt.

    Parameters
    ----------
    lm
        Causal LM: plain, quantised, with LoRA or with a soft prompt.
    token_budget
        Tokens (with padding) in one forward pass; None fits the device.
    progress
        Called with tokens done and tokens in all.
    work
        Filled with counts.

    Returns
    -------
    one float64 array per item, shape (number of options,)
        In nats.

    Raises
    ------
    RunError
        Naming task, template and row, on a logit that is not finite, or when
        a single row does not fit the device's memory.
    """
    if not items:
        return []
    work = Work() if work is None else work
    with torch.inference_mode(), evaluating(lm):
        model = opened(lm)
        budget = token_budget or model.token_budget
        rows = plan(items, model, budget, work)
        result = [np.full(len(item.options), np.nan) for item in items]
        total, done = sum(len(row.ids) for row in rows), 0
        work.computed += total
        for batch in batches(rows, budget):
            _score_batch(model, batch, items, result, work)
            done += sum(len(row.ids) for row in batch)
            if progress:
                progress(done, total)
    return result


def plan(items: Sequence[Item], model: Opened, budget: int, work: Work) -> list[Row]:
    """Cut the tree of all prompts and options into rows.

    Paths are sorted, so neighbours share the longest prefixes; a path joins
    the row before it when that costs less than a row of its own, with
    cost(T) = T + T^2 / model.square_tokens.
    """
    paths = [
        (item.prompt_ids + option[:-1], i, k)
        for i, item in enumerate(items)
        for k, option in enumerate(item.options)
    ]
    paths.sort(key=lambda path: path[0])
    sizes = np.array([len(path[0]) for path in paths])
    shared = common_prefixes([path[0] for path in paths])
    work.separate += int(sizes.sum())
    work.distinct += int((sizes - shared).sum())
    rows, first, width = [], 0, int(sizes[0])
    for n, (size, prefix) in enumerate(
        zip(sizes[1:].tolist(), shared[1:].tolist(), strict=True), 1
    ):
        wider = width + size - prefix
        extends = prefix == sizes[n - 1]
        gain = size + (size * size + width * width - wider * wider) / model.square_tokens
        if extends or (model.tree and wider - width < gain and wider <= max(budget, size)):
            width = wider
        else:
            rows.append(_row(items, paths[first:n], shared[first:n]))
            first, width = n, size
    rows.append(_row(items, paths[first:], shared[first:]))
    return rows


def common_prefixes(paths: Sequence[Sequence[int]]) -> np.ndarray:
    """Tokens that each path shares with the one before it, shape (N,)."""
    arrays = [np.asarray(path, dtype=np.int64) for path in paths]
    shared = np.zeros(len(arrays), dtype=np.int64)
    for n in range(1, len(arrays)):
        a, b = arrays[n - 1], arrays[n]
        size = min(len(a), len(b))
        differs = a[:size] != b[:size]
        first = int(differs.argmax()) if size else 0
        shared[n] = first if size and differs[first] else size
    return shared


def _row(items: Sequence[Item], paths: list, shared: np.ndarray) -> Row:
    sizes = [len(path[0]) for path in paths]
    width = sizes[0] + sum(s - int(p) for s, p in zip(sizes[1:], shared[1:], strict=True))
    ids, positions, ends = (np.empty(width, dtype=np.int64) for _ in range(3))
    nodes = np.empty(max(sizes), dtype=np.int64)
    used, cursor, before, chain = [], 0, 0, True
    for n, (tokens, i, k) in enumerate(paths):
        prefix, size = (int(shared[n]) if n else 0), len(tokens)
        chain = chain and prefix == before
        ends[nodes[prefix:before]] = cursor
        stop = cursor + size - prefix
        nodes[prefix:size] = np.arange(cursor, stop)
        ids[cursor:stop] = tokens[prefix:]
        positions[cursor:stop] = np.arange(prefix, size)
        used.append((i, k, nodes[len(items[i].prompt_ids) - 1 : size].copy()))
        cursor, before = stop, size
    ends[nodes[:before]] = cursor
    return Row(ids, positions, ends, used, chain)


def batches(rows: Sequence[Row], budget: int) -> list[list[Row]]:
    """Rows of like length in batches of at most `budget` padded tokens.

    Chains and trees are kept apart, since chains need no mask; batches with
    the longest rows come first, so that memory trouble shows at once.
    """
    found: list[list[Row]] = []
    for chain in (False, True):
        kind = sorted((r for r in rows if r.chain == chain), key=lambda row: -len(row.ids))
        first = 0
        while first < len(kind):
            width = len(kind[first].ids)
            n = max(1, min(budget // width, MASK_ELEMENTS // width**2))
            found.append(kind[first : first + n])
            first += n
    return sorted(found, key=lambda batch: -len(batch[0].ids))


def _score_batch(model: Opened, batch: list[Row], items, result, work: Work) -> None:
    try:
        values = _forward(model, batch, items)
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        if len(batch) == 1:
            i = batch[0].paths[0][0]
            raise RunError(
                f"{items[i].where}: one row of {len(batch[0].ids)} tokens does not fit the"
                f" device's memory; lower the token budget or use a smaller model ({error})"
            ) from None
        work.halvings += 1
        half = len(batch) // 2
        _score_batch(model, batch[:half], items, result, work)
        _score_batch(model, batch[half:], items, result, work)
        return
    work.batches += 1
    work.padded += len(batch) * len(batch[0].ids)
    first = 0
    for i, k, nodes in (path for row in batch for path in row.paths):
        value = values[first : first + len(nodes)].sum()
        first += len(nodes)
        if not np.isfinite(value):
            raise RunError(
                f"{items[i].where}, option {k}: log-likelihood is {value}; the model gives"
                " logits that are not finite (half precision too narrow, or broken weights)"
            )
        result[i][k] = value


def _forward(model: Opened, batch: list[Row], items: Sequence[Item]) -> np.ndarray:
    """Log-probability of each option token, in the order of the rows' paths."""
    width = max(len(row.ids) for row in batch)
    ids = np.zeros((len(batch), width), dtype=np.int64)
    positions, sizes = np.zeros_like(ids), np.array([len(row.ids) for row in batch])
    ends = np.broadcast_to(np.arange(1, width + 1), ids.shape).copy()
    for n, row in enumerate(batch):
        ids[n, : len(row.ids)], positions[n, : len(row.ids)] = row.ids, row.positions
        ends[n, : len(row.ids)] = row.ends
    where, wanted = [], []
    for n, row in enumerate(batch):
        for i, k, nodes in row.paths:
            where.append(nodes + n * width)
            wanted.append(items[i].options[k])
    places, inverse = np.unique(np.concatenate(where), return_inverse=True)
    tokens = torch.from_numpy(np.concatenate(wanted).astype(np.int64)).to(model.device)
    chain = all(row.chain for row in batch)
    hidden = model.hidden(ids, sizes, places, None if chain else (positions, ends))
    return _log_probabilities(model, hidden, inverse, tokens).cpu().numpy()


def _log_probabilities(model: Opened, hidden, inverse: np.ndarray, tokens) -> torch.Tensor:
    """float64 log p(token) for tokens that follow hidden states `inverse`."""
    order = np.argsort(inverse, kind="stable")
    ranked = inverse[order]
    result = torch.empty(len(tokens), dtype=torch.float64, device=tokens.device)
    step = max(16, LOGIT_BYTES // (4 * model.vocabulary))
    for first in range(0, len(hidden), step):
        logits = model.logits(hidden[first : first + step]).float()
        low, high = np.searchsorted(ranked, [first, first + step])
        chosen = torch.from_numpy(order[low:high]).to(tokens.device)
        rows = torch.from_numpy(ranked[low:high] - first).to(tokens.device)
        norm = torch.logsumexp(logits, dim=-1)
        result[chosen] = (logits[rows, tokens[chosen]] - norm[rows]).double()
    return result


@contextmanager
def evaluating(lm: Any) -> Iterator[None]:
    """Dropout off for a while."""
    training = lm.training
    lm.eval()
    try:
        yield
    finally:
        lm.train(training)
