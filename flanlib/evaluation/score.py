"""Rank classification and generation over all prompts of a task.

Everything later questions need is in the tables returned: the summed
log-likelihood of each option with token and byte counts, or the text written
with its references. Choices and metrics are made from them elsewhere.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Literal

import pandas as pd

from flanlib.core.errors import TemplateError
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.core.tokens import n_unknown, text_of, token_ids
from flanlib.evaluation.backbone import context_of
from flanlib.evaluation.generate import end_ids, greedy
from flanlib.evaluation.likelihood import Item, Work, likelihoods
from flanlib.models import encode
from flanlib.prompts.prompt import Prompt

NULL_INPUT = "Answer:"


def rank(
    lm: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    calibrate: bool = True,
    token_budget: int | None = None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
    work: Work | None = None,
) -> pd.DataFrame:
    """Log-likelihood of every option of every prompt.

    Parameters
    ----------
    calibrate
        Also weigh the options after "Answer:" alone, for the PMI choice.

    Returns
    -------
    one row per prompt and option
        `task, example, template, option` (index), `gold` (index), `ll`
        (nats, float64, sum over the option's tokens), `n_tokens`, `n_bytes`,
        `prompt_tokens`, `n_cut` (tokens cut from the prompt's text), and
        `ll_null` when calibrated.

    Raises
    ------
    TemplateError
        Naming task, template and row where a prompt has no options, an
        option has no tokens, two options become the same tokens, or an
        instruction alone is too long.
    RunError
        On a logit that is not finite.
    """
    items, read = items_of(tokenizer, prompts, context_of(lm), max_input_tokens)
    encode.tell([item.where for item in items], read)
    nulls = _null_items(tokenizer, prompts) if calibrate else {}
    values = likelihoods(lm, [*items, *nulls.values()], token_budget=token_budget, work=work)
    rows = [
        (p.task, p.example, p.template, k, p.gold, *row)
        for p, item, one, found in zip(prompts, items, read, values, strict=False)
        for k, row in enumerate(_option_rows(p, item, one.n_cut, found))
    ]
    names = "task example template option gold ll n_tokens n_bytes prompt_tokens n_cut"
    table = pd.DataFrame(rows, columns=names.split())
    if calibrate:
        free = {key: values[len(prompts) + n] for n, key in enumerate(nulls)}
        table["ll_null"] = [ll for p in prompts for ll in free[p.separator, p.options]]
    return table


def _option_rows(prompt: Prompt, item: Item, cut: int, values: Sequence[float]) -> Iterable[tuple]:
    for option, ids, ll in zip(prompt.options, item.options, values, strict=True):
        yield float(ll), len(ids), len(option.encode()), len(item.prompt_ids), cut


def _null_items(tokenizer: Tokenizer, prompts: Sequence[Prompt]) -> dict[tuple, Item]:
    """Options after a prompt that asks nothing, for calibration (PMI)."""
    asked = {(p.separator, p.options): p for p in prompts}
    bare = [replace(p, input=NULL_INPUT, exemplars=(), wording=None) for p in asked.values()]
    return dict(zip(asked, items_of(tokenizer, bare, None)[0], strict=True))


def items_of(
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    context: int | None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
) -> tuple[list[Item], list[encode.Encoded]]:
    """Prompts and options as token ids, and what became of each prompt.

    Raises
    ------
    TemplateError
        If a prompt has fewer than two options, or what `rank` says.
    """
    leads = {s: encode.border(tokenizer, s)[1] for s in {p.separator for p in prompts}}
    written = [tuple(leads[p.separator] + option for option in p.options) for p in prompts]
    names = [encode.where_of(p) for p in prompts]
    for p, where in zip(prompts, names, strict=True):
        if len(p.options) < 2:
            raise TemplateError(f"{where}: {len(p.options)} options; ranking needs two or more")
    return _items(tokenizer, prompts, written, names, context, max_input_tokens)


def _items(
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    written: Sequence[Sequence[str]],
    names: Sequence[str],
    context: int | None,
    max_input_tokens: int,
) -> tuple[list[Item], list[encode.Encoded]]:
    """Items of prompts and of their options as they are tokenised."""
    texts = list({text for options in written for text in options})
    ids = dict(zip(texts, token_ids(tokenizer, texts), strict=True))
    chosen = [[ids[text] for text in options] for options in written]
    for p, where, options in zip(prompts, names, chosen, strict=True):
        _check_options(where, p.options, options)
    read = encode.inputs(
        tokenizer,
        prompts,
        [max(map(len, options)) for options in chosen],
        last_is_read=False,
        max_input_tokens=max_input_tokens,
        context=context,
        needs="the answer needs {} tokens",
        names=names,
    )
    items, found = [], []
    for where, p, one, options in zip(names, prompts, read, chosen, strict=True):
        unknown = one.n_unknown + sum(map(partial(n_unknown, tokenizer), p.options, options))
        items.append(Item(one.prompt_ids, options, where))
        found.append(replace(one, n_unknown=unknown))
    return items, found


def _check_options(where: str, texts: Sequence[str], options: list[list[int]]) -> None:
    seen: dict[tuple[int, ...], int] = {}
    for k, option in enumerate(options):
        if not option or not texts[k]:
            raise TemplateError(f"{where}: option {k} ({texts[k]!r}) has no tokens")
        if (first := seen.setdefault(tuple(option), k)) != k:
            raise TemplateError(
                f"{where}: options {first} ({texts[first]!r}) and {k} ({texts[k]!r}) become the"
                " same tokens, so they cannot be ranked"
            )


def generate(
    lm: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = 256,
    stop: Literal["end", "newline"] = "end",
    token_budget: int | None = None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
) -> pd.DataFrame:
    """Greedy answers.

    Parameters
    ----------
    stop
        `end`: at an end token of the tokenizer or of the model; `newline`: also
        at the first line feed. What stands before it in the same token is
        kept, and an answer that begins with one is empty, as in the paper.
        No other character ends a line: `\\r\\n` does by its line feed.

    Returns
    -------
    one row per prompt
        `task, example, template, prediction, references` (list of texts, or of
        lists of spans where an answer has several), `n_tokens` (of the answer,
        without what only ended it), `n_cut`.
    """
    context, ends = context_of(lm), end_ids(lm, tokenizer)
    after = min(max_new_tokens, context // 8) if context else 0
    names = [encode.where_of(p) for p in prompts]
    read = encode.inputs(
        tokenizer,
        prompts,
        [after] * len(prompts),
        max_input_tokens=max_input_tokens,
        context=context,
        names=names,
    )
    encode.tell(names, read)
    before = _before_break(tokenizer) if stop == "newline" else lambda token: None
    answers = greedy(
        lm,
        [one.prompt_ids for one in read],
        ends=lambda token: token in ends or before(token) == "",
        last=lambda token: bool(before(token)),
        max_new_tokens=max_new_tokens,
        token_budget=token_budget,
    )
    texts = [text_of(tokenizer, answer) for answer in answers]
    if stop == "newline":
        texts = [text.split("\n", 1)[0] for text in texts]
    references = _references(prompts)
    rows = [
        (p.task, p.example, p.template, text.strip(), known, len(answer), one.n_cut)
        for p, known, text, answer, one in zip(
            prompts, references, texts, answers, read, strict=True
        )
    ]
    names = "task example template prediction references n_tokens n_cut"
    return pd.DataFrame(rows, columns=names.split())


def _references(prompts: Sequence[Prompt]) -> list[list[str]] | list[list[list[str]]]:
    """References of one type for all, as a column of a file needs it."""
    if all(isinstance(r, str) for p in prompts for r in p.references):
        return [list(p.references) for p in prompts]
    return [[[r] if isinstance(r, str) else list(r) for r in p.references] for p in prompts]


def _before_break(tokenizer: Tokenizer) -> Callable[[int], str | None]:
    """What a token shows before the line feed in it; None where it has none."""

    @cache
    def before(token: int) -> str | None:
        text, feed, _ = text_of(tokenizer, [token]).partition("\n")
        return text.strip() if feed else None

    return before


def loglikelihoods(
    lm: LanguageModel,
    tokenizer: Tokenizer,
    requests: Iterable[tuple[str, Sequence[str]]],
    *,
    option_prefix: str = "\n",
    names: Sequence[str] = (),
    token_budget: int | None = None,
) -> list[list[dict[str, float]]]:
    """Scores of `option_prefix + option` after ready-made inputs.

    The option with its prefix is tokenised apart from the input, and all its
    tokens count.

    Parameters
    ----------
    requests
        (input, options), one for each prompt.
    names
        What errors call each request.

    Returns
    -------
    per request, per option: `ll` (nats), `n_tokens`, `n_bytes`
    """
    requests = list(requests)
    names = names or [f"prompt {n}" for n in range(len(requests))]
    prompts = [replace(encode.ready_made(text, "", ""), options=o) for text, o in requests]
    written = [[option_prefix + option for option in options] for _, options in requests]
    items, read = _items(tokenizer, prompts, written, names, context_of(lm), sys.maxsize)
    encode.tell(names, read)
    values = likelihoods(lm, items, token_budget=token_budget)
    return [
        [
            {
                "ll": float(v),
                "n_tokens": len(ids),
                "n_bytes": len((option_prefix + option).encode()),
            }
            for v, ids, option in zip(found, item.options, options, strict=True)
        ]
        for found, item, (_, options) in zip(values, items, requests, strict=True)
    ]
