"""A rendered example: what a model reads, and what it should write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from flanlib.prompts.language import Renderer

OPTIONS_HEAD = "OPTIONS:"
SEPARATOR = "\n"


@lru_cache(maxsize=1_024)
def options_block(options: tuple[str, ...]) -> str:
    """The answers to choose from, as FLAN shows them.

    Examples
    --------
    >>> print(options_block(("yes", "no")))
    OPTIONS:
    - yes
    - no
    """
    return "\n".join((OPTIONS_HEAD, *(f"- {option}" for option in options)))


@dataclass(slots=True)
class Wording:
    """What an input was phrased from, so that it can be phrased with less text.

    Attributes
    ----------
    write
        From fields to the input without its OPTIONS block.
    fields
        Text by name; the input may show some of it only.
    options
        Shown in the block, in this order; none without one.
    shown
        Names of the fields that the input shows.
    """

    write: Renderer
    fields: Mapping[str, str]
    options: tuple[str, ...] = ()
    shown: frozenset[str] = frozenset()

    def input(self, **shorter: str) -> str:
        """The input, the text of some fields replaced by what is `shorter`."""
        text = self.write({**self.fields, **shorter} if shorter else self.fields).strip()
        return f"{text}\n{options_block(self.options)}" if self.options else text


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered example.

    Attributes
    ----------
    input
        Request without trailing whitespace.
    target
        The right answer; what is trained on.
    options
        Answers to rank, in label order; empty when the task generates or
        the template may not be ranked.
    gold
        Index of the right option.
    references
        Acceptable targets, the first equals `target`; one of several spans
        is the tuple of them.
    task, template, example
        Key of the task, ids of the template and of the example.
    inverted
        Whether the template turns the task round.
    exemplars
        Solved examples that the input begins with.
    chat
        Whether the model's own chat template is put around the input.
    wording
        What the rest of the input was phrased from; None for a ready-made one.
    """

    input: str
    target: str
    options: tuple[str, ...]
    gold: int | None
    references: tuple[str | tuple[str, ...], ...]
    task: str
    template: str
    example: str
    inverted: bool = False
    separator: str = SEPARATOR
    exemplars: tuple[str, ...] = field(default=(), compare=False, repr=False)
    wording: Wording | None = field(default=None, compare=False, repr=False)
    chat: bool = False
