"""Few-shot prompts: solved train examples in front, in the same template.

Labels take turns where there are labels. A prompt shows as many exemplars as
fit, so that it need not be cut.
"""

import logging
import random
from collections.abc import Sequence
from itertools import islice, zip_longest

from flanlib.core.config import Recipe, Scoring
from flanlib.core.errors import MissingResultError
from flanlib.core.protocols import Tokenizer
from flanlib.data import sources
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.evaluation import requests
from flanlib.models import truncation
from flanlib.prompts import templates
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.stream import few_shot

FEW_SHOT_TOKENS = 960
POOL = 2_000
LOG = logging.getLogger(__name__)


def prompts_of(
    catalogue: Catalogue,
    task: Task,
    examples: Sequence[Example],
    scoring: Scoring,
    recipe: Recipe,
    *,
    tokenizer: Tokenizer,
    rows: Rows,
    seed: int = 0,
) -> list[Prompt]:
    """What a model is asked about examples, the same for study and command line.

    Parameters
    ----------
    recipe
        Whose limits the prompts have to fit.
    seed
        Of the draw; which exemplars a prompt gets depends on its example
        alone, so that all its templates show the same.

    Raises
    ------
    TemplateError
        If there is no template that can be scored.
    MissingResultError
        If exemplars are wanted and there are no train rows.

    Source
    ------
    Wei et al. 2022, section 4.3: as many exemplars as fit 960 tokens.
    """
    wording = requests.templates_for(catalogue, task, scoring)
    prompts = list(requests.prompts_of(examples, wording, scoring))
    shots, longest = scoring.shots, min(recipe.max_input_tokens, FEW_SHOT_TOKENS)
    if not shots:
        return prompts
    pool = list(islice(sources.examples(catalogue, task, "train", rows=rows), POOL))
    if not pool:
        raise MissingResultError(f"task {task.key}: no train rows to take exemplars from")
    by_id = {template.id: template for template in wording}
    found, fewer = [], 0
    for prompt in prompts:
        rng = random.Random(f"{seed}/{task.key}/{prompt.example}")
        solved = [
            templates.render(
                one,
                by_id[prompt.template],
                show_options=scoring.show_options,
                separator=prompt.separator,
            )
            for one in _drawn(pool, shots, rng)
        ]
        found.append(truncation.without_exemplars(tokenizer, few_shot(prompt, solved), longest))
        fewer += len(found[-1].exemplars) < shots
    few = len(pool) < shots
    why = f"train has {len(pool)} examples" if few else f"more do not fit {longest} tokens"
    if fewer:
        LOG.warning(
            "task %s: %d of %d prompts show fewer than %d exemplars, as %s",
            task.key,
            fewer,
            len(found),
            shots,
            why,
        )
    return found


def _drawn(pool: Sequence[Example], n: int, rng: random.Random) -> list[Example]:
    """`n` examples in random order, labels as evenly as they go."""
    labels: dict[str, list[Example]] = {}
    for one in rng.sample(pool, len(pool)):
        labels.setdefault(one.answers[0] if one.gold is not None else "", []).append(one)
    columns = zip_longest(*rng.sample(list(labels.values()), len(labels)))
    turns = [one for column in columns for one in column if one is not None]
    return rng.sample(turns[:n], min(n, len(turns)))
