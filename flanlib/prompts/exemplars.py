"""Few-shot prompts: solved train examples in front, in the same template.

Labels take turns where there are labels. Exemplars are dropped from the left
until the input fits, so that no prompt has to be cut.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from flanlib import encode, sources, templates
from flanlib.catalogue import Catalogue, Task
from flanlib.errors import MissingResultError
from flanlib.prompts.stream import few_shot
from flanlib.rows.adapters import Example
from flanlib.templates import Prompt, Template

FEW_SHOT_TOKENS = 960
POOL = 2_000


def exemplified(
    catalogue: Catalogue,
    task: Task,
    prompts: Sequence[Prompt],
    wording: Sequence[Template],
    *,
    shots: int,
    seed: int,
    show_options: bool,
    tokenizer: Any,
    rows: str | Path | None,
    longest: int = FEW_SHOT_TOKENS,
) -> list[Prompt]:
    """Prompts with solved examples in front.

    Parameters
    ----------
    wording
        The templates that the prompts are written in.
    shots
        Exemplars in front of each prompt, fewer where they do not fit.
    seed
        Of the draw; which exemplars a prompt gets depends on its example
        alone, so that all its templates show the same.
    longest
        Tokens that an input may have.

    Raises
    ------
    MissingResultError
        If there are no train rows to take exemplars from.

    Source
    ------
    Wei et al. 2022, section 4.3: as many exemplars as fit 960 tokens.
    """
    pool = list(islice(sources.examples(catalogue, task, "train", rows=rows), POOL))
    if not pool:
        raise MissingResultError(f"task {task.key}: no train rows to take exemplars from")
    by_id = {template.id: template for template in wording}
    found = []
    for prompt in prompts:
        rng = random.Random(f"{seed}/{task.key}/{prompt.example}")
        solved = [
            templates.render(
                one, by_id[prompt.template], show_options=show_options, separator=prompt.separator
            )
            for one in _drawn(pool, shots, rng)
        ]
        found.append(_fitted(prompt, solved, tokenizer, longest))
    return found


def _drawn(pool: Sequence[Example], n: int, rng: random.Random) -> list[Example]:
    """`n` examples in random order, labels as evenly as they go."""
    labels: dict[str, list[Example]] = {}
    for one in rng.sample(pool, len(pool)):
        labels.setdefault(one.answers[0] if one.gold is not None else "", []).append(one)
    turns = [
        one for column in _turns(rng.sample(list(labels.values()), len(labels))) for one in column
    ]
    return rng.sample(turns[:n], min(n, len(turns)))


def _turns(groups: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """First of each group, second of each, and so on until all are empty."""
    for place in range(max(map(len, groups))):
        yield [group[place] for group in groups if place < len(group)]


def _fitted(prompt: Prompt, solved: Sequence[Prompt], tokenizer: Any, longest: int) -> Prompt:
    for first in range(len(solved)):
        found = few_shot(prompt, solved[first:])
        if len(encode.token_ids(tokenizer, [found.input])[0]) <= longest:
            return found
    return prompt
