"""The fixed words of the micro world: names, values, causes, routines.

What is said about them, and which of them are kept for evaluation, is drawn
by seed in `world`.
"""

from dataclasses import dataclass

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
    values
        What it may be, one or two words each.
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
