"""A small controlled world, drawn by seed: people, places, tastes, causes.

Everything `micro` shows a model, in pretraining, tuning or evaluation, is
said about this world. The word lists are fixed; the seed decides what is
true (which town makes wool) and which people, towns, creatures, causes and
schemas are kept for evaluation only. World 0 is for development; world 1 is
the one reported.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from flanlib.micro.lexicon import (
    BLIK_WORDS,
    COLOURS,
    COUNTRIES,
    ENTITIES,
    KINDS,
    MEN,
    OBJECTS,
    RELATIONS,
    TOWNS,
    WOMEN,
)

DEVELOPMENT, REPORTED = 0, 1
Side = Literal["tuning", "evaluation"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that holds of one person.

    Attributes
    ----------
    kind
        Key of `lexicon.KINDS`.
    who
        Name of the person.
    value
        One of the kind's values.
    """

    kind: str
    who: str
    value: str

    def say(self, form: int = 0) -> str:
        """A statement; `form` counts wordings of the same meaning from 0."""
        return KINDS[self.kind].say[form].format(p=self.who, v=self.value)

    def wh(self, form: int = 0) -> str:
        """The open question whose answer is the value, in the wording `form`."""
        return KINDS[self.kind].wh[form].format(p=self.who)

    def yn(self, form: int = 0) -> str:
        """The yes/no question whether this fact holds, in the wording `form`."""
        return KINDS[self.kind].yn[form].format(p=self.who, v=self.value)

    def but(self, value: str) -> "Fact":
        """The same fact with another value."""
        return Fact(self.kind, self.who, value)


@dataclass(frozen=True)
class World:
    """What is true in one world, and what is kept for evaluation.

    Attributes
    ----------
    facts_of
        Subject -> relation -> value, for towns and creatures.
    blik
        English word -> word of the toy language blik.
    evaluation
        Name of a list -> its members that tuning never sees.
    """

    seed: int
    facts_of: dict[str, dict[str, str]]
    blik: dict[str, str]
    evaluation: dict[str, frozenset[str]]

    def of(self, what: str, side: Side) -> list[str]:
        """Members of an entity list on one side of the split."""
        kept = self.evaluation[what]
        return [m for m in ENTITIES[what] if (m in kept) == (side == "evaluation")]

    def to_blik(self, fact: Fact) -> str:
        """A fact in blik: verb first, adjective after its noun."""
        words = fact.value.split()[::-1]
        return " ".join((self.blik[fact.kind], fact.who, *(self.blik[w] for w in words)))


@cache
def world(seed: int) -> World:
    """The world of a seed; a pure function of it."""
    rng = random.Random(f"world {seed}")
    facts: dict[str, dict[str, str]] = {}
    for what, relations in RELATIONS.items():
        for relation, values in relations.items():
            subjects = list(ENTITIES[what])
            rng.shuffle(subjects)
            for i, subject in enumerate(subjects):  # every value equally often
                facts.setdefault(subject, {})[relation] = values[i % len(values)]
    kept = {
        what: frozenset(
            rng.sample(members, len(members) // 2 if len(members) < 30 else len(members) * 2 // 5)
        )
        for what, members in ENTITIES.items()
    }
    return World(seed=seed, facts_of=facts, blik=_lexicon(rng), evaluation=kept)


def _lexicon(rng: random.Random) -> dict[str, str]:
    syllables = [c + v for c in "bdgklmnprstvz" for v in "aiou"]
    made: list[str] = []
    taken = {*TOWNS, *COUNTRIES, *MEN, *WOMEN}
    while len(made) < len(BLIK_WORDS):
        word = "".join(rng.choice(syllables) for _ in range(2)) + rng.choice("klmnrst")
        if word not in taken:
            taken.add(word)
            made.append(word)
    return dict(zip(BLIK_WORDS, made, strict=True))


def pick_facts(
    rng: random.Random, people: Sequence[str], n: int, kinds: Sequence[str] = tuple(KINDS)
) -> list[Fact]:
    """Facts about people, each with its own value, no (kind, person) twice.

    Parameters
    ----------
    n
        At most; fewer where people and kinds do not give as many.
    kinds
        Keys of `lexicon.KINDS` to draw from.
    """
    pairs = [(kind, who) for kind in kinds for who in people]
    found: list[Fact] = []
    used: set[str] = set()
    for kind, who in rng.sample(pairs, min(n, len(pairs))):
        free = [v for v in KINDS[kind].values if used.isdisjoint(v.split())]
        value = rng.choice(free)
        used.update(value.split())
        found.append(Fact(kind, who, value))
    return found


def other_value(rng: random.Random, fact: Fact, facts: Sequence[Fact]) -> str:
    """A value of the fact's kind, no word of which occurs in `facts`."""
    used = {w for f in facts for w in f.value.split()}
    if fact.kind == "have" and rng.random() < 0.4:  # change one of its two words
        colour, thing = fact.value.split()
        if rng.random() < 0.5:
            colour = rng.choice([c for c in COLOURS if c not in used])
        else:
            thing = rng.choice([o for o in OBJECTS if o not in used])
        return f"{colour} {thing}"
    return rng.choice([v for v in KINDS[fact.kind].values if used.isdisjoint(v.split())])
