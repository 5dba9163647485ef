"""Pages with facts, knowledge, opinions, causes, and questions on them."""

import random

from flanlib.micro.lexicon import (
    BAD,
    CAUSES,
    COREFERENCE,
    CREATURES,
    GOOD,
    RELATIONS,
    SCRIPTS,
    THINGS,
    TOOLS,
    TOWNS,
)
from flanlib.micro.qa_forms import (
    CLOSE,
    OPEN,
    PEOPLE,
    asker,
    choosing,
    facts_of,
    lines_of,
    offered,
    page,
    say,
    told,
)
from flanlib.micro.world import other_value

# --- reading -----------------------------------------------------------------


@page
def retrieve(rng, here):
    ask, facts = asker(rng), facts_of(rng, rng.randint(1, 5), rng.randint(1, 3))
    asked = rng.sample(facts, rng.randint(1, len(facts)))
    out = [say(rng, f) for f in facts]
    for fact in asked:
        if rng.random() < 0.3:
            out.append(ask(f"who {predicate(rng, fact)}", fact.who))
        else:
            out.append(ask(fact.wh(rng.randrange(2)), fact.value))
    return lines_of(rng, out)


def predicate(rng: random.Random, fact) -> str:
    """What a fact says of its person, without the name."""
    return (
        fact.say(rng.randrange(2)).removeprefix(fact.who + " ")
        if fact.kind != "mood"
        else (f"feels {fact.value}")
    )


@page
def either(rng, here):
    ask, facts = asker(rng), facts_of(rng, rng.randint(1, 4), rng.randint(1, 2))
    out = [say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, len(facts))):
        wrong = [other_value(rng, fact, facts) for _ in range(rng.randint(1, 3))]
        question = choosing(rng, fact.wh(rng.randrange(2)), fact.value, sorted(set(wrong)))
        out.append(ask(question, fact.value))
    return lines_of(rng, out)


@page
def right_sentence(rng, here):
    ask, facts = asker(rng), facts_of(rng, rng.randint(1, 3), 1)
    fact = rng.choice(facts)
    told, other = rng.sample(range(3), 2)
    right = fact.say(other)
    wrong = [fact.but(other_value(rng, fact, facts)).say(other) for _ in range(rng.randint(1, 2))]
    head = [f.say(told if f is fact else rng.randrange(3)) for f in facts]
    question = rng.choice(("which of them fits", "what can we say then", "what else is right"))
    return lines_of(rng, [*head, ask(choosing(rng, question, right, sorted(set(wrong))), right)])


@page
def chat(rng, here):
    a, b = rng.sample(PEOPLE, 2)
    facts = [f for f in facts_of(rng, rng.randint(2, 4), 2)]
    lines = []
    for fact in facts:
        lines.append(f"{a}: {fact.wh(rng.randrange(2))}?")
        lines.append(f"{b}: {say(rng, fact)}.")
    fact = rng.choice(facts)
    lines.append(f"{a}: so {fact.wh(rng.randrange(2))}?")
    lines.append(f"{b}:{OPEN} {fact.value}{CLOSE}.")
    return "\n".join(lines)


# --- knowledge ---------------------------------------------------------------

KNOWN = {
    "country": (
        ("{s} is a town in {v}", "the town of {s} lies in {v}", "{v} has a town named {s}"),
        ("in which country is {s}", "where does the town of {s} lie"),
    ),
    "product": (
        ("the people of {s} make {v}", "{s} is known for its {v}", "much {v} comes from {s}"),
        ("what do the people of {s} make", "what is {s} known for"),
    ),
    "home": (
        (
            "the {s} lives in the {v}",
            "the home of the {s} is the {v}",
            "in the {v} you meet the {s}",
        ),
        ("where does the {s} live", "what is the home of the {s}"),
    ),
    "diet": (
        ("the {s} eats {v}", "the {s} feeds on {v}", "{v} are the food of the {s}"),
        ("what does the {s} eat", "what does the {s} feed on"),
    ),
    "time": (
        ("the {s} is awake by {v}", "the {s} goes out by {v}", "by {v} the {s} is busy"),
        ("when is the {s} awake", "when does the {s} go out"),
    ),
}


def _knowledge(rng, here, what):
    subjects = rng.sample(TOWNS if what == "towns" else CREATURES, rng.randint(1, 3))
    ask, out = asker(rng), []
    for subject in subjects:
        for relation, values in RELATIONS[what].items():
            say, wh = KNOWN[relation]
            value = here.facts_of[subject][relation]
            out.append(rng.choice(say).format(s=subject, v=value))
            if rng.random() < 0.6:
                question = rng.choice(wh).format(s=subject)
                if rng.random() < 0.4:
                    others = [v for v in values if v != value]
                    wrong = rng.sample(others, min(len(others), rng.randint(1, 3)))
                    question = choosing(rng, question, value, wrong)
                out.append(ask(question, value))
    if rng.random() < 0.5:
        rng.shuffle(out)
    return lines_of(rng, out)


@page
def towns(rng, here):
    return _knowledge(rng, here, "towns")


@page
def creatures(rng, here):
    return _knowledge(rng, here, "creatures")


# --- opinions ----------------------------------------------------------------


def review(rng: random.Random, good: bool, n: int, words=None, people=PEOPLE) -> list[str]:
    """Sentences of an opinion about one thing.

    Parameters
    ----------
    good
        Whether it praises.
    n
        Sentences.
    words
        Adjectives to draw from; None for all that praise, or blame.
    people
        Who may be quoted.
    """
    thing = rng.choice(THINGS)
    words = words or (GOOD if good else BAD)
    forms = (
        "the {t} was {w}",
        "what a {w} {t}",
        "i found the {t} {w}",
        "a {w} {t} from start to end",
        "it was a {w} {t}",
        "the whole {t} felt {w}",
        "{p} called the {t} {w}",
    )
    return [
        f.format(t=thing, w=w, p=rng.choice(people))
        for f, w in zip(rng.sample(forms, n), rng.sample(words, n), strict=True)
    ]


VERDICTS = (
    ("how was it", "good", "bad"),
    ("did the writer like it", "yes", "no"),
    ("what sort of review is this", "positive", "negative"),
    ("how does the writer sound", "happy", "unhappy"),
    ("is that praise or blame", "praise", "blame"),
    ("is it good or bad", "good", "bad"),
    ("is the tone positive or negative", "positive", "negative"),
)


@page
def reviews(rng, here):
    ask, out = asker(rng), []
    question, up, down = rng.choice(VERDICTS)
    for _ in range(rng.randint(1, 3)):
        good = rng.random() < 0.5
        lines = review(rng, good, rng.randint(1, 3))
        tail = (
            rng.choice(("i would go again", "i want more of it", "five stars"))
            if good
            else (rng.choice(("never again", "i want my money back", "one star")))
        )
        if rng.random() < 0.3:
            lines.append(tail)
        if rng.random() < 0.15:
            lines.append(f"a{OPEN} {'positive' if good else 'negative'}{CLOSE} review")
        right, wrong = (up, down) if good else (down, up)
        out += [*lines, ask(offered(rng, question, right, [wrong]), right)]
    return lines_of(rng, out)


# --- common sense ------------------------------------------------------------


@page
def causes(rng, here):
    ask, out = asker(rng), []
    for cause, effect in rng.sample(CAUSES, rng.randint(1, 2)):
        p = rng.choice(told(here))
        c, e = cause.format(p=p), effect.format(p=p)
        out.append(
            rng.choice(
                (f"{c}, so {e}", f"{e} because {c}", f"{c}. then {e}", f"{e}. that was since {c}")
            )
        )
        if rng.random() < 0.7:
            q = rng.choice(CAUSES)
            other = rng.choice([x for x in CAUSES if x[0] not in (cause, q[0])])
            forward = rng.random() < 0.5
            known, right, wrong = (c, e, other[1]) if forward else (e, c, other[0])
            question = rng.choice(
                ("what came of it", "what followed")
                if forward
                else ("how did that come about", "what led to it")
            )
            if rng.random() < 0.6:
                question = choosing(rng, question, right, [wrong.format(p=p)])
            out.append(f"{known}. {ask(question, right)}")
    return lines_of(rng, out)


@page
def tools(rng, here):
    ask, out = asker(rng), []
    for goal, tool in rng.sample(TOOLS, rng.randint(1, 3)):
        out.append(
            rng.choice(
                (
                    f"to {goal}, people take {tool}",
                    f"{tool} helps you to {goal}",
                    f"with {tool} you can {goal}",
                )
            )
        )
        if rng.random() < 0.7:
            question = rng.choice((f"what do you need to {goal}", f"what is used to {goal}"))
            if rng.random() < 0.5:
                wrong = [t for _, t in rng.sample(TOOLS, 3) if t != tool][: rng.randint(1, 2)]
                question = choosing(rng, question, tool, wrong)
            out.append(ask(question, tool))
    return lines_of(rng, out)


@page
def routines(rng, here):
    script, p = rng.choice(SCRIPTS), rng.choice(told(here))
    steps = [s.format(p=p) for s in script]
    if rng.random() < 0.4:
        return lines_of(rng, [", then ".join(steps)])
    ask, at = asker(rng), rng.randint(1, 3)
    question = rng.choice(("what comes after that", "and what is next"))
    if rng.random() < 0.6:
        other = rng.choice(rng.choice([s for s in SCRIPTS if s is not script])).format(p=p)
        question = choosing(rng, question, steps[at], [other])
    return lines_of(rng, [*steps[:at], ask(question, steps[at])])


@page
def who(rng, here):
    ask, out = asker(rng), []
    for frame, *ends in rng.sample(COREFERENCE, rng.randint(1, 3)):
        what, pronoun = rng.choice((("men", "he"), ("women", "she")))
        a, b = rng.sample(here.of(what, "tuning"), 2)
        end, i = rng.choice(ends)
        meant = (a, b)[i]
        if rng.random() < 0.3:
            out.append(frame.format(a=a, b=b, x=f"{meant} {end}"))
            continue
        out.append(frame.format(a=a, b=b, x=f"{pronoun} {end}"))
        question = rng.choice((f"who {end}", f"who is meant by {pronoun}", f"{pronoun} is who"))
        if rng.random() < 0.5:
            question = choosing(rng, question, meant, [(a, b)[1 - i]])
        out.append(ask(question, meant))
    return lines_of(rng, out)
