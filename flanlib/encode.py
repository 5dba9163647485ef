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

from flanlib.config import Recipe
from flanlib.errors import RunError, TemplateError
from flanlib.templates import SEPARATOR, Prompt

MAX_INPUT_TOKENS = 1024
MAX_TARGET_TOKENS = 256
_BEGIN: WeakKeyDictionary = WeakKeyDictionary()


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


def lengths(recipe: Recipe, context: int | None, n_virtual: int = 0) -> tuple[int, int]:
    """Longest input and target in tokens that a model has room for.

    A recipe longer than the model's context gives way on the input side;
    begin token, separator, end token and soft prompt keep eight places free.

    Parameters
    ----------
    context
        Positions the model was trained with; None means no limit.
    n_virtual
        Positions taken by a soft prompt.

    Raises
    ------
    RunError
        If the target alone leaves no room for an input.
    """
    if context is None:
        return recipe.max_input_tokens, recipe.max_target_tokens
    target = min(recipe.max_target_tokens, context // 4)
    room = context - target - n_virtual - 8
    if room < 8:
        raise RunError(
            f"a context of {context} tokens has no room for an input beside {target} target and"
            f" {n_virtual} soft-prompt tokens; shorten prompt_tokens or choose another model"
        )
    return min(recipe.max_input_tokens, room), target


def encode(
    tokenizer: Any,
    prompt: Prompt | str,
    target: str | None = None,
    *,
    separator: str = SEPARATOR,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    max_target_tokens: int = MAX_TARGET_TOKENS,
) -> Encoded:
    """Token ids of a prompt and a target, tokenised apart.

    Raises
    ------
    TemplateError
        If input or target become no tokens.
    """
    if isinstance(prompt, Prompt):
        text, separator = prompt.input, prompt.separator
        target = prompt.target if target is None else target
        where = f"task {prompt.task}, template {prompt.template!r}, example {prompt.example}"
    else:
        text, where = prompt, f"input {prompt[:40]!r}"
    source, between, answer = token_ids(tokenizer, [text, separator, target or ""])
    return _join(
        begin_ids(tokenizer), source, between, answer, max_input_tokens, max_target_tokens, where
    )


def encode_many(
    tokenizer: Any,
    prompts: Iterable[Prompt],
    *,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    max_target_tokens: int = MAX_TARGET_TOKENS,
) -> list[Encoded]:
    """What `encode` gives for each prompt, in one call of the tokenizer."""
    prompts = list(prompts)
    separators = list(dict.fromkeys(p.separator for p in prompts))
    ids = token_ids(
        tokenizer, [*separators, *(p.input for p in prompts), *(p.target for p in prompts)]
    )
    between = dict(zip(separators, ids, strict=False))
    sources = ids[len(separators) :]
    begin = begin_ids(tokenizer)
    return [
        _join(
            begin,
            sources[i],
            between[p.separator],
            sources[len(prompts) + i],
            max_input_tokens,
            max_target_tokens,
            f"task {p.task}, template {p.template!r}, example {p.example}",
        )
        for i, p in enumerate(prompts)
    ]


def _join(
    begin: list[int],
    source: list[int],
    between: list[int],
    answer: list[int],
    max_input_tokens: int,
    max_target_tokens: int,
    where: str,
) -> Encoded:
    if not source or not answer:
        raise TemplateError(f"{where}: {'input' if not source else 'target'} has no tokens")
    kept, written = source[-max_input_tokens:], answer[:max_target_tokens]
    lost = len(answer) - len(written)
    return Encoded([*begin, *kept, *between], written, len(source) - len(kept) + lost, lost)
