"""Datasets that ask for understanding: inference, reading, knowledge, opinion."""

from collections.abc import Sequence
from itertools import product

from flanlib.micro.draw import Draw, Row, shuffled, statement, task, wrong_values
from flanlib.micro.lexicon import CAUSES, COREFERENCE, RELATIONS, SCRIPTS, TOOLS
from flanlib.micro.reading import predicate, review
from flanlib.micro.world import Fact, other_value, pick_facts

# --- natural language inference ----------------------------------------------


@task
def snli(draw: Draw) -> Row:
    facts, label = draw.facts(draw.rng.randint(1, 3)), draw.index % 3
    claim = statement(draw, facts, ("yes", "maybe", "no")[label])
    return {
        "premise": draw.text(facts),
        "hypothesis": claim.say(draw.rng.randrange(3)),
        "label": label,
    }


@task
def rte(draw: Draw) -> Row:
    facts, holds = draw.facts(draw.rng.randint(1, 3)), draw.coin()
    claim = statement(draw, facts, "yes" if holds else draw.rng.choice(("no", "maybe")))
    return {
        "premise": draw.text(facts),
        "hypothesis": claim.say(draw.rng.randrange(3)),
        "label": 0 if holds else 1,
    }


@task
def qnli(draw: Draw) -> Row:
    told, asked = draw.facts(2)
    holds = draw.coin()
    sentence = (asked if holds else told).say(draw.rng.randrange(3))
    return {
        "question": asked.wh(draw.rng.randrange(2)),
        "sentence": sentence,
        "label": 0 if holds else 1,
    }


# --- commonsense ---------------------------------------------------------------


def _of(draw: Draw, what: str, entries: Sequence[tuple]) -> list[tuple]:
    """Entries on this side, told by what they begin with."""
    kept = set(draw.of(what))
    return [entry for entry in entries if entry[0] in kept]


@task
def copa(draw: Draw) -> Row:
    pairs = _of(draw, "causes", CAUSES)
    cause, effect = draw.turn(pairs)
    other = draw.rng.choice([p for p in pairs if p[0] != cause])
    (p,) = draw.people(1)
    forward = draw.rng.random() < 0.5
    premise, right, wrong = (cause, effect, other[1]) if forward else (effect, cause, other[0])
    return {
        "premise": premise.format(p=p),
        "relation": "effect" if forward else "cause",
        "group": cause,
        **shuffled(draw, right.format(p=p), [wrong.format(p=p)]),
    }


@task
def piqa(draw: Draw) -> Row:
    pairs = _of(draw, "tools", TOOLS)
    goal, tool = draw.turn(pairs)
    wrong = draw.rng.choice([t for _, t in pairs if t != tool])
    return {"goal": goal, "group": goal, **shuffled(draw, tool, [wrong])}


@task
def hellaswag(draw: Draw) -> Row:
    scripts = _of(draw, "scripts", SCRIPTS)
    script = draw.turn(scripts)
    (p,), at = draw.people(1), draw.rng.randint(1, 3)
    others = draw.rng.sample([s for s in scripts if s is not script], 2)
    wrong = [draw.rng.choice(s[1:]).format(p=p) for s in others]
    context = " ".join(s.format(p=p) + "." for s in script[:at])
    return {"context": context, "group": script[0], **shuffled(draw, script[at].format(p=p), wrong)}


# --- sentiment -----------------------------------------------------------------


def _review(draw: Draw, n: int) -> Row:
    good = draw.coin()
    people = draw.of("men") + draw.of("women")
    lines = review(draw.rng, good, n, draw.of("good" if good else "bad"), people)
    return {"text": " ".join(f"{line}." for line in lines), "label": int(good)}


@task
def sst2(draw: Draw) -> Row:
    return _review(draw, 1)


@task
def imdb(draw: Draw) -> Row:
    return _review(draw, 3)


@task
def yelp(draw: Draw) -> Row:
    row = _review(draw, 2)
    tails = ("never again.", "i want my money back."), ("i would go again.", "five stars.")
    return {**row, "text": f"{row['text']} {draw.rng.choice(tails[row['label']])}"}


# --- paraphrase ----------------------------------------------------------------


@task
def mrpc(draw: Draw) -> Row:
    (fact,), same = draw.facts(1), draw.coin()
    i, j = draw.rng.sample(range(3), 2)
    twin = fact if same else fact.but(other_value(draw.rng, fact, [fact]))
    return {"sentence1": fact.say(i), "sentence2": twin.say(j), "label": int(same)}


@task
def qqp(draw: Draw) -> Row:
    first, second = draw.facts(2)
    same, i = draw.coin(), draw.rng.randrange(2)
    return {
        "question1": first.wh(i),
        "question2": (first if same else second).wh(1 - i),
        "label": int(same),
    }


@task
def restate(draw: Draw) -> Row:
    (fact,) = draw.facts(1)
    i, j = draw.rng.sample(range(3), 2)
    wrong = [fact.but(v).say(j) for v in wrong_values(draw, fact, [fact], 2)]
    return {"sentence": fact.say(i), **shuffled(draw, fact.say(j), wrong)}


# --- closed-book question answering --------------------------------------------


# Questions of the datasets, in other words than those of the corpus.
ASKED = {
    "country": ("{s} is a town of which country", "which country has {s} as a town"),
    "product": ("what do they make in {s}", "which thing comes from the town of {s}"),
    "home": ("in which place lives the {s}", "where is the home of the {s}"),
    "diet": ("what is the food of the {s}", "which food does the {s} look for"),
    "time": (
        "is the {s} busy by day or by night",
        "by day or by night, when do people meet the {s}",
    ),
}


def _known(draw: Draw, what: str) -> tuple[str, str, str, list[str]]:
    """Subject, question, answer, and the wrong values of the relation."""
    subject, relation = draw.turn(list(product(draw.of(what), RELATIONS[what])))
    value = draw.here.facts_of[subject][relation]
    question = draw.rng.choice(ASKED[relation]).format(s=subject)
    return subject, question, value, [v for v in RELATIONS[what][relation] if v != value]


@task
def towns(draw: Draw) -> Row:
    subject, question, value, wrong = _known(draw, "towns")
    return {
        "question": question,
        "group": subject,
        **shuffled(draw, value, draw.rng.sample(wrong, 3)),
    }


@task
def creatures(draw: Draw) -> Row:
    while True:
        subject, question, value, wrong = _known(draw, "creatures")
        if len(wrong) > 1:
            return {
                "question": question,
                "group": subject,
                **shuffled(draw, value, draw.rng.sample(wrong, 2)),
            }
        draw.index += 1


@task
def nq(draw: Draw) -> Row:
    subject, question, value, _ = _known(draw, ("towns", "creatures")[draw.index % 2])
    return {"question": question, "answer": value, "group": subject}


# --- reading comprehension -----------------------------------------------------


def _passage(draw: Draw) -> tuple[list, Fact]:
    """Facts, and the one of them that is asked about."""
    facts = draw.facts(draw.rng.randint(2, 4), draw.rng.randint(1, 2))
    return facts, draw.rng.choice(facts)


@task
def boolq(draw: Draw) -> Row:
    (facts, fact), holds = _passage(draw), draw.coin()
    asked = fact if holds else fact.but(other_value(draw.rng, fact, facts))
    return {
        "passage": draw.text(facts),
        "question": asked.yn(draw.rng.randrange(2)),
        "label": int(holds),
    }


@task
def multirc(draw: Draw) -> Row:
    (facts, fact), holds = _passage(draw), draw.coin()
    response = fact.value if holds else other_value(draw.rng, fact, facts)
    return {
        "passage": draw.text(facts),
        "question": fact.wh(draw.rng.randrange(2)),
        "response": response,
        "label": int(holds),
    }


@task
def race(draw: Draw) -> Row:
    facts, fact = _passage(draw)
    wrong = wrong_values(draw, fact, facts, 2)
    return {
        "passage": draw.text(facts),
        "question": fact.wh(draw.rng.randrange(2)),
        **shuffled(draw, fact.value, wrong),
    }


@task
def squad(draw: Draw) -> Row:
    facts, fact = _passage(draw)
    return {
        "passage": draw.text(facts),
        "question": fact.wh(draw.rng.randrange(2)),
        "answer": fact.value,
    }


# --- reading comprehension with commonsense ------------------------------------


@task
def cosmos(draw: Draw) -> Row:
    pairs = _of(draw, "causes", CAUSES)
    cause, effect = draw.turn(pairs)
    (p,) = draw.people(1)
    facts = pick_facts(draw.rng, [p], 2)
    wrong = [o[1].format(p=p) for o in draw.rng.sample([x for x in pairs if x[0] != cause], 2)]
    sentences = [
        facts[0].say(draw.rng.randrange(3)),
        cause.format(p=p),
        facts[1].say(draw.rng.randrange(3)),
    ]
    draw.rng.shuffle(sentences)
    return {
        "passage": " ".join(f"{s}." for s in sentences),
        "question": "what followed",
        "group": cause,
        **shuffled(draw, effect.format(p=p), wrong),
    }


@task
def record(draw: Draw) -> Row:
    names = draw.people(3)
    facts = [pick_facts(draw.rng, [name], 1)[0] for name in names]
    fact = draw.turn(facts)
    query = "____ " + predicate(draw.rng, fact)
    return {
        "passage": draw.text(facts),
        "query": query,
        **shuffled(draw, fact.who, [n for n in names if n != fact.who]),
    }


# --- coreference ---------------------------------------------------------------


def _schema(draw: Draw) -> tuple[str, str, str, str, str, str]:
    """Frame with {a}, {b}, {x} filled but for {x}; pronoun, ending, right, wrong, group."""
    frame, *ends = draw.turn(_of(draw, "schemas", COREFERENCE))
    what, pronoun = (("men", "he"), ("women", "she"))[draw.rng.randrange(2)]
    a, b = draw.rng.sample(draw.of(what), 2)
    ending, i = draw.rng.choice(ends)
    right, wrong = (a, b) if i == 0 else (b, a)
    return frame.replace("{a}", a).replace("{b}", b), pronoun, ending, right, wrong, frame


@task
def dpr(draw: Draw) -> Row:
    frame, pronoun, ending, right, wrong, group = _schema(draw)
    sentence = frame.format(x=f"{pronoun} {ending}")
    return {
        "sentence": sentence,
        "pronoun": pronoun,
        "group": group,
        **shuffled(draw, right, [wrong]),
    }


@task
def wsc(draw: Draw) -> Row:
    frame, pronoun, ending, right, wrong, group = _schema(draw)
    label = draw.rng.randrange(2)
    name = right if label else wrong
    return {
        "text": frame.format(x=f"{pronoun} {ending}"),
        "name": name,
        "pronoun": pronoun,
        "label": label,
        "group": group,
    }


@task
def winogrande(draw: Draw) -> Row:
    frame, _, ending, right, wrong, group = _schema(draw)
    return {
        "sentence": frame.format(x=f"_ {ending}"),
        "group": group,
        **shuffled(draw, right, [wrong]),
    }
