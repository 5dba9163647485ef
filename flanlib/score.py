"""Rank classification and generation over all prompts of a task.

Everything later questions need is in the tables returned: the summed
log-likelihood of each option with token and byte counts, or the text written
with its references. Choices and metrics are made from them elsewhere.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pandas as pd

from flanlib import encode
from flanlib.errors import TemplateError
from flanlib.scoring.generate import greedy
from flanlib.scoring.likelihood import Item, Work, likelihoods
from flanlib.scoring.opened import context_of
from flanlib.templates import Prompt

Progress = Callable[[int, int], None]
NULL_INPUT = "Answer:"
LOG = logging.getLogger(__name__)


def rank(
    lm: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    calibrate: bool = True,
    token_budget: int | None = None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
    progress: Progress | None = None,
    work: Work | None = None,
) -> pd.DataFrame:
    """Log-likelihood of every option of every prompt.

    Parameters
    ----------
    calibrate
        Also weigh the options after "Answer:" alone, for the PMI choice.
    token_budget
        Tokens in one forward pass; None fits the device.
    progress
        Called with tokens done and tokens in all.

    Returns
    -------
    one row per prompt and option
        `task, example, template, option` (index), `gold` (index), `ll`
        (nats, float64, sum over the option's tokens), `n_tokens`, `n_bytes`,
        `prompt_tokens`, `n_cut` (tokens cut from the prompt's left), and
        `ll_null` when calibrated.

    Raises
    ------
    TemplateError
        Naming task, template and row where a prompt has no options, an
        option has no tokens, or two options become the same tokens.
    RunError
        On a logit that is not finite.
    """
    items, cuts = items_of(tokenizer, prompts, context_of(lm), max_input_tokens)
    nulls = _null_items(tokenizer, prompts) if calibrate else {}
    values = likelihoods(
        lm, [*items, *nulls.values()], token_budget=token_budget, progress=progress, work=work
    )
    rows = [
        (p.task, p.example, p.template, k, p.gold, *row)
        for p, item, cut, found in zip(prompts, items, cuts, values, strict=False)
        for k, row in enumerate(_option_rows(p, item, cut, found))
    ]
    names = "task example template option gold ll n_tokens n_bytes prompt_tokens n_cut"
    table = pd.DataFrame(rows, columns=names.split())
    if calibrate:
        free = {key: values[len(prompts) + n] for n, key in enumerate(nulls)}
        table["ll_null"] = [ll for p in prompts for ll in free[p.separator, p.options]]
    return table


def _option_rows(prompt: Prompt, item: Item, cut: int, values: Any) -> Iterable[tuple]:
    for option, ids, ll in zip(prompt.options, item.options, values, strict=True):
        yield float(ll), len(ids), len(option.encode()), len(item.prompt_ids), cut


def _null_items(tokenizer: Any, prompts: Sequence[Prompt]) -> dict[tuple, Item]:
    """Options after a prompt that asks nothing, for calibration (PMI)."""
    asked = {(p.separator, p.options): p for p in prompts}
    bare = [replace(p, input=NULL_INPUT) for p in asked.values()]
    return dict(zip(asked, items_of(tokenizer, bare, None)[0], strict=True))


def items_of(
    tokenizer: Any,
    prompts: Sequence[Prompt],
    context: int | None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
) -> tuple[list[Item], list[int]]:
    """Prompts and options as token ids, and tokens cut from each prompt.

    Raises
    ------
    TemplateError
        If a prompt has fewer than two options.
    """
    borders = {s: encode.border(tokenizer, s) for s in {p.separator for p in prompts}}
    texts = {text for p in prompts for text in (p.input, *_written(p, borders))}
    ids = _ids(tokenizer, texts)
    begin = encode.begin_ids(tokenizer)
    items, cuts = [], []
    for p in prompts:
        where = encode.where_of(p)
        if len(p.options) < 2:
            raise TemplateError(f"{where}: {len(p.options)} options; ranking needs two or more")
        options = [ids[text] for text in _written(p, borders)]
        _check_options(where, p.options, options)
        longest = max(map(len, options))
        prompt_ids, cut = _fit(
            where,
            begin,
            ids[p.input],
            borders[p.separator][0],
            longest - 1,
            context,
            max_input_tokens,
        )
        items.append(Item(prompt_ids, options, where))
        cuts.append(cut)
    _tell_cuts([item.where for item in items], cuts)
    return items, cuts


def _written(prompt: Prompt, borders: Mapping[str, tuple[list[int], str]]) -> list[str]:
    """Options as they are tokenised: with what leads an answer in front."""
    return [borders[prompt.separator][1] + option if option else "" for option in prompt.options]


def _tell_cuts(places: Sequence[str], cuts: Sequence[int]) -> None:
    cut = [(where, n) for where, n in zip(places, cuts, strict=True) if n]
    if cut:
        where, n = cut[0]
        LOG.warning(
            "%d of %d prompts were cut on the left to fit; the first is %s, by %d tokens",
            *(len(cut), len(cuts), where, n),
        )


def _ids(tokenizer: Any, texts: set[str]) -> dict[str, list[int]]:
    """Token ids of distinct texts, in one call of the tokenizer."""
    ordered = list(texts)
    return dict(zip(ordered, encode.token_ids(tokenizer, ordered), strict=True))


def _check_options(where: str, texts: Sequence[str], options: list[list[int]]) -> None:
    seen: dict[tuple[int, ...], int] = {}
    for k, option in enumerate(options):
        if not option:
            raise TemplateError(f"{where}: option {k} ({texts[k]!r}) has no tokens")
        if (first := seen.setdefault(tuple(option), k)) != k:
            raise TemplateError(
                f"{where}: options {first} ({texts[first]!r}) and {k} ({texts[k]!r}) become the"
                " same tokens, so they cannot be ranked"
            )


def _fit(where, begin, source, between, after, context, max_input_tokens):
    """Prompt ids cut from the left of the input, and how many were cut."""
    room = max_input_tokens
    if context:
        room = min(room, context - after - len(begin) - len(between))
    if room < 1 or not source:
        found = "the input has no tokens" if not source else f"the answer needs {after + 1} tokens"
        raise TemplateError(f"{where}: {found}; the model's context is {context} tokens")
    kept = source[-room:]
    return [*begin, *kept, *between], len(source) - len(kept)


def longest_input(
    lm: Any, tokenizer: Any, prompts: Sequence[Prompt], max_new_tokens: int | None = None
) -> int:
    """Tokens of an input from which nothing has to be cut.

    Parameters
    ----------
    max_new_tokens
        Of a written answer; None where options are ranked.
    """
    context = context_of(lm)
    if not context:
        return encode.MAX_INPUT_TOKENS
    ids = _ids(tokenizer, {text for p in prompts for text in (p.separator, *p.options)})
    if max_new_tokens is None:
        after = max(len(ids[option]) for p in prompts for option in p.options) - 1
    else:
        after = _room_to_write(max_new_tokens, context)
    between = max(len(ids[p.separator]) for p in prompts)
    room = context - after - between - len(encode.begin_ids(tokenizer))
    return min(encode.MAX_INPUT_TOKENS, room)


def _room_to_write(max_new_tokens: int, context: int | None) -> int:
    """Tokens kept free for an answer: an eighth of the context at most."""
    return min(max_new_tokens, context // 8) if context else 0


def generate(
    lm: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = 256,
    stop: Literal["end", "newline"] = "end",
    token_budget: int | None = None,
    max_input_tokens: int = encode.MAX_INPUT_TOKENS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Greedy answers.

    Parameters
    ----------
    stop
        `end`: at the end token; `newline`: also at the first line break.

    Returns
    -------
    one row per prompt
        `task, example, template, prediction, references` (list of texts, or of
        lists of spans where an answer has several), `n_tokens`, `n_cut`.
    """
    context = context_of(lm)
    after = _room_to_write(max_new_tokens, context)
    borders = {s: encode.border(tokenizer, s) for s in {p.separator for p in prompts}}
    ids = _ids(tokenizer, {p.input for p in prompts})
    begin = encode.begin_ids(tokenizer)
    fitted = [
        _fit(
            encode.where_of(p),
            begin,
            ids[p.input],
            borders[p.separator][0],
            after,
            context,
            max_input_tokens,
        )
        for p in prompts
    ]
    _tell_cuts([encode.where_of(p) for p in prompts], [cut for _, cut in fitted])
    answers = greedy(
        lm,
        [prompt_ids for prompt_ids, _ in fitted],
        ends=_ends(tokenizer, stop),
        max_new_tokens=max_new_tokens,
        token_budget=token_budget,
        progress=progress,
    )
    predictions = [tokenizer.decode(ids, skip_special_tokens=True) for ids in answers]
    references = _references(prompts)
    rows = [
        (p.task, p.example, p.template, _cut(text, stop), known, len(answer), cut)
        for p, known, text, answer, (_, cut) in zip(
            prompts, references, predictions, answers, fitted, strict=True
        )
    ]
    names = "task example template prediction references n_tokens n_cut"
    return pd.DataFrame(rows, columns=names.split())


def _references(prompts: Sequence[Prompt]) -> list[list[str]] | list[list[list[str]]]:
    """References of one type for all, as a column of a file needs it."""
    if all(isinstance(r, str) for p in prompts for r in p.references):
        return [list(p.references) for p in prompts]
    return [[[r] if isinstance(r, str) else list(r) for r in p.references] for p in prompts]


def _cut(text: str, stop: str) -> str:
    return (text.split("\n", 1)[0] if stop == "newline" else text).strip()


def _ends(tokenizer: Any, stop: str) -> Callable[[int], bool]:
    known = {tokenizer.eos_token_id: True}

    def ends(token: int) -> bool:
        if token not in known:
            known[token] = stop == "newline" and "\n" in tokenizer.decode([token])
        return known[token]

    return ends


def loglikelihoods(
    lm: Any,
    tokenizer: Any,
    requests: Iterable[tuple[str, Sequence[str]]],
    *,
    option_prefix: str = "\n",
    names: Sequence[str] = (),
    token_budget: int | None = None,
    progress: Progress | None = None,
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
    texts = {t for text, options in requests for t in (text, *(option_prefix + o for o in options))}
    ids = _ids(tokenizer, texts)
    begin, context = encode.begin_ids(tokenizer), context_of(lm)
    items, cuts = [], []
    for where, (text, options) in zip(names, requests, strict=True):
        chosen = [ids[option_prefix + option] for option in options]
        _check_options(where, options, chosen)
        longest = max(map(len, chosen))
        prompt_ids, cut = _fit(where, begin, ids[text], [], longest - 1, context, 10**9)
        items.append(Item(prompt_ids, chosen, where))
        cuts.append(cut)
    _tell_cuts(names, cuts)
    values = likelihoods(lm, items, token_budget=token_budget, progress=progress)
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
