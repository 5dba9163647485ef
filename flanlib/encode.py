"""The one tokenising path for tuning and scoring.

Input, separator and target are tokenised apart, so that no token straddles
the border between what is read and what is written. Each side is truncated
apart, and what was cut is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flanlib.errors import TemplateError
from flanlib.templates import SEPARATOR, Prompt

MAX_INPUT_TOKENS = 1024
MAX_TARGET_TOKENS = 256


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
    """

    prompt_ids: list[int]
    target_ids: list[int]
    n_cut: int = 0


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens."""
    if not texts:
        return []
    return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]


def begin_ids(tokenizer: Any) -> list[int]:
    """The begin token where the tokenizer puts one by default, else nothing."""
    ids = tokenizer("a")["input_ids"]
    return ids[:1] if ids and ids[0] == tokenizer.bos_token_id else []


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
    if not source or not answer:
        raise TemplateError(f"{where}: {'input' if not source else 'target'} has no tokens")
    kept, written = source[-max_input_tokens:], answer[:max_target_tokens]
    cut = len(source) - len(kept) + len(answer) - len(written)
    return Encoded([*begin_ids(tokenizer), *kept, *between], written, cut)
