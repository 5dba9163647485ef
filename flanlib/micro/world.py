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

DEVELOPMENT, REPORTED = 0, 1
Side = Literal["tuning", "evaluation"]

MEN = (
    "bob carl dan erik finn gus hal ivan jack kurt leo max ned otto paul ralf sam tom"
    " ugo vic walt yuri zack adam"
).split()
WOMEN = (
    "ann beth cora dora ella fay gina hana iris jane kate lena mia nora olga pia rosa"
    " sue tina una vera wilma yara zoe"
).split()
COLOURS = "red blue green black white yellow pink brown".split()
OBJECTS = "ball hat cup lamp bag coat box drum kite key coin bell rope ring".split()
PLACES = (
    "kitchen garden school park barn shop library station market hall cellar tower chapel bakery"
).split()
FOODS = "bread cheese soup rice cake fish corn plums honey nuts beans jam".split()
JOBS = "baker teacher farmer doctor singer driver painter cook tailor guard pilot writer".split()
MOODS = "happy sad angry tired calm scared proud bored".split()
PETS = "dog cat goat horse duck rabbit mouse parrot sheep turtle".split()

COUNTRIES = "norland sudria westmark ostia grania tavia lumia perra".split()
PRODUCTS = "wool wine glass silk salt iron tea paper oil clocks".split()
TOWNS = (
    "velby torham lisk drun marn posa quill redda sorn tamba ulm wexa yorn zilla arlo bram"
    " cull dova elm fenn gorse hask inna jolt kell lorn mott nesh orra pell rusk sten"
    " tulk urda vint warn yell zorn abla birk cade dorn estle farr gild holm irn jura"
).split()
CREATURES = (
    "fox owl bear wolf deer frog crab seal hawk crow toad mole bat swan lynx otter"
    " beaver badger stork heron newt snail eel moth wasp beetle spider lizard camel zebra"
    " tiger lion monkey panda moose raven"
).split()
HOMES = "forest cave lake desert hill swamp".split()
DIETS = "grass seeds insects roots berries leaves".split()
TIMES = ("day", "night")

GOOD = (
    "great lovely superb charming brilliant delightful splendid wonderful"
    " fresh funny warm clever sweet gentle fine perfect"
).split()
BAD = (
    "awful dull poor boring terrible dreadful nasty horrid"
    " stale clumsy cold silly bitter rude cheap broken"
).split()
THINGS = "film book meal hotel song game play show room trip tour story".split()


@dataclass(frozen=True)
class Kind:
    """A type of fact: how it is said, asked, recorded.

    Attributes
    ----------
    say
        Statements with {p} person and {v} value; all mean the same.
    wh, yn
        Open and yes/no questions, without the question mark.
    label
        Name of the slot in records.
    asks
        What sort of answer the open question wants.
    """

    key: str
    say: tuple[str, ...]
    wh: tuple[str, ...]
    yn: tuple[str, ...]
    label: str
    asks: str
    values: tuple[str, ...]


KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            "have",
            ("{p} has a {v}", "{p} owns a {v}", "a {v} belongs to {p}"),
            ("what does {p} have", "which thing belongs to {p}"),
            ("does {p} have a {v}", "does a {v} belong to {p}"),
            "thing",
            "object",
            tuple(f"{c} {o}" for c in COLOURS for o in OBJECTS),
        ),
        Kind(
            "place",
            ("{p} is in the {v}", "{p} stays at the {v}", "you can find {p} in the {v}"),
            ("where is {p}", "in which place is {p}"),
            ("is {p} in the {v}", "can you find {p} in the {v}"),
            "place",
            "place",
            tuple(PLACES),
        ),
        Kind(
            "food",
            ("{p} likes {v}", "{p} is fond of {v}", "{p} enjoys eating {v}"),
            ("what does {p} like to eat", "which food does {p} like"),
            ("does {p} like {v}", "is {p} fond of {v}"),
            "food",
            "food",
            tuple(FOODS),
        ),
        Kind(
            "job",
            ("{p} is a {v}", "{p} works as a {v}", "{p} has the job of a {v}"),
            ("what is the job of {p}", "what does {p} work as"),
            ("is {p} a {v}", "does {p} work as a {v}"),
            "job",
            "job",
            tuple(JOBS),
        ),
        Kind(
            "mood",
            ("{p} feels {v}", "{p} is {v} today", "the mood of {p} is {v}"),
            ("how does {p} feel", "what is the mood of {p}"),
            ("does {p} feel {v}", "is {p} {v} today"),
            "mood",
            "feeling",
            tuple(MOODS),
        ),
        Kind(
            "pet",
            ("{p} keeps a {v}", "{p} takes care of a {v}", "a {v} lives with {p}"),
            ("which animal does {p} keep", "what animal lives with {p}"),
            ("does {p} keep a {v}", "does a {v} live with {p}"),
            "pet",
            "animal",
            tuple(PETS),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that holds of one person."""

    kind: str
    who: str
    value: str

    def say(self, form: int = 0) -> str:
        """A statement; `form` picks among wordings of the same meaning."""
        return KINDS[self.kind].say[form].format(p=self.who, v=self.value)

    def wh(self, form: int = 0) -> str:
        """The open question whose answer is the value."""
        return KINDS[self.kind].wh[form].format(p=self.who)

    def yn(self, form: int = 0) -> str:
        """The yes/no question whether this fact holds."""
        return KINDS[self.kind].yn[form].format(p=self.who, v=self.value)

    def but(self, value: str) -> "Fact":
        """The same fact with another value."""
        return Fact(self.kind, self.who, value)


# Cause and effect; {p} is a person. All are told in pretraining; which ones
# tuning may use is drawn by seed.
CAUSES = (
    ("{p} dropped the glass", "the glass broke"),
    ("{p} forgot the umbrella in the rain", "{p} got wet"),
    ("{p} ate too much", "{p} had a stomach ache"),
    ("{p} did not sleep", "{p} was very tired"),
    ("{p} left the milk in the sun", "the milk turned sour"),
    ("{p} watered the flowers", "the flowers grew"),
    ("{p} touched the hot stove", "{p} burned a finger"),
    ("{p} lost the wallet", "{p} could not pay"),
    ("{p} missed the bus", "{p} came late"),
    ("{p} studied all week", "{p} passed the test"),
    ("{p} told a joke", "everybody laughed"),
    ("{p} rang the doorbell", "someone opened the door"),
    ("{p} turned off the light", "the house became dark"),
    ("{p} ran for an hour", "{p} was out of breath"),
    ("{p} left the window open in winter", "the house became cold"),
    ("{p} broke a promise", "the friends were upset"),
    ("{p} fed the hungry puppy", "the puppy wagged its tail"),
    ("{p} pulled the plug", "the machine stopped"),
    ("{p} drove into a nail", "the tyre went flat"),
    ("{p} spilled ink on the shirt", "the shirt was stained"),
    ("{p} won the race", "{p} got a medal"),
    ("{p} put the ice in the sun", "the ice melted"),
    ("{p} shook the tree", "the apples fell down"),
    ("{p} shouted at the baby", "the baby cried"),
    ("{p} washed the car", "the car was clean"),
    ("{p} lit the candle", "the wax became soft"),
    ("{p} kicked the bucket of water", "the floor got slippery"),
    ("{p} threw a stone at the window", "the window cracked"),
    ("{p} planted a seed", "a small plant came up"),
    ("{p} saved money for a year", "{p} bought a bicycle"),
    ("{p} wore thin shoes in the snow", "{p} had cold feet"),
    ("{p} listened to a slow song", "{p} fell asleep"),
    ("{p} cut the rope", "the boat drifted away"),
    ("{p} poured salt into the coffee", "the coffee tasted bad"),
    ("{p} took the wrong road", "{p} got lost"),
    ("{p} heard a sudden bang", "{p} jumped with fear"),
    ("{p} sent a letter", "the letter arrived"),
    ("{p} practised the violin", "{p} played at the concert"),
    ("{p} opened the cage", "the bird flew out"),
    ("{p} baked a pie", "the whole house smelled good"),
)
TOOLS = (
    ("cut a loaf", "a knife"),
    ("dig a hole", "a spade"),
    ("sweep the floor", "a broom"),
    ("open a bottle", "an opener"),
    ("drive in a nail", "a hammer"),
    ("see the stars", "a telescope"),
    ("sew a button", "a needle"),
    ("write a note", "a pencil"),
    ("catch a trout", "a net"),
    ("climb onto the roof", "a ladder"),
    ("carry water", "a bucket"),
    ("dry the hands", "a towel"),
    ("brush the teeth", "a toothbrush"),
    ("comb the hair", "a comb"),
    ("tell the time", "a watch"),
    ("cross the sea", "a boat"),
    ("cut the lawn", "a mower"),
    ("boil an egg", "a pot"),
    ("fry potatoes", "a pan"),
    ("unlock a gate", "a latchkey"),
    ("draw a straight line", "a ruler"),
    ("measure the heat", "a thermometer"),
    ("wash the dishes", "a sponge"),
    ("saw a plank", "a saw"),
    ("paint a wall", "a brush"),
    ("stay dry outside", "an umbrella"),
    ("find the north", "a compass"),
    ("light a fire", "a match"),
    ("tie a parcel", "a string"),
    ("iron a shirt", "an iron plate"),
    ("mix the dough", "a spoon"),
    ("weigh the flour", "a scale"),
    ("pull out a screw", "a screwdriver"),
    ("look at germs", "a microscope"),
    ("keep papers together", "a clip"),
    ("rake the leaves", "a rake"),
)
# Routines: what people do, in order.
SCRIPTS = (
    ("{p} fills the kettle", "{p} boils the water", "{p} pours the tea", "{p} sips from the mug"),
    ("{p} buys a ticket", "{p} boards the train", "{p} finds a seat", "{p} gets off at the stop"),
    (
        "{p} wets the hands",
        "{p} takes the soap",
        "{p} rinses the soap off",
        "{p} dries the fingers",
    ),
    (
        "{p} opens the envelope",
        "{p} unfolds the letter",
        "{p} reads the lines",
        "{p} writes a reply",
    ),
    ("{p} puts on skates", "{p} steps on the rink", "{p} glides along", "{p} takes the skates off"),
    ("{p} picks a book", "{p} sits down", "{p} reads a chapter", "{p} closes the book"),
    ("{p} mixes the batter", "{p} greases the tin", "{p} heats the oven", "{p} bakes the muffins"),
    (
        "{p} walks to the well",
        "{p} lowers the pail",
        "{p} pulls the pail up",
        "{p} carries it home",
    ),
    ("{p} pitches the tent", "{p} gathers wood", "{p} starts a campfire", "{p} sleeps in the tent"),
    ("{p} takes a canvas", "{p} sketches a face", "{p} adds colour", "{p} frames the picture"),
    (
        "{p} saddles the pony",
        "{p} mounts it",
        "{p} rides to the field",
        "{p} leads it to the stable",
    ),
    ("{p} dials the number", "{p} waits for a voice", "{p} talks for a while", "{p} hangs up"),
    (
        "{p} loads the basket",
        "{p} stands in line",
        "{p} pays the clerk",
        "{p} brings the goods home",
    ),
    ("{p} puts on an apron", "{p} peels the carrots", "{p} chops them", "{p} stirs the stew"),
    ("{p} rakes the soil", "{p} sows the peas", "{p} pulls the weeds", "{p} harvests the peas"),
    ("{p} tunes the guitar", "{p} plays a tune", "{p} bows", "{p} leaves the stage"),
)
# Twin sentences: the ending decides whom the pronoun means (0 first, 1 second).
COREFERENCE = (
    ("{a} paid {b} because {x}", ("wanted a favour", 0), ("did the work", 1)),
    ("{a} thanked {b} because {x}", ("got a gift", 0), ("gave a gift", 1)),
    ("{a} helped {b} because {x}", ("was strong", 0), ("was weak", 1)),
    ("{a} asked {b} because {x}", ("needed advice", 0), ("knew the way", 1)),
    ("{a} taught {b} because {x}", ("was skilled", 0), ("was new to it", 1)),
    ("{a} chased {b} because {x}", ("wanted to catch a thief", 0), ("stole the purse", 1)),
    ("{a} carried {b} because {x}", ("had strong arms", 0), ("hurt a leg", 1)),
    ("{a} envied {b} because {x}", ("lost the match", 0), ("won the match", 1)),
    ("{a} fed {b} because {x}", ("had food left", 0), ("was hungry", 1)),
    ("{a} visited {b} because {x}", ("felt alone", 0), ("was ill in bed", 1)),
    ("{a} feared {b} because {x}", ("was a coward", 0), ("was a bully", 1)),
    ("{a} lent {b} money because {x}", ("was rich", 0), ("was poor", 1)),
)


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


ENTITIES: dict[str, tuple[str, ...]] = {
    "men": tuple(MEN),
    "women": tuple(WOMEN),
    "towns": tuple(TOWNS),
    "creatures": tuple(CREATURES),
    "causes": tuple(c for c, _ in CAUSES),
    "tools": tuple(g for g, _ in TOOLS),
    "scripts": tuple(s[0] for s in SCRIPTS),
    "schemas": tuple(s[0] for s in COREFERENCE),
    "good": tuple(GOOD),
    "bad": tuple(BAD),
    "things": tuple(THINGS),
    "words": (*COLOURS, *OBJECTS, *PLACES, *FOODS, *JOBS, *MOODS, *PETS),
}
RELATIONS = {
    "towns": {"country": tuple(COUNTRIES), "product": tuple(PRODUCTS)},
    "creatures": {"home": tuple(HOMES), "diet": tuple(DIETS), "time": TIMES},
}
BLIK_WORDS = (*KINDS, *ENTITIES["words"])


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
    """`n` facts about people, each with its own value, no (kind, person) twice."""
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
