"""What a dataset's row is made from: a world, one side of it, a generator."""

import random
from collections.abc import Callable
from typing import Any, Literal

from flanlib.micro.lexicon import KINDS
from flanlib.micro.world import Side, World, other_value, pick_facts

Row = dict[str, Any]
Maker = Callable[["Draw"], Row]
TASKS: dict[str, Maker] = {}


class Draw:
    """A world, one side of it, and a generator: what a row is made from.

    Parameters
    ----------
    side
        Whose people, towns and the like may occur: `tuning` or `evaluation`.
    index
        Number of the row, from 0; what alternates goes by it.
    """

    def __init__(self, rng: random.Random, here: World, side: Side, index: int):
        self.rng, self.here, self.side, self.index = rng, here, side, index

    def of(self, what: str) -> list[str]:
        """Members of an entity list on this side."""
        return self.here.of(what, self.side)

    def turn(self, items: list):
        """The items one after another, row by row.

        Parameters
        ----------
        items
            Any list; the choice goes by the row's number, not by chance.
        """
        return items[self.index % len(items)]

    def coin(self) -> bool:
        """Heads or tails; exactly even over two rows."""
        return self.index % 2 == 0

    def people(self, n: int) -> list[str]:
        """Different people of this side."""
        return self.rng.sample(self.of("men") + self.of("women"), n)

    def facts(self, n: int, n_people: int = 1) -> list:
        """Facts about people of this side, each with its own value."""
        return pick_facts(self.rng, self.people(n_people), n)

    def text(self, facts) -> str:
        """The facts as a passage."""
        return " ".join(f.say(self.rng.randrange(3)) + "." for f in facts)


def task(function: Maker) -> Maker:
    """Register a row maker under the task's key."""
    TASKS[function.__name__] = function
    return function


def shuffled(draw: Draw, right: str, wrong: list[str]) -> Row:
    """Columns a, b, ... with the options, and label."""
    options = [right, *wrong]
    draw.rng.shuffle(options)
    return {**dict(zip("abcdef", options, strict=False)), "label": options.index(right)}


def wrong_values(draw: Draw, fact, facts, n: int) -> list[str]:
    """Different values of the kind of a fact, none of them in `facts`."""
    found: list[str] = []
    while len(found) < n:
        value = other_value(draw.rng, fact, facts)
        if value not in found:
            found.append(value)
    return found


def statement(draw: Draw, facts, truth: Literal["yes", "maybe", "no"]):
    """A statement about the first person of `facts` that holds, may, or does not.

    Where the `truth` is `maybe`, the passage leaves open what it says.
    """
    fact = draw.rng.choice([f for f in facts if f.who == facts[0].who])
    if truth == "no":
        return fact.but(other_value(draw.rng, fact, facts))
    if truth == "maybe":
        kinds = [k for k in KINDS if all(f.kind != k for f in facts)]
        return pick_facts(draw.rng, [fact.who], 1, kinds)[0]
    return fact
