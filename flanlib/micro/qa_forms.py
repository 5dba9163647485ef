"""Ways of asking, and what the pages of the corpus have in common."""

import random
import re
from collections.abc import Callable

from flanlib.micro.lexicon import MEN, WOMEN
from flanlib.micro.world import World, pick_facts

OPEN, CLOSE = "\x02", "\x03"
MARKS = re.compile(f"[{OPEN}{CLOSE}]")
PEOPLE = (*MEN, *WOMEN)
Page = Callable[[random.Random, World], str]
PAGES: dict[str, Page] = {}


def page(function: Page) -> Page:
    """Register a family of pages under its function's name."""
    PAGES[function.__name__] = function
    return function


def plain(text: str) -> str:
    """A page without its answer marks."""
    return MARKS.sub("", text)


ASKING = (
    "{q}?{a}.",
    "question: {q}? answer:{a}.",
    "q: {q}? a:{a}.",
    "{q}?\n{n}",
    "{q}?\n{n}.",
    "{x} asks: {q}? {y} says:{a}.",
    "{x}: {q}?\n{y}:{a}.",
    "tell me, {q}?{a}.",
    "{q}? the answer is{a}.",
    "if you ask me, {q}?\n{n}",
)


def asker(rng: random.Random, p_bare: float = 0.0) -> Callable[[str, str], str]:
    """One way of asking, kept for a whole page; the barest with `p_bare`."""
    form = ASKING[0] if rng.random() < p_bare else rng.choice(ASKING)
    x, y = rng.sample(PEOPLE, 2)

    def ask(question: str, answer: str) -> str:
        return form.format(
            q=question, a=f"{OPEN} {answer}{CLOSE}", n=f"{OPEN}{answer}{CLOSE}", x=x, y=y
        )

    return ask


CHOOSING = (
    "{q}, {o}",
    "{q}? is it {o}",
    "which is right: {o}? i mean, {q}",
    "{q}? say {o}",
    "{o}: {q}",
    "{q}? one of these: {o}",
    "{q}? here are some ideas: {o}",
)


def choosing(rng: random.Random, question: str, right: str, wrong: list[str]) -> str:
    """A question that names its possible answers in passing."""
    options = [right, *wrong]
    rng.shuffle(options)
    listed = ", ".join(options[:-1]) + " or " + options[-1]
    return rng.choice(CHOOSING).format(q=question, o=listed)


def offered(
    rng: random.Random, question: str, right: str, wrong: list[str], p: float = 0.35
) -> str:
    """The question, with its possible answers named in a share `p` of cases."""
    return choosing(rng, question, right, wrong) if rng.random() < p else question


def lines_of(rng: random.Random, sentences: list[str]) -> str:
    """A page of `sentences`, their full stops put, each on a line of its own or in a row."""
    return ("\n" if rng.random() < 0.25 else " ").join(
        s if s[-1] in ".?!" + CLOSE else s + "." for s in sentences
    )


def facts_of(rng: random.Random, n: int, n_people: int) -> list:
    """Facts about people of either side of the split."""
    return pick_facts(rng, rng.sample(PEOPLE, n_people), n)


def say(rng: random.Random, fact) -> str:
    """A fact in one of its three wordings."""
    return fact.say(rng.randrange(3))


def told(here: World) -> list[str]:
    """People of paired sentences, causes and routines: never those of the evaluation."""
    return here.of("men", "tuning") + here.of("women", "tuning")
