"""The endless sequence of prompts that a mixture is.

Examples wait in a temporary file, so memory does not grow with their number;
what comes at a position depends on the settings alone, so a stopped run
goes on at any position without rendering what came before.
"""

import hashlib
import marshal
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from flanlib.core.protocols import Tokenizer
from flanlib.core.tokens import token_ids
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Catalogue, Task
from flanlib.prompts import overlap, templates
from flanlib.prompts.audit import Audit, EvaluationAudit, TaskAudit, TokenAudit
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.template import Template

BLOCK = 1_024
BREAK = "\n\n"


class Store:
    """Examples in a temporary file; memory holds eight bytes for each."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._ends = array("Q", (0,))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, example: Example) -> None:
        """Write one example."""
        answer = (example.options, example.gold, example.answers)
        data = marshal.dumps(
            (example.task, example.id, dict(example.fields), *answer, example.group)
        )
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def flush(self) -> None:
        """Make what was written readable."""
        self._file.flush()

    def __getitem__(self, index: int) -> Example:
        start, end = self._ends[index], self._ends[index + 1]
        return Example(*marshal.loads(os.pread(self._file.fileno(), end - start, start)))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task in a mixture.

    Attributes
    ----------
    rows
        Numbers of its examples in the store, shape (N,).
    uneven
        Whether some template does not apply to some example.
    rate
        Share of draws, between 0 and 1.
    """

    task: Task
    templates: tuple[Template, ...]
    separator: str
    rows: np.ndarray
    uneven: bool
    rate: float


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """An endless, re-iterable sequence of prompts, the same every time.

    Attributes
    ----------
    settings
        What the sequence is a function of, besides the catalogue's content.
    parts
        Tasks with examples, in catalogue order; rates sum to 1.
    store
        Examples kept, of all parts.
    texts
        Of the dev and evaluation rows of the held-out tasks.
    tasks
        In catalogue order: tasks tuned on or left out, none that is evaluated.
    evaluation
        One for each held-out task; empty if nothing is held out.
    """

    catalogue: Catalogue
    settings: dict[str, Any]
    parts: tuple[Part, ...]
    store: Store
    texts: overlap.Texts
    tasks: tuple[TaskAudit, ...]
    evaluation: tuple[EvaluationAudit, ...]
    _orders: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[Prompt]:
        return self.stream()

    @property
    def n_examples(self) -> int:
        """Examples that are drawn from, over all tasks."""
        return sum(len(part.rows) for part in self.parts)

    def stream(self, start: int = 0) -> Iterator[Prompt]:
        """Prompts from a position on; reaching it costs no rendering."""
        seen = np.zeros(len(self.parts), dtype=np.int64)
        block, skip = divmod(start, BLOCK)
        for earlier in range(block):
            seen += np.bincount(self._draws(earlier)[0], minlength=len(self.parts))
        while True:
            which, chance = self._draws(block)
            for k in range(BLOCK):
                part = which[k]
                if k >= skip:
                    yield self._prompt(int(part), int(seen[part]), chance[k])
                seen[part] += 1
            block, skip = block + 1, 0

    def take(self, n: int, start: int = 0) -> list[Prompt]:
        """`n` prompts from a position on."""
        return list(islice(self.stream(start), n))

    def digest(self, n: int = 1_000) -> str:
        """Twelve hex digits of the SHA-256 of the first `n` prompts' text."""
        found = hashlib.sha256()
        for prompt in islice(self.stream(), n):
            for part in (prompt.input, prompt.separator, prompt.target, ""):
                found.update(part.encode() + b"\0")
        return found.hexdigest()[:12]

    def audit(self, tokenizer: Tokenizer | None = None, sample: int = 2_000) -> Audit:
        """The account of what was mixed, left out, and why; a tokenizer measures a `sample`."""
        kept = (self.store[i] for i in range(len(self.store)))
        tokens = ()
        if tokenizer is not None:
            prompts = self.take(sample)
            tokens = tuple(
                TokenAudit.of(
                    side,
                    [len(ids) for ids in token_ids(tokenizer, [getattr(p, side) for p in prompts])],
                )
                for side in ("input", "target")
            )
        return Audit(
            collection=self.catalogue.name,
            held_out=self.settings["held_out"],
            settings=self.settings,
            tasks=self.tasks,
            evaluation=self.evaluation,
            shared_texts=sum(map(self.texts.repeats, kept)),
            inverted_share=round(
                sum(p.rate * np.mean([t.inverted for t in p.templates]) for p in self.parts), 6
            ),
            tokens=tokens,
        )

    def _draws(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Parts, shape (BLOCK,), and uniform numbers: template, exemplars."""
        seed, exemplars = self.settings["seed"], self.settings["exemplar_share"] > 0
        chance = np.random.default_rng([seed, 1, block]).random((BLOCK, 2))
        edges = np.cumsum([part.rate for part in self.parts])
        which = np.searchsorted(edges[:-1], chance[:, 0], side="right")
        if exemplars:
            shape = (BLOCK, 2 + self.settings["max_exemplars"])
            chance = np.hstack([chance, np.random.default_rng([seed, 5, block]).random(shape)])
        return which, chance[:, 1:]

    def _order(self, index: int, epoch: int) -> np.ndarray:
        """A task's places in the order of one pass; only the last pass is kept."""
        found = self._orders.get(index)
        if found is None or found[0] != epoch:
            part = self.parts[index]
            order = shuffled(len(part.rows), self.settings["seed"], 2, part.task.key, epoch)
            found = self._orders[index] = (epoch, order)
        return found[1]

    def _prompt(self, index: int, turn: int, chance: np.ndarray) -> Prompt:
        part = self.parts[index]
        n = len(part.rows)
        epoch, turn = divmod(turn, n)
        place = int(self._order(index, epoch)[turn])
        example, usable = self._example(part, place), part.templates
        if part.uneven:
            usable = [t for t in usable if t.applies(example)]
        template = usable[int(chance[0] * len(usable))]
        prompt = templates.render(example, template, separator=part.separator)
        share = self.settings["exemplar_share"]
        if n < 2 or not share or chance[1] >= share:
            return prompt
        wanted = 1 + int(chance[2] * self.settings["max_exemplars"])
        places = dict.fromkeys(_other(c, place, n) for c in chance[3 : 3 + wanted])
        others = (self._example(part, other) for other in places)
        return few_shot(
            prompt,
            [
                templates.render(other, template, separator=part.separator)
                for other in others
                if template.applies(other)
            ],
        )

    def _example(self, part: Part, place: int) -> Example:
        return self.store[int(part.rows[place])]


def few_shot(prompt: Prompt, exemplars: Sequence[Prompt]) -> Prompt:
    """A prompt with solved `exemplars` in front, in their order, a blank line between."""
    solved = tuple(f"{e.input}{e.separator}{e.target}" for e in exemplars)
    text = BREAK.join((*solved, prompt.input))
    return replace(prompt, input=text, exemplars=(*solved, *prompt.exemplars))


def shuffled(n: int, seed: int, use: int, key: str, epoch: int = 0) -> np.ndarray:
    """The numbers below `n` in an order of their own, uint32, shape (n,).

    `seed`, `use`, `key` and `epoch` each give another order.
    """
    name = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])
    rng = np.random.default_rng([seed, use, name, epoch])
    return np.argsort(rng.random(n), kind="stable").astype(np.uint32)


def _other(chance: float, row: int, n: int) -> int:
    """One of the n - 1 rows that are not `row`."""
    other = int(chance * (n - 1))
    return other + (other >= row)
