"""Pages that drill comparing: yes or no, same or different, maybe."""

from flanlib.micro.lexicon import COLOURS, FOODS, JOBS, KINDS, MOODS, OBJECTS, PETS, PLACES
from flanlib.micro.qa_forms import (
    CLOSE,
    OPEN,
    PEOPLE,
    asker,
    facts_of,
    lines_of,
    offered,
    page,
    say,
    told,
)
from flanlib.micro.world import other_value, pick_facts

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
    for fact in facts_of(rng, rng.randint(1, 3), 1):
        asked, holds = _yes_no(rng, fact, [fact])
        out += [say(rng, fact), ask(asked.yn(rng.randrange(2)), "yes" if holds else "no")]
    return lines_of(rng, out)


@page
def several(rng, here):
    ask, facts = asker(rng, 0.5), facts_of(rng, rng.randint(2, 5), rng.randint(1, 2))
    out = [say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, len(facts))):
        if rng.random() < 0.25:
            out.append(ask(fact.wh(rng.randrange(2)), fact.value))
        else:
            asked, holds = _yes_no(rng, fact, facts)
            right, wrong = ("yes", "no") if holds else ("no", "yes")
            out.append(ask(offered(rng, asked.yn(rng.randrange(2)), right, [wrong], 0.2), right))
    return lines_of(rng, out)


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
    ask, facts = asker(rng, 0.4), facts_of(rng, rng.randint(1, 4), rng.randint(1, 2))
    claim, good, bad = rng.choice(CLAIMS)
    out = [say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, min(3, len(facts)))):
        asked, holds = _yes_no(rng, fact, facts)
        right, wrong = (good, bad) if holds else (bad, good)
        out.append(ask(offered(rng, claim.format(s=say(rng, asked)), right, [wrong]), right))
    return lines_of(rng, out)


@page
def unknown(rng, here):
    ask, facts = asker(rng, 0.4), facts_of(rng, rng.randint(1, 4), 1)
    missing = [k for k in KINDS if all(f.kind != k for f in facts)]
    who = facts[0].who
    claim = rng.choice([c for c in CLAIMS if c[1] == "yes"])[0]
    out = [say(rng, f) for f in facts]
    for fact in rng.sample(facts, rng.randint(1, min(2, len(facts)))):
        if missing and rng.random() < 0.4:
            asked = pick_facts(rng, [who], 1, missing)[0]
            answer = rng.choice(("maybe", "maybe", "unknown"))
        else:
            asked, holds = _yes_no(rng, fact, facts)
            answer = "yes" if holds else "no"
        wrong = [a for a in ("yes", "no", "maybe") if a != answer]
        out.append(ask(offered(rng, claim.format(s=say(rng, asked)), answer, wrong), answer))
    return lines_of(rng, out)


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
    return lines_of(rng, out)
