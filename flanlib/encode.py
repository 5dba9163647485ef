"""The one tokenising path for tuning and scoring.

Input, separator and target are tokenised apart, so that no token straddles
the border between what is read and what is written. Each side is truncated
apart, and what was cut is counted: the input loses its beginning, so that
the question and the OPTIONS block stay; the target loses its end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from flanlib.errors import TemplateError
from flanlib.templates import SEPARATOR, Prompt

MAX_INPUT_TOKENS = 1024
MAX_TARGET_TOKENS = 256
_BEGIN: WeakKeyDictionary = WeakKeyDictionary()
_SPACED: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one prompt and one target.

    Attributes
    ----------
    prompt_ids
        Begin token (if the tokenizer puts one), input, separator.
    target_ids
        Target without end token.
    n_cut
        Tokens cut from the left of the input and the right of the target.
    n_cut_target
        Those of them that the target lost.
    """

    prompt_ids: list[int]
    target_ids: list[int]
    n_cut: int = 0
    n_cut_target: int = 0


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens."""
    if not texts:
        return []
    return tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
    )["input_ids"]


def begin_ids(tokenizer: Any) -> list[int]:
    """The begin token where the tokenizer puts one by default, else nothing."""
    if tokenizer not in _BEGIN:
        ids = tokenizer("a")["input_ids"]
        _BEGIN[tokenizer] = ids[:1] if ids and ids[0] == tokenizer.bos_token_id else []
    return list(_BEGIN[tokenizer])


def border(tokenizer: Any, separator: str) -> tuple[list[int], str]:
    """What stands between input and answer: token ids, and how the answer begins.

    A space belongs to the word behind it, as models have read it: it leads
    the answer, unless the tokenizer begins every text with one by itself.
    Anything else is tokenised alone.
    """
    if separator != " ":
        return token_ids(tokenizer, [separator])[0], ""
    if tokenizer not in _SPACED:
        first, second, both = token_ids(tokenizer, ["a", "b", "a b"])
        _SPACED[tokenizer] = both == first + second
    return [], "" if _SPACED[tokenizer] else " "


def encode(
    tokenizer: Any,
    prompt: Prompt | str,
    target: str | None = None,
    *,
    separator: str = SEPARATOR,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    max_target_tokens: int = MAX_TARGET_TOKENS,
    context: int | None = None,
) -> Encoded:
    """Token ids of a prompt and a target, tokenised apart.

    Parameters
    ----------
    target
        Replaces the prompt's own; None keeps that, and means none after a text.
    max_input_tokens, max_target_tokens
        Each side is cut to these; the input further where the model's
        context asks for it.
    context
        Positions the model has for prompt and target; None for no limit.

    Raises
    ------
    TemplateError
        If input or target become no tokens, or the target leaves no room
        for an input.
    """
    if isinstance(prompt, Prompt):
        text, separator = prompt.input, prompt.separator
        target = prompt.target if target is None else target
        where = where_of(prompt)
    else:
        text, where = prompt, f"input {prompt[:40]!r}"
    between, lead = border(tokenizer, separator)
    source, answer = token_ids(tokenizer, [text, lead + target if target else ""])
    bounds = max_input_tokens, max_target_tokens, context
    return _join(begin_ids(tokenizer), source, between, answer, bounds, where)


def encode_many(
    tokenizer: Any,
    prompts: Iterable[Prompt],
    *,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    max_target_tokens: int = MAX_TARGET_TOKENS,
    context: int | None = None,
) -> list[Encoded]:
    """What `encode` gives for each prompt, in one call of the tokenizer."""
    prompts = list(prompts)
    borders = {
        separator: border(tokenizer, separator) for separator in {p.separator for p in prompts}
    }
    answers = [borders[p.separator][1] + p.target if p.target else "" for p in prompts]
    ids = token_ids(tokenizer, [*(p.input for p in prompts), *answers])
    begin, bounds = begin_ids(tokenizer), (max_input_tokens, max_target_tokens, context)
    return [
        _join(begin, source, borders[p.separator][0], answer, bounds, where_of(p))
        for p, source, answer in zip(prompts, ids, ids[len(prompts) :], strict=False)
    ]


def where_of(prompt: Prompt) -> str:
    """Where a prompt comes from, for messages."""
    return f"task {prompt.task}, template {prompt.template!r}, example {prompt.example}"


def _join(
    begin: list[int],
    source: list[int],
    between: list[int],
    answer: list[int],
    bounds: tuple[int, int, int | None],
    where: str,
) -> Encoded:
    room, longest, context = bounds
    if not source or not answer:
        raise TemplateError(f"{where}: {'input' if not source else 'target'} has no tokens")
    written = answer[:longest]
    if context is not None:
        room = min(room, context - len(begin) - len(between) - len(written))
    if room < 1:
        raise TemplateError(
            f"{where}: a target of {len(written)} tokens leaves no room for an input in a context"
            f" of {context} tokens; lower max_target_tokens (now {longest}), or use another model"
        )
    kept, lost = source[-room:], len(answer) - len(written)
    return Encoded([*begin, *kept, *between], written, len(source) - len(kept) + lost, lost)
