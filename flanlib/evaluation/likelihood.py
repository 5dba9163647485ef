"""Log-likelihoods of many continuations, one pass over distinct tokens.

Prompts and options are paths through a prefix tree. A pass of the model is a
piece of that tree laid flat: what paths share is computed once, there is no
padding, and the output layer runs only where an option token is predicted. A
model that cannot be run so gets the paths as rows of a padded batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from flanlib.core.errors import RunError
from flanlib.core.protocols import LanguageModel
from flanlib.evaluation.backbone import Backbone, backbone
from flanlib.evaluation.tree import Tree

LOGIT_BYTES, LOGIT_ROWS = 16 * 2**20, 128  # logits at a time: so many bytes, but so many rows
REPEATED = 0.25  # most of a pass that may have been computed in the one before
FILLED = 0.75  # least of a budget that a pass takes, where paths go on


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
class Path:
    """A path from the root of the prefix tree to a leaf.

    Attributes
    ----------
    ids
        int64 array, shape (T,), with the places of a soft prompt in front.
    shared
        Tokens that it shares with the path before it.
    uses
        (item, option, place on the path that predicts its first token).
    """

    ids: np.ndarray
    shared: int
    uses: list[tuple[int, int, int]]


@dataclass(slots=True)
class Work:
    """What a pass did, for reports.

    Attributes
    ----------
    separate, distinct, computed, padded
        Tokens if every option ran alone; in the tree of all prompts; in the
        passes; in the passes with padding.
    halvings
        Passes cut in two for want of memory.
    """

    separate: int = 0
    distinct: int = 0
    computed: int = 0
    padded: int = 0
    halvings: int = 0


def likelihoods(
    lm: LanguageModel,
    items: Sequence[Item],
    *,
    token_budget: int | None = None,
    work: Work | None = None,
) -> list[np.ndarray]:
    """Summed log-probability of each option after its prompt.

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
        model = backbone(lm)
        budget = token_budget or model.token_budget
        passes = plan(paths_of(items, model.n_soft, work), budget, model.tree)
        result = [np.full(len(item.options), np.nan) for item in items]
        for paths in passes:
            _score(model, paths, items, result, work)
            work.computed += _n_tokens(paths)
    return result


def paths_of(items: Sequence[Item], n_soft: int, work: Work) -> list[Path]:
    """Prompts and options as paths, sorted; one that goes on takes in the other.

    Parameters
    ----------
    n_soft
        Places of a soft prompt, in front of every path as ids below 0.
    """
    soft = list(range(-n_soft, 0))
    asked = [
        (item.prompt_ids + option[:-1], i, k)
        for i, item in enumerate(items)
        for k, option in enumerate(item.options)
    ]
    asked.sort(key=lambda one: one[0])
    found: list[Path] = []
    for tokens, i, k in asked:
        ids = np.array(soft + tokens)
        use = i, k, n_soft + len(items[i].prompt_ids) - 1
        shared = common_prefix(found[-1].ids, ids) if found else 0
        if found and shared == len(found[-1].ids):
            found[-1].ids = ids
            found[-1].uses.append(use)
        else:
            found.append(Path(ids, shared, [use]))
        work.separate += len(ids)
    work.distinct += _n_tokens(found)
    return found


def common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    """How many tokens two paths `a` and `b` begin with alike."""
    size = min(len(a), len(b))
    differs = a[:size] != b[:size]
    return int(differs.argmax()) if differs.any() else size


def plan(paths: Sequence[Path], budget: int, tree: bool) -> list[list[Path]]:
    """Paths in passes of at most `budget` tokens, with padding.

    A tree is cut where little is shared, and outgrows the budget where its
    pieces would repeat too much of each other. Other paths are put together
    by length. The largest pass comes first, so that memory trouble shows at
    once.

    Parameters
    ----------
    paths
        Sorted, as `paths_of` gives them.
    budget
        Tokens.
    tree
        Whether paths may branch in a pass; without, each is a row.
    """
    found = []
    if tree:
        first = 0
        while first < len(paths):
            last = _cut(paths, first, budget)
            found.append(_apart(paths[first:last]))
            first = last
    else:
        rest = sorted((replace(path, shared=0) for path in paths), key=lambda p: -len(p.ids))
        while rest:
            n = max(1, budget // len(rest[0].ids))
            found.append(rest[:n])
            rest = rest[n:]
    return sorted(found, key=_n_tokens, reverse=True)


def _cut(paths: Sequence[Path], first: int, budget: int) -> int:
    """Where the pass that begins with path `first` ends."""
    width, best = len(paths[first].ids), first + 1
    for n in range(first + 1, len(paths)):
        shared = paths[n].shared
        if width <= FILLED * budget or shared <= paths[best].shared:
            best = n
        width += len(paths[n].ids) - shared
        if width > max(budget, paths[best].shared / REPEATED):
            return best
    return len(paths)


def _apart(paths: Sequence[Path]) -> list[Path]:
    """A piece of the tree as a tree of its own."""
    return [replace(paths[0], shared=0), *paths[1:]]


def _n_tokens(paths: Sequence[Path]) -> int:
    return sum(len(path.ids) - path.shared for path in paths)


def _score(model: Backbone, paths: list[Path], items, result, work: Work) -> None:
    """Run one pass, in halves where memory is short."""
    try:
        values, size = _forward(model, paths, items)
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        if len(paths) == 1:
            raise RunError(
                f"{items[paths[0].uses[0][0]].where}: one row of {len(paths[0].ids)} tokens does"
                " not fit the device's memory; lower the token budget or use a smaller model"
                f" ({error})"
            ) from None
        work.halvings += 1
        half = len(paths) // 2
        for part in (paths[:half], _apart(paths[half:])):
            _score(model, part, items, result, work)
        return
    work.padded += size
    first = 0
    for i, k, _ in (use for path in paths for use in path.uses):
        last = first + len(items[i].options[k])
        value = values[first:last].sum()
        first = last
        if not np.isfinite(value):
            raise RunError(
                f"{items[i].where}, option {k}: log-likelihood is {value}; the model gives"
                " logits that are not finite (half precision too narrow, or broken weights)"
            )
        result[i][k] = value


def _forward(model: Backbone, paths: list[Path], items) -> tuple[np.ndarray, int]:
    """Log-probability of each option token, in order of use; tokens with padding."""
    tree = None
    if model.tree:
        tree = Tree.of([path.ids for path in paths], [path.shared for path in paths])
        ids, nodes = tree.ids[None], tree.nodes
    else:
        ids = np.zeros((len(paths), max(len(path.ids) for path in paths)), dtype=np.int64)
        nodes = [n * ids.shape[1] + np.arange(len(path.ids)) for n, path in enumerate(paths)]
        for n, path in enumerate(paths):
            ids[n, : len(path.ids)] = path.ids
    where, wanted = [], []
    for path, at in zip(paths, nodes, strict=True):
        for i, k, first in path.uses:
            option = items[i].options[k]
            where.append(at[first : first + len(option)])
            wanted.append(option)
    places, inverse = np.unique(np.concatenate(where), return_inverse=True)
    tokens = torch.from_numpy(np.concatenate(wanted).astype(np.int64)).to(model.device)
    hidden = model.hidden(ids, places, tree)
    return _log_probabilities(model, hidden, inverse, tokens).cpu().numpy(), ids.size


def _log_probabilities(model: Backbone, hidden, inverse: np.ndarray, tokens) -> torch.Tensor:
    """float64 log p(token) for tokens that follow hidden states `inverse`."""
    order = np.argsort(inverse, kind="stable")
    ranked = inverse[order]
    result = torch.empty(len(tokens), dtype=torch.float64, device=tokens.device)
    step = max(LOGIT_ROWS, LOGIT_BYTES // (4 * model.vocabulary))
    for first in range(0, len(hidden), step):
        logits = model.logits(hidden[first : first + step]).float()
        low, high = np.searchsorted(ranked, [first, first + step])
        chosen = torch.from_numpy(order[low:high]).to(tokens.device)
        rows = torch.from_numpy(ranked[low:high] - first).to(tokens.device)
        wanted, top = logits[rows, tokens[chosen]], logits.amax(-1, keepdim=True)
        norm = top[:, 0] + logits.sub_(top).exp_().sum(-1).log()
        result[chosen] = (wanted - norm[rows]).double()
    return result


@contextmanager
def evaluating(lm: LanguageModel) -> Iterator[None]:
    """Dropout off for a while."""
    training = lm.training
    lm.eval()
    try:
        yield
    finally:
        lm.train(training)
