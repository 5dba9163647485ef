"""What a micro base can do before any tuning: single questions, one skill each.

A base whose comparing is at chance cannot show what instruction tuning does
for inference or paraphrase, so the probes gate the ladder (LOG.md).
"""

import random
from collections.abc import Callable

from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.micro.lexicon import CAUSES, COREFERENCE, COUNTRIES, KINDS, MEN, TOWNS
from flanlib.micro.qa_forms import PEOPLE
from flanlib.micro.reading import KNOWN, review
from flanlib.micro.world import World, other_value, pick_facts, world

Question = tuple[str, list[str], int]  # text, possible answers, index of the right one
PROBES: dict[str, Callable[[random.Random, World], Question]] = {}
N_QUESTIONS = 240


def probe(
    lm: LanguageModel, tokenizer: Tokenizer, world_seed: int, n: int = N_QUESTIONS
) -> dict[str, float]:
    """Percent right on each probe; the answer stands on its own line.

    With 240 questions, chance in a two-way probe is 50 ± 6 (95 %).
    """
    from flanlib.evaluation.score import loglikelihoods

    found = {}
    for name, make in PROBES.items():
        rng = random.Random(f"probe {name} 5")
        questions = [make(rng, world(world_seed)) for _ in range(n)]
        scored = loglikelihoods(lm, tokenizer, [(text, options) for text, options, _ in questions])
        best = [max(range(len(s)), key=lambda i, s=s: s[i]["ll"]) for s in scored]
        right = sum(b == gold for b, (_, _, gold) in zip(best, questions, strict=True))
        found[name] = round(100 * right / n, 1)
    return found


def _probe(function: Callable[[random.Random, World], Question]):
    PROBES[function.__name__] = function
    return function


def _text(rng: random.Random, facts) -> str:
    return " ".join(f.say(rng.randrange(3)) + "." for f in facts)


def _yes_no(rng: random.Random, n_facts: int, ask: Callable[..., str]) -> Question:
    facts = pick_facts(rng, rng.sample(PEOPLE, min(2, n_facts)), n_facts)
    fact, holds = rng.choice(facts), rng.random() < 0.5
    asked = fact if holds else fact.but(other_value(rng, fact, facts))
    return f"{_text(rng, facts)} {ask(rng, asked)}?", ["yes", "no"], 0 if holds else 1


@_probe
def one_fact(rng, here):
    return _yes_no(rng, 1, lambda r, f: f.yn(r.randrange(2)))


@_probe
def three_facts(rng, here):
    return _yes_no(rng, 3, lambda r, f: f.yn(r.randrange(2)))


@_probe
def is_it_true(rng, here):
    return _yes_no(rng, 2, lambda r, f: f"is it true that {f.say(r.randrange(3))}")


@_probe
def whose_value(rng, here):
    """The wrong value is another person's: needs binding, not presence."""
    kind = rng.choice(list(KINDS))
    people, values = rng.sample(PEOPLE, 3), rng.sample(KINDS[kind].values, 3)
    facts = [pick_facts(rng, [p], 1, [kind])[0].but(v) for p, v in zip(people, values, strict=True)]
    fact, holds = rng.choice(facts), rng.random() < 0.5
    value = fact.value if holds else rng.choice([v for v in values if v != fact.value])
    return f"{_text(rng, facts)} {fact.but(value).yn(0)}?", ["yes", "no"], 0 if holds else 1


@_probe
def yes_no_maybe(rng, here):
    facts, gold = pick_facts(rng, rng.sample(PEOPLE, 1), 3), rng.randrange(3)
    fact = rng.choice(facts)
    if gold == 1:
        fact = fact.but(other_value(rng, fact, facts))
    if gold == 2:
        missing = [k for k in KINDS if k not in {f.kind for f in facts}]
        fact = pick_facts(rng, [fact.who], 1, missing)[0]
    question = f"is it true that {fact.say(rng.randrange(3))}?"
    return f"{_text(rng, facts)} {question}", ["yes", "no", "maybe"], gold


@_probe
def same_meaning(rng, here):
    fact, same = pick_facts(rng, rng.sample(PEOPLE, 1), 1)[0], rng.random() < 0.5
    twin = fact if same else fact.but(other_value(rng, fact, [fact]))
    i, j = rng.sample(range(3), 2)
    text = f"do these two mean the same, {fact.say(i)}, and {twin.say(j)}?"
    return text, ["yes", "no"], 0 if same else 1


@_probe
def retrieval(rng, here):
    facts = pick_facts(rng, rng.sample(PEOPLE, 2), 3)
    fact, *rest = rng.sample(facts, 3)
    wrong = [other_value(rng, fact, facts), *(f.value for f in rest)]
    return f"{_text(rng, facts)} {fact.wh(rng.randrange(2))}?", [fact.value, *wrong], 0


@_probe
def translation(rng, here):
    fact = pick_facts(rng, rng.sample(PEOPLE, 1), 1)[0]
    wrong = {other_value(rng, fact, [fact]) for _ in range(3)}
    facts = [fact, *(fact.but(v) for v in sorted(wrong))]
    return f"how do they say {fact.say()} in blik?", [here.to_blik(f) for f in facts], 0


@_probe
def towns(rng, here):
    subject = rng.choice(TOWNS)
    value = here.facts_of[subject]["country"]
    question = rng.choice(KNOWN["country"][1]).format(s=subject)
    return f"{question}?", [value, *(c for c in COUNTRIES if c != value)], 0


@_probe
def causes(rng, here):
    (cause, effect), (_, wrong) = rng.sample(CAUSES, 2)
    p = rng.choice(PEOPLE)
    return f"{cause.format(p=p)}. what came of it?", [effect.format(p=p), wrong.format(p=p)], 0


@_probe
def who(rng, here):
    frame, *ends = rng.choice(COREFERENCE)
    a, b = rng.sample(MEN, 2)
    ending, gold = rng.choice(ends)
    return f"{frame.format(a=a, b=b, x='he ' + ending)}. who {ending}?", [a, b], gold


@_probe
def opinion(rng, here):
    good = rng.random() < 0.5
    lines = " ".join(f"{line}." for line in review(rng, good, 2))
    return f"{lines} is it good or bad?", ["good", "bad"], 0 if good else 1
