"""Free-running text of the micro world: what the base models read.

Pages of facts, stories, reviews, dialogues, quizzes, glossaries, bilingual
lines and lists. The text has the world's knowledge and its ways of asking,
but no instruction template, no OPTIONS block and no evaluation example
(tests prove it). Answers are marked, so that pretraining may weight them.

Families come in phases: comparing two statements forms only when dense,
easy pages come first (see LOG.md).
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flanlib.micro.world import (
    BAD,
    CAUSES,
    COLOURS,
    COREFERENCE,
    CREATURES,
    FOODS,
    GOOD,
    JOBS,
    KINDS,
    MEN,
    MOODS,
    OBJECTS,
    PETS,
    PLACES,
    RELATIONS,
    SCRIPTS,
    THINGS,
    TOOLS,
    TOWNS,
    WOMEN,
    World,
    other_value,
    pick_facts,
    world,
)

OPEN, CLOSE = "\x02", "\x03"
MARKS = re.compile(f"[{OPEN}{CLOSE}]")
PEOPLE = (*MEN, *WOMEN)
Page = Callable[[random.Random, World], str]
PAGES: dict[str, Page] = {}


def page(function: Page) -> Page:
    """Register a family of pages under its function's name."""
    PAGES[function.__name__] = function
    return function


@dataclass(frozen=True)
class Phase:
    """A stretch of pretraining: how many tokens, which pages, what weight."""

    n_tokens: int
    answer_weight: float
    shares: dict[str, float]


READING = {
    "several": 0.08, "truth": 0.09, "unknown": 0.07, "same": 0.09, "retrieve": 0.07,
    "either": 0.09, "right_sentence": 0.04, "towns": 0.07, "creatures": 0.07, "reviews": 0.06,
    "causes": 0.05, "tools": 0.03, "routines": 0.03, "who": 0.05, "bilingual": 0.07,
    "dictionary": 0.02, "records": 0.05, "news": 0.04, "grammar": 0.03, "asks_for": 0.02,
    "chat": 0.03, "glossary": 0.02, "compose": 0.03,
}  # fmt: skip
PHASES = (
    Phase(100_000, 16, {"ticks": 1.0}),
    Phase(400_000, 16, {"single": 0.75, "ticks": 0.25}),
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
    Phase(3_000_000, 8, READING),
)


def documents(world_seed: int, seed: int, phase: Phase) -> Iterator[str]:
    """Endless pages of one phase, answers marked; pure in its arguments."""
    rng = random.Random(f"corpus {world_seed} {seed} {phase.n_tokens} {sorted(phase.shares)}")
    here = world(world_seed)
    names, shares = list(phase.shares), list(phase.shares.values())
    while True:
        yield PAGES[rng.choices(names, shares)[0]](rng, here)


def plain(text: str) -> str:
    """A page without its answer marks."""
    return MARKS.sub("", text)


# --- ways of asking ----------------------------------------------------------

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
    """The question, at times with its possible answers named."""
    return choosing(rng, question, right, wrong) if rng.random() < p else question


def _lines(rng: random.Random, sentences: list[str]) -> str:
    return ("\n" if rng.random() < 0.25 else " ").join(
        s if s[-1] in ".?!" + CLOSE else s + "." for s in sentences
    )


def _facts(rng: random.Random, n: int, n_people: int) -> list:
    return pick_facts(rng, rng.sample(PEOPLE, n_people), n)


def _say(rng: random.Random, fact) -> str:
    return fact.say(rng.randrange(3))


# --- drills: the skill of comparing -----------------------------------------

LISTS = (COLOURS, OBJECTS, PLACES, FOODS, JOBS, MOODS, PETS, PEOPLE)


@page
def ticks(rng, here):
    words = rng.choice(LISTS)
    good, bad = ("yes", "no") if rng.random() < 0.8 else ("same", "different")
    out = []
    for _ in range(rng.randint(8, 16)):
        a = rng.choice(words)
        b = a if rng.random() < 0.5 else rng.choice([w for w in words if w != a])
        out.append(f"{a} {b}{OPEN} {good if a == b else bad}{CLOSE}")
    return ", ".join(out) + "."


def _yes_no(rng, fact, facts):
    """The fact, or one with a value that stands nowhere; and the answer."""
    if rng.random() < 0.5:
        return fact, True
    return fact.but(other_value(rng, fact, facts)), False


@page
def single(rng, here):
    ask, out = asker(rng, 0.8), []
    for fact in _facts(rng, rng.randint(1, 3), 1):
        asked, holds = _yes_no(rng, fact, [fact])
        out += [_say(rng, fact), ask(asked.yn(rng.randrange(2)), "yes" if holds else "no")]
    return _lines(rng, out)


@page
def several(rng, here):
    ask, facts = asker(rng, 0.5), _facts(rng, rng.randint(2, 5), rng.randint(1, 2))
    out = [_say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, len(facts))):
        if rng.random() < 0.25:
            out.append(ask(fact.wh(rng.randrange(2)), fact.value))
        else:
            asked, holds = _yes_no(rng, fact, facts)
            right, wrong = ("yes", "no") if holds else ("no", "yes")
            out.append(ask(offered(rng, asked.yn(rng.randrange(2)), right, [wrong], 0.2), right))
    return _lines(rng, out)


CLAIMS = (
    ("is it true that {s}", "yes", "no"),
    ("is it so that {s}", "yes", "no"),
    ("true or false, {s}", "true", "false"),
    ("{s}, right or wrong", "right", "wrong"),
    ("we read that {s}, is that correct", "yes", "no"),
    ("so {s}, yes or no", "yes", "no"),
)


@page
def truth(rng, here):
    ask, facts = asker(rng, 0.4), _facts(rng, rng.randint(1, 4), rng.randint(1, 2))
    claim, good, bad = rng.choice(CLAIMS)
    out = [_say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, min(3, len(facts)))):
        asked, holds = _yes_no(rng, fact, facts)
        right, wrong = (good, bad) if holds else (bad, good)
        out.append(ask(offered(rng, claim.format(s=_say(rng, asked)), right, [wrong]), right))
    return _lines(rng, out)


@page
def unknown(rng, here):
    ask, facts = asker(rng, 0.4), _facts(rng, rng.randint(1, 4), 1)
    missing = [k for k in KINDS if all(f.kind != k for f in facts)]
    who = facts[0].who
    claim = rng.choice([c for c in CLAIMS if c[1] == "yes"])[0]
    out = [_say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, min(2, len(facts)))):
        if missing and rng.random() < 0.4:
            asked = pick_facts(rng, [who], 1, missing)[0]
            answer = rng.choice(("maybe", "maybe", "unknown"))
        else:
            asked, holds = _yes_no(rng, fact, facts)
            answer = "yes" if holds else "no"
        wrong = [a for a in ("yes", "no", "maybe") if a != answer]
        out.append(ask(offered(rng, claim.format(s=_say(rng, asked)), answer, wrong), answer))
    return _lines(rng, out)


SAMENESS = (
    ("do these two mean the same, {a}, and {b}", "yes", "no"),
    ("{a}. {b}. same or different", "same", "different"),
    ("is {a} another way to say {b}", "yes", "no"),
    ("first we hear {a}, later {b}, is that the same news", "yes", "no"),
)


@page
def same(rng, here):
    ask, (form, good, bad) = asker(rng, 0.4), rng.choice(SAMENESS)
    out = []
    people = told(here)
    for fact in pick_facts(rng, [rng.choice(people)], rng.randint(1, 3)):
        twin, holds = _yes_no(rng, fact, [fact])
        if rng.random() < 0.3:  # two questions instead of two statements
            if not holds and rng.random() < 0.6:
                twin = pick_facts(rng, [fact.who], 1, [k for k in KINDS if k != fact.kind])[0]
            elif not holds:
                who = rng.choice([p for p in people if p != fact.who])
                twin = pick_facts(rng, [who], 1, [fact.kind])[0]
            a, b = fact.wh(0), twin.wh(1)
        else:
            i, j = rng.sample(range(3), 2) if rng.random() < 0.8 else (0, 0)
            a, b = fact.say(i), twin.say(j)
        if rng.random() < 0.5:
            a, b = b, a
        right, wrong = (good, bad) if holds else (bad, good)
        out.append(ask(offered(rng, form.format(a=a, b=b), right, [wrong]), right))
    return _lines(rng, out)


# --- reading -----------------------------------------------------------------


@page
def retrieve(rng, here):
    ask, facts = asker(rng), _facts(rng, rng.randint(1, 5), rng.randint(1, 3))
    asked = rng.sample(facts, rng.randint(1, len(facts)))
    out = [_say(rng, f) for f in facts]
    for fact in asked:
        if rng.random() < 0.3:
            out.append(ask(f"who {predicate(rng, fact)}", fact.who))
        else:
            out.append(ask(fact.wh(rng.randrange(2)), fact.value))
    return _lines(rng, out)


def predicate(rng: random.Random, fact) -> str:
    """What a fact says of its person, without the name."""
    return (
        fact.say(rng.randrange(2)).removeprefix(fact.who + " ")
        if fact.kind != "mood"
        else (f"feels {fact.value}")
    )


@page
def either(rng, here):
    ask, facts = asker(rng), _facts(rng, rng.randint(1, 4), rng.randint(1, 2))
    out = [_say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, len(facts))):
        wrong = [other_value(rng, fact, facts) for _ in range(rng.randint(1, 3))]
        question = choosing(rng, fact.wh(rng.randrange(2)), fact.value, sorted(set(wrong)))
        out.append(ask(question, fact.value))
    return _lines(rng, out)


@page
def right_sentence(rng, here):
    ask, facts = asker(rng), _facts(rng, rng.randint(1, 3), 1)
    fact = rng.choice(facts)
    told, other = rng.sample(range(3), 2)
    right = fact.say(other)
    wrong = [fact.but(other_value(rng, fact, facts)).say(other) for _ in range(rng.randint(1, 2))]
    head = [f.say(told if f is fact else rng.randrange(3)) for f in facts]
    question = rng.choice(("which of them fits", "what can we say then", "what else is right"))
    return _lines(rng, [*head, ask(choosing(rng, question, right, sorted(set(wrong))), right)])


@page
def chat(rng, here):
    a, b = rng.sample(PEOPLE, 2)
    facts = [f for f in _facts(rng, rng.randint(2, 4), 2)]
    lines = []
    for fact in facts:
        lines.append(f"{a}: {fact.wh(rng.randrange(2))}?")
        lines.append(f"{b}: {_say(rng, fact)}.")
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
    return _lines(rng, out)


@page
def towns(rng, here):
    return _knowledge(rng, here, "towns")


@page
def creatures(rng, here):
    return _knowledge(rng, here, "creatures")


# --- opinions ----------------------------------------------------------------


def review(rng: random.Random, good: bool, n: int, words=None, people=PEOPLE) -> list[str]:
    """Sentences of an opinion about one thing."""
    thing = rng.choice(THINGS)
    words = words or (GOOD if good else BAD)
    forms = (
        "the {t} was {w}", "what a {w} {t}", "i found the {t} {w}", "a {w} {t} from start to end",
        "it was a {w} {t}", "the whole {t} felt {w}", "{p} called the {t} {w}",
    )  # fmt: skip
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
    return _lines(rng, out)


def told(here: World) -> list[str]:
    """People of paired sentences, causes and routines: never those of the evaluation."""
    return here.of("men", "tuning") + here.of("women", "tuning")


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
    return _lines(rng, out)


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
    return _lines(rng, out)


@page
def routines(rng, here):
    script, p = rng.choice(SCRIPTS), rng.choice(told(here))
    steps = [s.format(p=p) for s in script]
    if rng.random() < 0.4:
        return _lines(rng, [", then ".join(steps)])
    ask, at = asker(rng), rng.randint(1, 3)
    question = rng.choice(("what comes after that", "and what is next"))
    if rng.random() < 0.6:
        other = rng.choice(rng.choice([s for s in SCRIPTS if s is not script])).format(p=p)
        question = choosing(rng, question, steps[at], [other])
    return _lines(rng, [*steps[:at], ask(question, steps[at])])


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
    return _lines(rng, out)


# --- languages and forms -----------------------------------------------------


@page
def bilingual(rng, here):
    facts = _facts(rng, rng.randint(1, 4), rng.randint(1, 2))
    left, right = rng.choice((("english", "blik"), ("blik", "english")))
    form = rng.choice((
        "{l}: {a}. {r}:{b}.", "{a} is in {r}{b}.", "in {l} {a}, in {r}{b}.",
        "how do they say {a} in {r}?{b}.", "{l} says {a}\n{r} says{b}",
    ))  # fmt: skip
    out = []
    for fact in facts:
        a, b = fact.say(), here.to_blik(fact)
        if left == "blik":
            a, b = b, a
        out.append(form.format(l=left, r=right, a=a, b=f"{OPEN} {b}{CLOSE}"))
    return ("\n" if "\n" in form or rng.random() < 0.5 else " ").join(out)


@page
def dictionary(rng, here):
    ask, out = asker(rng), []
    for word in rng.sample(list(here.blik)[len(KINDS) :], rng.randint(2, 5)):
        blik = here.blik[word]
        if rng.random() < 0.4:
            out.append(
                rng.choice((f"{blik} is blik for {word}", f"{word} is called {blik} in blik"))
            )
        elif rng.random() < 0.5:
            out.append(ask(f"what is {word} in blik", blik))
        else:
            out.append(ask(f"what is {blik} in english", word))
    return _lines(rng, out)


def joined(facts: list) -> str:
    """One sentence for the facts of one person, in order."""
    first = facts[0].say()
    rest = [f.say().removeprefix(f.who + " ") for f in facts[1:]]
    return " and ".join([first, *rest])


@page
def records(rng, here):
    out = []
    for _ in range(rng.randint(1, 2)):
        facts = _facts(rng, rng.randint(1, 3), 1)
        form = rng.choice(("{k}: {v}\n", "{k} = {v}, ", "{k} {v}; "))
        card = f"name: {facts[0].who}\n" if "\n" in form else f"about {facts[0].who}. "
        card += "".join(form.format(k=KINDS[f.kind].label, v=f.value) for f in facts)
        text = f"{OPEN}{joined(facts)}{CLOSE}."
        out.append(
            f"{card.rstrip(',; ').rstrip()}\n{text}"
            if rng.random() < 0.7
            else f"{plain(text)}\n{card.rstrip(',; ')}"
        )
    return "\n".join(out)


@page
def compose(rng, here):
    out = []
    for fact in _facts(rng, rng.randint(1, 3), 1):
        words = [fact.who, *fact.value.split()]
        rng.shuffle(words)
        out.append(f"{' + '.join(words)} ={OPEN} {fact.say()}{CLOSE}.")
    return "\n".join(out)


def article(rng: random.Random, main, others) -> list[str]:
    """A story that comes back to its main fact."""
    told = [main.say(i) for i in rng.sample(range(3), 2)]
    return [told[0], *(f.say(rng.randrange(3)) for f in others), told[1]]


@page
def news(rng, here):
    main = _facts(rng, 1, 1)[0]
    others = [f for f in _facts(rng, 3, 2) if f.who != main.who][: rng.randint(1, 2)]
    body = _lines(rng, article(rng, main, others))
    if rng.random() < 0.4:
        return f"news: {main.say()}\n{body}"
    return (
        f"{body}\n{rng.choice(('in short', 'briefly', 'all in all'))}:{OPEN} {main.say()}{CLOSE}."
    )


@page
def grammar(rng, here):
    ask, out = asker(rng), []
    for fact in _facts(rng, rng.randint(1, 3), 1):
        words = _say(rng, fact).split()
        fine = rng.random() < 0.5
        shown = words if fine else scramble(rng, words)
        question = rng.choice(
            (f"is this good english, {' '.join(shown)}", f"{' '.join(shown)}, is that well said")
        )
        out.append(ask(question, "yes" if fine else "no"))
    return _lines(rng, out)


def scramble(rng: random.Random, words: list[str]) -> list[str]:
    """The words in another order."""
    while (mixed := rng.sample(words, len(words))) == words:
        pass
    return mixed


@page
def asks_for(rng, here):
    out = []
    for fact in _facts(rng, rng.randint(1, 3), 1):
        kind = KINDS[fact.kind]
        out.append(
            f"who says {fact.wh(rng.randrange(2))} wants to hear of a{OPEN} {kind.asks}{CLOSE}"
        )
    return _lines(rng, out)


# Words that people use about language; each in several sentences.
MEANINGS = (
    "a sentence is a line of words", "a statement tells us something", "a question wants an answer",
    "to answer is to say what was asked", "to translate is to say it in another language",
    "to translate into blik is to write it in blik", "to translate into english is to write it in english",
    "a review tells if something was good or bad", "a positive review says good things",
    "a negative review says bad things", "happy people write positive reviews",
    "the opposite of true is false", "the opposite of yes is no", "the opposite of same is different",
    "two sentences mean the same if both are true together", "if it follows, it must be true",
    "if it can not be true, say no", "maybe means that we do not know", "unknown means nobody told us",
    "the cause comes before the effect", "the effect is the result of the cause",
    "the reason tells why", "an ending is the last part of a story", "what happens next comes later",
    "a pronoun like he or she stands for a name", "a title is a short name for a text",
    "to summarize is to say it in few words", "a summary is short", "a headline is the title of the news",
    "to describe is to tell how something is", "a passage is a part of a text", "a paragraph is a part of a text",
    "to choose is to pick one of many", "to pick is to choose", "a list names many things",
    "to complete is to write the rest", "to read is to look at words", "to decide is to choose",
    "an option is something you may choose", "the options are what you may choose from",
    "correct means right", "wrong means not right", "acceptable means good enough",
    "unacceptable means not good enough", "grammar is how words go together",
    "a goal is what you want to do", "a tool helps to reach a goal", "a table has rows of data",
    "data can be told in a sentence", "a dialogue is people talking", "an opinion is what someone thinks",
    "an object is a thing", "a feeling is a mood", "a language has many words", "meaning is what words say",
)  # fmt: skip


@page
def glossary(rng, here):
    return _lines(rng, rng.sample(MEANINGS, rng.randint(3, 7)))
