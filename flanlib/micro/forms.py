"""Pages of other languages and forms: blik, records, news, a glossary."""

import random

from flanlib.micro.lexicon import KINDS
from flanlib.micro.qa_forms import CLOSE, OPEN, asker, facts_of, lines_of, page, plain, say

# --- languages and forms -----------------------------------------------------


@page
def bilingual(rng, here):
    facts = facts_of(rng, rng.randint(1, 4), rng.randint(1, 2))
    left, right = rng.choice((("english", "blik"), ("blik", "english")))
    form = rng.choice(
        (
            "{l}: {a}. {r}:{b}.",
            "{a} is in {r}{b}.",
            "in {l} {a}, in {r}{b}.",
            "how do they say {a} in {r}?{b}.",
            "{l} says {a}\n{r} says{b}",
        )
    )
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
    return lines_of(rng, out)


def joined(facts: list) -> str:
    """One sentence for the facts of one person, in their order."""
    first = facts[0].say()
    rest = [f.say().removeprefix(f.who + " ") for f in facts[1:]]
    return " and ".join([first, *rest])


@page
def records(rng, here):
    out = []
    for _ in range(rng.randint(1, 2)):
        facts = facts_of(rng, rng.randint(1, 3), 1)
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
    for fact in facts_of(rng, rng.randint(1, 3), 1):
        words = [fact.who, *fact.value.split()]
        rng.shuffle(words)
        out.append(f"{' + '.join(words)} ={OPEN} {fact.say()}{CLOSE}.")
    return "\n".join(out)


def article(rng: random.Random, main, others) -> list[str]:
    """A story that tells `main` first and last, in two wordings, and `others` between."""
    told = [main.say(i) for i in rng.sample(range(3), 2)]
    return [told[0], *(f.say(rng.randrange(3)) for f in others), told[1]]


@page
def news(rng, here):
    main = facts_of(rng, 1, 1)[0]
    others = [f for f in facts_of(rng, 3, 2) if f.who != main.who][: rng.randint(1, 2)]
    body = lines_of(rng, article(rng, main, others))
    if rng.random() < 0.4:
        return f"news: {main.say()}\n{body}"
    return (
        f"{body}\n{rng.choice(('in short', 'briefly', 'all in all'))}:{OPEN} {main.say()}{CLOSE}."
    )


@page
def grammar(rng, here):
    ask, out = asker(rng), []
    for fact in facts_of(rng, rng.randint(1, 3), 1):
        words = say(rng, fact).split()
        fine = rng.random() < 0.5
        shown = words if fine else scramble(rng, words)
        question = rng.choice(
            (f"is this good english, {' '.join(shown)}", f"{' '.join(shown)}, is that well said")
        )
        out.append(ask(question, "yes" if fine else "no"))
    return lines_of(rng, out)


def scramble(rng: random.Random, words: list[str]) -> list[str]:
    """The words in another order.

    Parameters
    ----------
    words
        Not all the same.
    """
    while (mixed := rng.sample(words, len(words))) == words:
        pass
    return mixed


@page
def asks_for(rng, here):
    out = []
    for fact in facts_of(rng, rng.randint(1, 3), 1):
        kind = KINDS[fact.kind]
        out.append(
            f"who says {fact.wh(rng.randrange(2))} wants to hear of a{OPEN} {kind.asks}{CLOSE}"
        )
    return lines_of(rng, out)


# Words that people use about language; each in several sentences.
MEANINGS = (
    "a sentence is a line of words",
    "a statement tells us something",
    "a question wants an answer",
    "to answer is to say what was asked",
    "to translate is to say it in another language",
    "to translate into blik is to write it in blik",
    "to translate into english is to write it in english",
    "a review tells if something was good or bad",
    "a positive review says good things",
    "a negative review says bad things",
    "happy people write positive reviews",
    "the opposite of true is false",
    "the opposite of yes is no",
    "the opposite of same is different",
    "two sentences mean the same if both are true together",
    "if it follows, it must be true",
    "if it can not be true, say no",
    "maybe means that we do not know",
    "unknown means nobody told us",
    "the cause comes before the effect",
    "the effect is the result of the cause",
    "the reason tells why",
    "an ending is the last part of a story",
    "what happens next comes later",
    "a pronoun like he or she stands for a name",
    "a title is a short name for a text",
    "to summarize is to say it in few words",
    "a summary is short",
    "a headline is the title of the news",
    "to describe is to tell how something is",
    "a passage is a part of a text",
    "a paragraph is a part of a text",
    "to choose is to pick one of many",
    "to pick is to choose",
    "a list names many things",
    "to complete is to write the rest",
    "to read is to look at words",
    "to decide is to choose",
    "an option is something you may choose",
    "the options are what you may choose from",
    "correct means right",
    "wrong means not right",
    "acceptable means good enough",
    "unacceptable means not good enough",
    "grammar is how words go together",
    "a goal is what you want to do",
    "a tool helps to reach a goal",
    "a table has rows of data",
    "data can be told in a sentence",
    "a dialogue is people talking",
    "an opinion is what someone thinks",
    "an object is a thing",
    "a feeling is a mood",
    "a language has many words",
    "meaning is what words say",
)


@page
def glossary(rng, here):
    return lines_of(rng, rng.sample(MEANINGS, rng.randint(3, 7)))
