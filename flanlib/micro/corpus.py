"""Free-running text of the micro world: what the base models read.

Pages of facts, stories, reviews, dialogues, quizzes, glossaries, bilingual
lines and lists. The text has the world's knowledge and its ways of asking,
but no instruction template, no OPTIONS block and no evaluation example
(tests prove it). Answers are marked, so that pretraining may weight them.

Families come in phases: comparing two statements forms only when dense,
easy pages come first (see LOG.md).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from flanlib.micro import comparing, forms, reading  # noqa: F401  (they register their pages)
from flanlib.micro.qa_forms import PAGES
from flanlib.micro.world import world


@dataclass(frozen=True)
class Phase:
    """A stretch of pretraining.

    Attributes
    ----------
    shares
        Family of pages -> weight in the draw.
    rows
        Rows of text in one step; small steps form comparing sooner.
    """

    n_tokens: int
    answer_weight: float
    shares: dict[str, float]
    rows: int = 2


# fmt: off
READING = {
    "several": 0.08,     "truth": 0.09,    "unknown": 0.07,         "same": 0.09,
    "retrieve": 0.07,    "either": 0.09,   "right_sentence": 0.04,  "towns": 0.07,
    "creatures": 0.07,   "reviews": 0.06,  "causes": 0.05,          "tools": 0.03,
    "routines": 0.03,    "who": 0.05,      "bilingual": 0.07,       "dictionary": 0.02,
    "records": 0.05,     "news": 0.04,     "grammar": 0.03,         "asks_for": 0.02,
    "chat": 0.03,        "glossary": 0.02, "compose": 0.03,
}
# fmt: on
PHASES = (
    Phase(100_000, 16, {"ticks": 1}),
    Phase(600_000, 16, {"single": 0.75, "ticks": 0.25}),
    Phase(500_000, 16, {"single": 0.4, "several": 0.35, "retrieve": 0.15, "ticks": 0.1}),
    Phase(
        1_000_000,
        16,
        {
            "several": 0.22,
            "truth": 0.22,
            "unknown": 0.12,
            "same": 0.19,
            "retrieve": 0.15,
            "single": 0.1,
        },
    ),
    Phase(2_800_000, 8, READING, rows=4),
)


def documents(world_seed: int, seed: int, phase: Phase) -> Iterator[str]:
    """Endless pages of one phase, answers marked; pure in its arguments."""
    rng = random.Random(f"corpus {world_seed} {seed} {phase.n_tokens} {sorted(phase.shares)}")
    here = world(world_seed)
    names, shares = list(phase.shares), list(phase.shares.values())
    while True:
        yield PAGES[rng.choices(names, shares)[0]](rng, here)
