"""Greedy generation by a model whose layers are written out.

Prompts are read as one prefix tree, so that what they share is read once.
Then every prompt has a row: its keys and values stand in one buffer, and each
step writes the new ones into it, where transformers would copy all of them. A
row that ends makes room for a prompt that waits.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from flanlib.evaluation.backbone import Backbone
from flanlib.evaluation.likelihood import Item, Path, Work, paths_of, plan
from flanlib.evaluation.tree import Tree, along
from flanlib.models import llama

ROWS = 128  # at a time; more gain little
CACHE_BYTES = 2**30  # most for keys and values
BLOCK = 64  # words that share a largest logit
DOUBT = 4.0  # roundings of the largest logit within which a word may be the likeliest


def decode(
    model: Backbone,
    prompts: Sequence[list[int]],
    goes_on: Callable[[int, int], bool],
    room: Sequence[int],
    *,
    token_budget: int,
) -> list[tuple[int, int]]:
    """Read prompts and write, until every row has ended.

    Parameters
    ----------
    model
        Of the way `written`.
    prompts
        Token ids, at least one each.
    goes_on
        Takes the number of a prompt and the next token; whether its row reads
        that token and goes on.
    room
        Most tokens of each prompt and its answer.
    token_budget
        Prompt tokens in one pass.

    Returns
    -------
    Rows of each turn, and tokens that one has room for.
    """
    turns = []
    order = sorted(range(len(prompts)), key=lambda n: (-room[n], n))
    while order:
        rows = Rows(model, min(ROWS, len(order)), room[order[0]])
        turns.append((rows.n, room[order[0]]))
        # Rows as long as the longest would be few, so shorter ones wait for the next turn.
        least = room[order[0]] / 2 if rows.n < min(ROWS, len(order)) else 0
        numbers = [n for n in order if room[n] > least]
        order = order[len(numbers) :]
        waiting, alive, tokens = numbers, [], []
        while waiting or alive:
            first = 0
            if waiting and 2 * len(alive) <= rows.n:
                first, free = len(alive), rows.n - len(alive)
                taken, waiting = waiting[:free], waiting[free:]
                found = rows.read([prompts[n] for n in taken], token_budget)
                alive, tokens = alive + taken, tokens + found
            else:
                tokens = rows.step(tokens)
            goes = [goes_on(n, t) for n, t in zip(alive[first:], tokens[first:], strict=True)]
            kept = rows.keep([*range(first), *(first + k for k, on in enumerate(goes) if on)])
            alive, tokens = ([one[k] for k in kept] for one in (alive, tokens))
    return turns


class Rows:
    """Prompts and what is written after them, one a row.

    Parameters
    ----------
    model
        Of the way `written`.
    n
        Rows wanted; there are as many as `CACHE_BYTES` has room for, at least one.
    room
        Most tokens in a row.
    """

    def __init__(self, model: Backbone, n: int, room: int) -> None:
        self.body = llama.body_of(model.model)
        heads = self.body.heads
        columns = 2 * heads.n_keys * heads.width
        of_a_row = len(self.body.layers) * room * columns * self.body.dtype.itemsize
        self.n = max(1, min(n, CACHE_BYTES // of_a_row))
        # What is masked has to be finite. Numpy's zeros take no memory before they are written.
        held = torch.from_numpy(np.zeros(self.n * of_a_row, dtype=np.uint8)).view(self.body.dtype)
        self.held = held.view(len(self.body.layers), self.n, room, columns)
        self.lengths = np.zeros(0, dtype=np.int64)

    def read(self, prompts: Sequence[list[int]], token_budget: int) -> list[int]:
        """Read `prompts`, no more than there are rows free; the likeliest token after each."""
        first, found = len(self.lengths), np.zeros(len(prompts), dtype=np.int64)
        items = [Item(prompt, [[0]], "") for prompt in prompts]
        for paths in plan(paths_of(items, 0, Work()), token_budget, True):
            numbers = [i for path in paths for i, _, _ in path.uses]
            found[numbers] = self._pass(paths, first)
        self.lengths = np.append(self.lengths, [len(prompt) for prompt in prompts])
        return found.tolist()

    def _pass(self, paths: list[Path], first: int) -> list[int]:
        tree = Tree.of([path.ids for path in paths], [path.shared for path in paths])
        uses = [
            (first + i, at[: n + 1])
            for path, at in zip(paths, tree.nodes, strict=True)
            for i, _, n in path.uses
        ]
        ends = np.array([at[-1] for _, at in uses])
        places, inverse = np.unique(ends, return_inverse=True)
        of = torch.from_numpy(np.concatenate([at for _, at in uses]))
        room = self.held.shape[2]
        to = torch.from_numpy(np.concatenate([row * room + np.arange(len(at)) for row, at in uses]))
        inner = along(self.body.heads, tree, places, self.held, len(self.body.layers))
        start = self._start

        def attend(number: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
            self.held[number].flatten(0, 1).index_copy_(0, to, qkv[of, start:])
            inner(number, qkv, mixed)

        given = torch.from_numpy(tree.ids), torch.from_numpy(tree.depths)[None]
        hidden = self.body.read(*given, attend, torch.from_numpy(places))
        return likeliest(self.body, hidden)[inverse].tolist()

    def step(self, tokens: Sequence[int]) -> list[int]:
        """Read one of `tokens` in every row; the likeliest one after each."""
        at, heads, start = torch.from_numpy(self.lengths), self.body.heads, self._start
        n, longest = len(tokens), int(self.lengths.max()) + 1
        to = torch.arange(n) * self.held.shape[2] + at
        hidden = torch.full((), torch.finfo(self.body.dtype).min, dtype=self.body.dtype)
        sees = torch.arange(longest) <= at[:, None]
        mask = torch.where(sees, hidden.new_zeros(()), hidden)[:, None, None]

        def attend(number: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
            held = self.held[number]
            held.flatten(0, 1).index_copy_(0, to, qkv[:n, start:])
            halves = held[:n, :longest].unflatten(2, (2, heads.n_keys, heads.width))
            k, v = (x.transpose(1, 2) for x in halves.unbind(2))
            q, out = (x[:n, :start].view(n, heads.n_queries, 1, heads.width) for x in (qkv, mixed))
            seen = scaled_dot_product_attention(
                q, k, v, attn_mask=mask, scale=heads.scale, enable_gqa=True
            )
            out.copy_(seen)

        found = self.body.read(torch.tensor(tokens), at[None], attend, torch.arange(n))
        self.lengths = self.lengths + 1
        return likeliest(self.body, found).tolist()

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Drop all but some `rows`, sorted; the last ones take the places of those dropped.

        Returns
        -------
        Which row each one was.
        """
        n, kept = len(rows), set(rows)
        movers = [row for row in rows if row >= n]
        holes = [row for row in range(n) if row not in kept]
        if movers:
            longest = int(self.lengths[movers].max())
            self.held[:, holes, :longest] = self.held[:, movers, :longest]
        order = np.arange(n)
        order[holes] = movers
        self.lengths = self.lengths[order]
        return order.tolist()

    @property
    def _start(self) -> int:
        """Column of a row of queries, keys and values where the keys begin."""
        return self.body.heads.n_queries * self.body.heads.width


def likeliest(body: llama.Body, hidden: torch.Tensor) -> torch.Tensor:
    """The token with the largest logit, as float32 has it, shape (N,).

    Logits in the weights' type find the words that it can be; theirs are
    computed again in float32.

    Parameters
    ----------
    body
        Of the model.
    hidden
        Final hidden states, float32, shape (N, D).
    """
    weight = body.core.get_output_embeddings().weight
    words = -(-len(weight) // BLOCK) * BLOCK
    narrow = body.padded(hidden.t().to(weight.dtype))
    rough = body.buffers.take("words", words, narrow.shape[1], dtype=weight.dtype)
    rough[len(weight) :] = -torch.inf
    # The weights come first: a product packs its second factor anew each time.
    torch.mm(weight, narrow, out=rough[: len(weight)])
    blocks = rough[:, : len(hidden)].unflatten(0, (-1, BLOCK))
    largest = blocks.amax(1)
    top = largest.amax(0)
    least = top - DOUBT * torch.finfo(weight.dtype).eps * top.abs()
    block, row = (largest >= least).nonzero(as_tuple=True)
    which, word = (blocks[block, :, row] >= least[row, None]).nonzero(as_tuple=True)
    row, word = row[which], block[which] * BLOCK + word
    exact = torch.linalg.vecdot(weight[word].float(), hidden[row])
    best = exact.new_full((len(hidden),), -torch.inf).scatter_reduce(0, row, exact, "amax")
    best = exact == best[row]
    found = word.new_full((len(hidden),), len(weight))
    return found.scatter_reduce(0, row[best], word[best], "amin")
