"""The one place where an input that is too long is made shorter.

An instruction is never cut while the text it is about stays. What gives way,
in this order:

1. Exemplars, whole ones, from the first on, until the question fits.
2. The longest field of the row, from its end, until it is as short as the
   next, then both. The beginning stays: it says what a text is about, and a
   written answer is cut at its end as well. The template's own words and the
   OPTIONS block stay whole.
3. A ready-made input, of which nothing is known but its text, loses its
   beginning, because what is asked mostly stands at its end.

An instruction that is too long by itself, with its options, may have twice the limit; what
is too long for that is an error.
"""

from collections.abc import Mapping
from dataclasses import replace

from flanlib.core.errors import TemplateError
from flanlib.core.protocols import Tokenizer
from flanlib.core.tokens import head, token_ids
from flanlib.prompts import language
from flanlib.prompts.prompt import Prompt, Wording
from flanlib.prompts.stream import BREAK


def fit(
    tokenizer: Tokenizer, prompt: Prompt, ids: list[int], room: int, where: str
) -> tuple[list[int], int, int]:
    """Token ids of an input that has to fit.

    Parameters
    ----------
    ids
        Of the whole input.
    room
        Tokens there are for it, at least one.
    where
        What an error calls the prompt.

    Returns
    -------
    ids, tokens cut from the text, exemplars left out

    Raises
    ------
    TemplateError
        If the instruction does not fit without any text.
    """
    if len(ids) <= room:
        return ids, 0, 0
    fewer = without_exemplars(tokenizer, prompt, room)
    dropped = len(prompt.exemplars) - len(fewer.exemplars)
    if dropped:
        ids = _ids(tokenizer, fewer.input)
    wording = fewer.wording
    if len(ids) <= room:
        return ids, 0, dropped
    if wording is None or wording.input() != fewer.input:
        return ids[-room:], len(ids) - room, dropped
    kept = _shortened(tokenizer, wording, len(ids), room, where)
    return kept, max(1, len(ids) - len(kept)), dropped


def without_exemplars(tokenizer: Tokenizer, prompt: Prompt, room: int) -> Prompt:
    """A prompt with as many exemplars as fit `room` tokens, whole, the last ones first."""
    own = prompt.input
    if prompt.exemplars:
        own = own[len(BREAK.join(prompt.exemplars)) + len(BREAK) :]
    for first in range(len(prompt.exemplars)):
        text = BREAK.join((*prompt.exemplars[first:], own))
        if len(_ids(tokenizer, text)) <= room:
            return replace(prompt, input=text, exemplars=prompt.exemplars[first:])
    return replace(prompt, input=own, exemplars=())


def _shortened(tokenizer: Tokenizer, wording: Wording, n: int, room: int, where: str) -> list[int]:
    """Ids of an input of `n` tokens, its longest fields cut until it has `room`."""
    fields = {name: text for name in wording.shown if (text := wording.fields.get(name))}
    sizes = dict(zip(fields, map(len, token_ids(tokenizer, [*fields.values()])), strict=True))
    fits, fails = -1, max(sizes.values(), default=0)
    level, step, kept = _level(sizes, n - room), 1, []
    while fails - fits > 1:  # first near the level that is right if parts add up
        level = min(max(level, fits + 1), fails - 1)
        shorter = {
            name: head(tokenizer, fields[name], level).rstrip()
            for name, size in sizes.items()
            if size > level
        }
        try:
            text = wording.input(**shorter)
        except language.FAILURES as error:
            raise TemplateError(f"{where}: cannot be phrased with less text: {error}") from None
        ids = _ids(tokenizer, text) if text else []
        n = len(ids)
        if 0 < n <= room:
            fits, kept, level = level, ids, level + step
        else:
            fails, level = level, level - step
        step *= 2
    if not kept:
        raise TemplateError(
            f"{where}: the instruction alone has {n} tokens, and there is room for {room}; raise"
            " the limit on input tokens, or use a shorter template or a model with a longer context"
        )
    return kept


def _level(sizes: Mapping[str, int], over: int) -> int:
    """The most tokens a field may keep so that together they lose `over`.

    Examples
    --------
    >>> _level({"passage": 90, "question": 10}, 40), _level({"a": 60, "b": 50}, 30)
    (50, 40)
    """
    level = max(sizes.values(), default=0)
    while level and sum(max(0, size - level) for size in sizes.values()) < over:
        level -= 1
    return level


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return token_ids(tokenizer, [text])[0]
