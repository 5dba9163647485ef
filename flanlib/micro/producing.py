"""Datasets that ask for text, and the miscellaneous ones."""

from flanlib.micro.draw import Draw, Row, shuffled, task
from flanlib.micro.forms import article, joined, scramble
from flanlib.micro.lexicon import KINDS
from flanlib.micro.world import pick_facts

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
            **shuffled(draw, blik[word], [blik[w] for w in wrong]),
        }
    return {"word": blik[word], "language": "english", "group": word, **shuffled(draw, word, wrong)}


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
        f"{a}: what is it, {b}?",
        f"{b}: tell me, {fact.wh(draw.rng.randrange(2))}?",
        f"{a}: {fact.value}.",
    ]
    return {"dialogue": "\n".join(lines), "summary": fact.say()}
