"""The datasets of the micro world: rows by task and split.

`train` and `dev` speak of people, towns, creatures, causes and schemas of
the tuning side only, `eval` of those kept for evaluation.
"""

import random
from collections.abc import Iterator
from typing import Literal

from flanlib.core.errors import ParameterError
from flanlib.micro import producing, understanding  # noqa: F401  (they register their tasks)
from flanlib.micro.draw import TASKS, Draw, Row
from flanlib.micro.world import REPORTED, Side, world

N_ROWS = {"train": 1000, "dev": 60, "eval": 120}


def rows(
    key: str,
    split: Literal["train", "dev", "eval"],
    world_seed: int = REPORTED,
    n: int | None = None,
) -> Iterator[Row]:
    """Rows of a task: a pure function of the arguments, no row twice.

    Raises
    ------
    ParameterError
        If there is no such task or split.
    """
    if key not in TASKS or split not in N_ROWS:
        raise ParameterError(
            f"micro: no task {key!r} with split {split!r}; there are {', '.join(TASKS)}"
            f" with {', '.join(N_ROWS)}"
        )
    side: Side = "evaluation" if split == "eval" else "tuning"
    rng = random.Random(f"{key} {split} {world_seed}")
    here, seen, made, wanted = world(world_seed), set(), 0, n or N_ROWS[split]
    for index in range(4 * wanted):
        row = TASKS[key](Draw(rng, here, side, index))
        text = repr(row)
        if text in seen:
            continue
        seen.add(text)
        row.setdefault("group", str(index))
        yield {"id": f"{split}-{made}", **row}
        made += 1
        if made == wanted:
            return
