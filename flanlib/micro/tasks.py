"""The datasets of the micro world: rows by task and split.

`train` and `dev` speak of people, towns, creatures, causes and schemas of
the tuning side only, `eval` of those kept for evaluation.
"""

import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Literal

from flanlib.errors import ParameterError
from flanlib.micro.corpus import article, joined, predicate, review, scramble
from flanlib.micro.world import (
    CAUSES,
    COREFERENCE,
    KINDS,
    RELATIONS,
    REPORTED,
    SCRIPTS,
    TOOLS,
    Side,
    World,
    other_value,
    pick_facts,
    world,
)

N_ROWS = {"train": 1000, "dev": 60, "eval": 120}
Row = dict[str, Any]
Maker = Callable[["Draw"], Row]
TASKS: dict[str, Maker] = {}


class Draw:
    """A world, one side of it, and a generator: what a row is made from."""

    def __init__(self, rng: random.Random, here: World, side: Side, index: int):
        self.rng, self.here, self.side, self.index = rng, here, side, index

    def of(self, what: str) -> list[str]:
        """Members of an entity list on this side."""
        return self.here.of(what, self.side)

    def turn(self, items: list):
        """The items one after another, row by row."""
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


def _shuffled(draw: Draw, right: str, wrong: list[str]) -> Row:
    """Columns a, b, ... with the options, and label."""
    options = [right, *wrong]
    draw.rng.shuffle(options)
    return {**dict(zip("abcdef", options, strict=False)), "label": options.index(right)}


def _wrong_values(draw: Draw, fact, facts, n: int) -> list[str]:
    found: list[str] = []
    while len(found) < n:
        value = other_value(draw.rng, fact, facts)
        if value not in found:
            found.append(value)
    return found


def _claim(draw: Draw, facts, truth: Literal["yes", "maybe", "no"]):
    """A statement about the passage's first person that holds, may, or does not."""
    fact = draw.rng.choice([f for f in facts if f.who == facts[0].who])
    if truth == "no":
        return fact.but(other_value(draw.rng, fact, facts))
    if truth == "maybe":
        kinds = [k for k in KINDS if all(f.kind != k for f in facts)]
        return pick_facts(draw.rng, [fact.who], 1, kinds)[0]
    return fact


# --- natural language inference ----------------------------------------------


@task
def snli(draw: Draw) -> Row:
    facts, label = draw.facts(draw.rng.randint(1, 3)), draw.index % 3
    claim = _claim(draw, facts, ("yes", "maybe", "no")[label])
    return {
        "premise": draw.text(facts),
        "hypothesis": claim.say(draw.rng.randrange(3)),
        "label": label,
    }


@task
def rte(draw: Draw) -> Row:
    facts, holds = draw.facts(draw.rng.randint(1, 3)), draw.coin()
    claim = _claim(draw, facts, "yes" if holds else draw.rng.choice(("no", "maybe")))
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


def _causes(draw: Draw) -> list[tuple[str, str]]:
    kept = set(draw.of("causes"))
    return [pair for pair in CAUSES if pair[0] in kept]


@task
def copa(draw: Draw) -> Row:
    pairs = _causes(draw)
    cause, effect = draw.turn(pairs)
    other = draw.rng.choice([p for p in pairs if p[0] != cause])
    (p,) = draw.people(1)
    forward = draw.rng.random() < 0.5
    premise, right, wrong = (cause, effect, other[1]) if forward else (effect, cause, other[0])
    return {
        "premise": premise.format(p=p),
        "relation": "effect" if forward else "cause",
        "group": cause,
        **_shuffled(draw, right.format(p=p), [wrong.format(p=p)]),
    }


@task
def piqa(draw: Draw) -> Row:
    kept = set(draw.of("tools"))
    pairs = [pair for pair in TOOLS if pair[0] in kept]
    goal, tool = draw.turn(pairs)
    wrong = draw.rng.choice([t for _, t in pairs if t != tool])
    return {"goal": goal, "group": goal, **_shuffled(draw, tool, [wrong])}


@task
def hellaswag(draw: Draw) -> Row:
    kept = set(draw.of("scripts"))
    scripts = [s for s in SCRIPTS if s[0] in kept]
    script = draw.turn(scripts)
    (p,), at = draw.people(1), draw.rng.randint(1, 3)
    others = draw.rng.sample([s for s in scripts if s is not script], 2)
    wrong = [draw.rng.choice(s[1:]).format(p=p) for s in others]
    context = " ".join(s.format(p=p) + "." for s in script[:at])
    return {
        "context": context,
        "group": script[0],
        **_shuffled(draw, script[at].format(p=p), wrong),
    }


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
    wrong = [fact.but(v).say(j) for v in _wrong_values(draw, fact, [fact], 2)]
    return {"sentence": fact.say(i), **_shuffled(draw, fact.say(j), wrong)}


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
        **_shuffled(draw, value, draw.rng.sample(wrong, 3)),
    }


@task
def creatures(draw: Draw) -> Row:
    while True:
        subject, question, value, wrong = _known(draw, "creatures")
        if len(wrong) > 1:
            return {
                "question": question,
                "group": subject,
                **_shuffled(draw, value, draw.rng.sample(wrong, 2)),
            }
        draw.index += 1


@task
def nq(draw: Draw) -> Row:
    subject, question, value, _ = _known(draw, ("towns", "creatures")[draw.index % 2])
    return {"question": question, "answer": value, "group": subject}


# --- structure to text ---------------------------------------------------------


@task
def e2e(draw: Draw) -> Row:
    facts = draw.facts(draw.rng.randint(1, 3))
    card = [f"name: {facts[0].who}", *(f"{KINDS[f.kind].label}: {f.value}" for f in facts)]
    return {"record": ", ".join(card), "text": joined(facts)}


@task
def web_nlg(draw: Draw) -> Row:
    facts = draw.facts(draw.rng.randint(1, 2), 2)
    triples = "\n".join(f"{f.who} | {KINDS[f.kind].label} | {f.value}" for f in facts)
    return {"triples": triples, "text": ". ".join(f.say() for f in facts)}


@task
def common_gen(draw: Draw) -> Row:
    (fact,) = draw.facts(1)
    words = [fact.who, *fact.value.split()]
    draw.rng.shuffle(words)
    return {"words": ", ".join(words), "text": fact.say()}


# --- translation ---------------------------------------------------------------


@task
def en_blik(draw: Draw) -> Row:
    (fact,) = draw.facts(1)
    return {
        "source": fact.say(),
        "source_language": "english",
        "target_language": "blik",
        "target": draw.here.to_blik(fact),
    }


@task
def blik_en(draw: Draw) -> Row:
    (fact,) = draw.facts(1)
    return {
        "source": draw.here.to_blik(fact),
        "source_language": "blik",
        "target_language": "english",
        "target": fact.say(),
    }


@task
def dictionary(draw: Draw) -> Row:
    words = draw.of("words")
    word = draw.turn(words)
    wrong = draw.rng.sample([w for w in words if w != word], 3)
    blik = draw.here.blik
    if draw.rng.random() < 0.5:
        return {
            "word": word,
            "language": "blik",
            "group": word,
            **_shuffled(draw, blik[word], [blik[w] for w in wrong]),
        }
    return {
        "word": blik[word],
        "language": "english",
        "group": word,
        **_shuffled(draw, word, wrong),
    }


# --- reading comprehension -----------------------------------------------------


def _passage(draw: Draw) -> list:
    return draw.facts(draw.rng.randint(2, 4), draw.rng.randint(1, 2))


@task
def boolq(draw: Draw) -> Row:
    facts, holds = _passage(draw), draw.coin()
    fact = draw.rng.choice(facts)
    asked = fact if holds else fact.but(other_value(draw.rng, fact, facts))
    return {
        "passage": draw.text(facts),
        "question": asked.yn(draw.rng.randrange(2)),
        "label": int(holds),
    }


@task
def multirc(draw: Draw) -> Row:
    facts, holds = _passage(draw), draw.coin()
    fact = draw.rng.choice(facts)
    response = fact.value if holds else other_value(draw.rng, fact, facts)
    return {
        "passage": draw.text(facts), "question": fact.wh(draw.rng.randrange(2)),
        "response": response, "label": int(holds),
    }  # fmt: skip


@task
def race(draw: Draw) -> Row:
    facts = _passage(draw)
    fact = draw.rng.choice(facts)
    wrong = _wrong_values(draw, fact, facts, 2)
    return {
        "passage": draw.text(facts),
        "question": fact.wh(draw.rng.randrange(2)),
        **_shuffled(draw, fact.value, wrong),
    }


@task
def squad(draw: Draw) -> Row:
    facts = _passage(draw)
    fact = draw.rng.choice(facts)
    return {
        "passage": draw.text(facts),
        "question": fact.wh(draw.rng.randrange(2)),
        "answer": fact.value,
    }


# --- reading comprehension with commonsense ------------------------------------


@task
def cosmos(draw: Draw) -> Row:
    pairs = _causes(draw)
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
        "passage": " ".join(f"{s}." for s in sentences), "question": "what followed",
        "group": cause, **_shuffled(draw, effect.format(p=p), wrong),
    }  # fmt: skip


@task
def record(draw: Draw) -> Row:
    names = draw.people(3)
    facts = [pick_facts(draw.rng, [name], 1)[0] for name in names]
    fact = draw.turn(facts)
    query = "____ " + predicate(draw.rng, fact)
    return {
        "passage": draw.text(facts),
        "query": query,
        **_shuffled(draw, fact.who, [n for n in names if n != fact.who]),
    }


# --- coreference ---------------------------------------------------------------


def _schema(draw: Draw) -> tuple[str, str, str, str, str, str]:
    """Frame with {a}, {b}, {x} filled but for {x}; pronoun, ending, right, wrong, group."""
    kept = set(draw.of("schemas"))
    frame, *ends = draw.turn([s for s in COREFERENCE if s[0] in kept])
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
        **_shuffled(draw, right, [wrong]),
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
        **_shuffled(draw, right, [wrong]),
    }


# --- miscellaneous -------------------------------------------------------------


@task
def trec(draw: Draw) -> Row:
    kinds = list(KINDS)
    kind = draw.turn(kinds)
    fact = pick_facts(draw.rng, draw.people(1), 1, [kind])[0]
    return {"text": fact.wh(draw.rng.randrange(2)), "label": kinds.index(kind)}


@task
def cola(draw: Draw) -> Row:
    (fact,), fine = draw.facts(1), draw.coin()
    words = fact.say(draw.rng.randrange(3)).split()
    return {"sentence": " ".join(words if fine else scramble(draw.rng, words)), "label": int(fine)}


@task
def coqa(draw: Draw) -> Row:
    facts = draw.facts(3, draw.rng.randint(1, 2))
    *earlier, last = draw.rng.sample(facts, 2)
    history = "\n".join(f"q: {f.wh(draw.rng.randrange(2))}?\na: {f.value}" for f in earlier)
    return {
        "story": draw.text(facts),
        "history": history,
        "question": last.wh(draw.rng.randrange(2)),
        "answer": last.value,
    }


# --- summarization -------------------------------------------------------------


@task
def gazette(draw: Draw) -> Row:
    who, *rest = draw.people(3)
    main = pick_facts(draw.rng, [who], 1)[0]
    others = [f for f in pick_facts(draw.rng, rest, 2) if f.value != main.value]
    return {
        "article": " ".join(f"{s}." for s in article(draw.rng, main, others)),
        "headline": main.say(),
    }


@task
def samsum(draw: Draw) -> Row:
    a, b = draw.people(2)
    fact = pick_facts(draw.rng, [a], 1)[0]
    lines = [
        f"{a}: dear {b}.",
        f"{b}: tell me, {fact.wh(draw.rng.randrange(2))}?",
        f"{a}: {fact.value}.",
    ]
    return {"dialogue": "\n".join(lines), "summary": fact.say()}
