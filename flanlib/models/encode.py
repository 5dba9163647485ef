"""Prompts and targets as token ids: one way for tuning and scoring.

Input, separator and target are tokenised apart, so that no token straddles
the border between what is read and what is written. Each side is truncated
apart, and what was cut is counted: an input as `truncation` says, a target at
its end.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from reprlib import repr as shortened
from weakref import WeakKeyDictionary

from flanlib.core.errors import ParameterError, TemplateError
from flanlib.core.protocols import Tokenizer
from flanlib.core.tokens import begin_ids, n_unknown, token_ids
from flanlib.models import truncation
from flanlib.prompts.prompt import SEPARATOR, Prompt

MAX_INPUT_TOKENS = 1024
MAX_TARGET_TOKENS = 256
GIVES_WAY = 2  # times the limit that an instruction may have which does not fit it
LOG = logging.getLogger(__name__)
_REQUEST = "A request"  # stands for one while a chat template is read
_SPACED: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one prompt and one target.

    Attributes
    ----------
    prompt_ids
        Begin token (if the tokenizer puts one), input, separator; or the
        input inside the chat template.
    target_ids
        Target without end token.
    n_cut
        Tokens cut from the text of the input and the right of the target.
    n_cut_target
        Those of them that the target lost.
    n_dropped
        Exemplars left out because they did not fit.
    n_unknown
        Tokens that stand for text which the tokenizer has no token for.
    """

    prompt_ids: list[int]
    target_ids: list[int]
    n_cut: int = 0
    n_cut_target: int = 0
    n_dropped: int = 0
    n_unknown: int = 0


def border(tokenizer: Tokenizer, separator: str) -> tuple[list[int], str]:
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


def chat_frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Token ids that a model's own chat template puts before and after a request.

    Parameters
    ----------
    tokenizer
        Whose chat template is meant. Its control tokens are read as such; the
        request itself is text like any other.

    Raises
    ------
    ParameterError
        If the tokenizer has no chat template, or it changes the request.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ParameterError(
            "chat: the model's tokenizer has no chat template; ask without chat, or give a model"
            " that was tuned on chats"
        )
    message = [{"role": "user", "content": _REQUEST}]
    text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    parts = text.split(_REQUEST)
    if len(parts) != 2:
        raise ParameterError(
            f"chat: the model's chat template shows a request {len(parts) - 1} times; once is wanted"
        )
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts)
    return before, after


def encode_many(
    tokenizer: Tokenizer,
    prompts: Iterable[Prompt],
    *,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    max_target_tokens: int = MAX_TARGET_TOKENS,
    context: int | None = None,
) -> list[Encoded]:
    """Token ids of each prompt and its target, tokenised apart.

    Parameters
    ----------
    max_input_tokens, max_target_tokens
        Each side is cut to these; the input further where the model's
        context asks for it. Where the template's own words and the options
        need more, an input may have twice as many.
    context
        Positions the model has for prompt and target; None for no limit.

    Raises
    ------
    TemplateError
        If input or target become no tokens, the target leaves no room for an
        input, or the instruction alone is too long.
    """
    prompts = list(prompts)
    leads = {s: border(tokenizer, s)[1] for s in {p.separator for p in prompts}}
    answers = token_ids(tokenizer, [leads[p.separator] + p.target for p in prompts])
    for p, answer in zip(prompts, answers, strict=True):
        if not (p.target and answer):
            raise TemplateError(f"{where_of(p)}: target has no tokens")
    read = inputs(
        tokenizer,
        prompts,
        [min(len(answer), max_target_tokens) for answer in answers],
        max_input_tokens=max_input_tokens,
        context=context,
        needs="a target of {} tokens leaves no room for an input; lower max_target_tokens",
    )
    found = []
    for p, one, answer in zip(prompts, read, answers, strict=True):
        lost = max(0, len(answer) - max_target_tokens)
        unknown = one.n_unknown + n_unknown(tokenizer, p.target, answer)
        written = answer[:max_target_tokens]
        found.append(
            Encoded(one.prompt_ids, written, one.n_cut + lost, lost, one.n_dropped, unknown)
        )
    return found


def inputs(
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    after: Sequence[int],
    *,
    max_input_tokens: int = MAX_INPUT_TOKENS,
    context: int | None = None,
    last_is_read: bool = True,
    needs: str = "an answer of {} tokens leaves no room for an input",
    names: Sequence[str] = (),
) -> list[Encoded]:
    """Prompts without their targets, each shortened where it has to be.

    Parameters
    ----------
    after
        Tokens that come after each prompt.
    last_is_read
        Whether the last of them has to fit as well.
    needs
        What an error says where they leave no room.
    names
        What errors call each prompt; empty says where it comes from.

    Raises
    ------
    TemplateError
        If an input becomes no tokens, or does not fit.
    """
    frames = {
        key: chat_frame(tokenizer)
        if key[0]
        else (begin_ids(tokenizer), border(tokenizer, key[1])[0])
        for key in {(p.chat, p.separator) for p in prompts}
    }
    found = []
    for n, ids in enumerate(token_ids(tokenizer, [p.input for p in prompts])):
        p = prompts[n]
        begin, between = frames[p.chat, p.separator]
        cut = dropped = 0
        # The second limit is for words and options that the first has no room for.
        limits = [max_input_tokens, GIVES_WAY * max_input_tokens]
        if context is not None:
            beside = len(begin) + len(between) + after[n] - (not last_is_read)
            limits = [min(limit, context - beside) for limit in limits]
        room = limits[0]
        if not ids or len(ids) > room:
            where = names[n] if names else where_of(p)
            if not ids:
                raise TemplateError(f"{where}: input has no tokens")
            if room < 1:
                raise TemplateError(
                    f"{where}: {needs.format(after[n])}; the model's context is {context} tokens"
                )
            ids, cut, dropped = _fitted(tokenizer, p, ids, limits, where)
        unknown = n_unknown(tokenizer, p.input, ids)
        found.append(Encoded([*begin, *ids, *between], [], cut, 0, dropped, unknown))
    return found


def _fitted(
    tokenizer: Tokenizer, prompt: Prompt, ids: list[int], limits: Sequence[int], where: str
) -> tuple[list[int], int, int]:
    """An input in the smallest limit that its instruction fits; see `truncation.fit`."""
    for limit in sorted(set(limits)):
        try:
            return truncation.fit(tokenizer, prompt, ids, limit, where)
        except TemplateError as error:
            last = error
    raise last


def tell(places: Sequence[str], found: Sequence[Encoded]) -> None:
    """Warn of what prompts lost, a line for each kind of loss; `places` are their names."""
    for name, what in (
        ("n_cut", "were cut to fit; the first is %s, by %d tokens"),
        ("n_dropped", "show fewer exemplars, to fit; the first is %s, without %d"),
        ("n_unknown", "hold what the tokenizer has no token for; the first is %s, %d times"),
    ):
        lost = [(p, n) for p, e in zip(places, found, strict=True) if (n := getattr(e, name))]
        if lost:
            LOG.warning(f"%d of %d prompts {what}", len(lost), len(found), *lost[0])


def ready_made(text: str, target: str = "", separator: str = SEPARATOR) -> Prompt:
    """A prompt of which nothing is known but its text, and its `target` if there is one."""
    return Prompt(text, target, (), None, (), "", "", "", separator=separator)


def where_of(prompt: Prompt) -> str:
    """Where a prompt comes from, for messages."""
    if not prompt.task:
        return f"input {shortened(prompt.input)}"
    return f"task {prompt.task}, template {prompt.template!r}, example {prompt.example}"
