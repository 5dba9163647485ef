"""Settings of a notebook or a command, and the profiles behind them.

A profile says which collection and model are meant where nothing else is
said, how models are tuned, and how many examples are scored. `Settings` is
the one place where the parameters of notebooks and commands have their
types, defaults and meanings.
"""

import os
import re
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic.dataclasses import dataclass

from flanlib.core import bounds, naming, paths
from flanlib.core.bounds import Seed, refusing
from flanlib.core.config import STRICT, Recipe
from flanlib.core.errors import ParameterError
from flanlib.data import catalogue

LONGEST = 180  # characters of a folder's name
Name = Literal["micro", "small", "gpu", "rehearsal"]


# Clusters held out together; why these: LOG.md, entry 18.
GROUPS = (
    ("nli", "closed_book_qa", "commonsense"),
    ("struct_to_text", "reading_comprehension", "reading_comprehension_commonsense", "coreference"),
    ("sentiment", "paraphrase", "translation"),
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    """What a profile stands for.

    Attributes
    ----------
    max_examples
        Most examples scored per task.
    single_task, soft_prompt
        How one task alone, and a soft prompt, are tuned.
    ladder
        Models from small to large.
    shots
        Most exemplars in front of a question.
    held_out_groups
        Groups of clusters that ablations hold out, one group after the
        other: first the one of the paper's Figure 6, then two that cover
        the other clusters, neighbours kept together where they can be.
    n_groups
        How many of them are gone through; 0 is all.
    by_group
        Whether the main result holds each group out together as well, and
        not each cluster alone: fewer models to tune, and less to tune on.
    train_limit
        Most train rows read per task; 0 is FLAN's cap of 30 000.
    templates_per_example
        Templates that each example is asked in, in turn; 0 is all of them.
    fewest
        Evaluation rows that a task needs to be scored.
    what_there_is
        Whether tasks without rows are left out, and not only those whose rows
        each user has to obtain; figures are drawn of what is complete on record.
    chat
        Whether the base is asked through its own chat template as well.
    results
        Folder below which records are kept; None is data/results/.
    note
        Printed on every figure of this profile; empty prints nothing.
    """

    collection: str
    model: str
    recipe: Recipe
    max_examples: int
    single_task: Recipe
    soft_prompt: Recipe
    ladder: tuple[str, ...]
    shots: int
    held_out_groups: tuple[tuple[str, ...], ...] = GROUPS
    n_groups: int = 0
    by_group: bool = False
    train_limit: int = 0
    templates_per_example: int = 0
    fewest: int = 1
    what_there_is: bool = False
    chat: bool = False
    results: Path | None = None
    note: str = ""

    @property
    def tracked(self) -> bool:
        """Whether its records, and the figures drawn of them, belong to the repository."""
        return self.results is None


MICRO = Recipe(steps=800, examples_per_step=16, max_input_tokens=400, max_target_tokens=48)
GPU = Recipe(steps=3000, learning_rate=2e-4, dropout=0.05)
SMALL = Recipe(
    steps=300, examples_per_step=16, learning_rate=2e-3, max_input_tokens=384, max_target_tokens=64
)
TINY = Recipe(
    steps=4,
    examples_per_step=8,
    rank=4,
    alpha=8,
    max_input_tokens=1536,  # bytes: its tokenizer has no words; four long options have to fit
    max_target_tokens=64,
    pack_tokens=1600,
)
PROFILES: dict[str, Profile] = {
    "micro": Profile(
        collection="micro",
        model="micro-2m",
        recipe=MICRO,
        single_task=replace(MICRO, steps=200),
        soft_prompt=replace(MICRO, steps=200, learning_rate=0.03, schedule="constant"),
        max_examples=120,
        ladder=("micro-300k", "micro-600k", "micro-1m", "micro-2m", "micro-6m"),
        shots=3,
    ),
    "small": Profile(
        collection="flan",
        model="smollm2-135m-instruct",
        recipe=SMALL,
        single_task=replace(SMALL, steps=300),
        soft_prompt=replace(SMALL, steps=300, learning_rate=0.03, schedule="constant"),
        max_examples=144,
        templates_per_example=2,
        fewest=30,
        ladder=("smollm2-135m-instruct",),
        shots=3,
        by_group=True,
        what_there_is=True,
        chat=True,
        note="Samples, not full sets; the base is tuned on chats already, and was quantised once",
    ),
    "gpu": Profile(
        collection="flan",
        model="EleutherAI/pythia-1.4b",
        recipe=GPU,
        single_task=replace(GPU, steps=1000),
        soft_prompt=replace(GPU, steps=1000, learning_rate=0.03, schedule="constant"),
        max_examples=1000,
        ladder=tuple(
            f"EleutherAI/pythia-{size}" for size in ("160m", "410m", "1.4b", "2.8b", "6.9b")
        ),
        shots=16,
    ),
    "rehearsal": Profile(
        collection="flan",
        model="rehearsal",
        recipe=TINY,
        single_task=TINY,
        soft_prompt=replace(TINY, learning_rate=0.03, schedule="constant"),
        max_examples=4,
        ladder=("rehearsal",),
        shots=2,
        n_groups=1,
        train_limit=40,
        what_there_is=True,
        results=paths.BUILD / "rehearsal" / "results",
        note="REHEARSAL: tiny random model, a few rows; the numbers mean nothing",
    ),
}


@refusing
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """Parameters shared by all notebooks; see `MEANINGS`."""

    profile: Name = "micro"
    collection: str = ""
    model: str = ""
    seed: Seed = 1
    rows: str = ""
    held_out: str = ""
    recompute: str = ""

    @property
    def defaults(self) -> Profile:
        """The profile named."""
        return PROFILES[self.profile]

    @property
    def options(self) -> list[str]:
        """Those that differ from the profile's, as words of a command line."""
        pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in self.own.items())
        return [word for pair in pairs for word in pair]

    @property
    def own(self) -> dict[str, Any]:
        """Those that differ from what the profile stands for, by name."""
        usual = {"collection": self.defaults.collection, "model": self.defaults.model}
        plain = {field.name: usual.get(field.name, field.default) for field in fields(Settings)}
        found = {name: getattr(self, name) for name in plain}
        same_root = paths.label(self.collection) == paths.label(self.defaults.collection)
        found["collection"] = self.defaults.collection if same_root else self.collection
        return {name: value for name, value in found.items() if value != plain[name]}

    @property
    def clusters(self) -> tuple[str, ...]:
        """Clusters to hold out in turn, in catalogue order."""
        return self._listed("held_out", self.held_out) or tuple(self.titles)

    @property
    def recomputed(self) -> tuple[str, ...]:
        """Clusters to tune and score again, in catalogue order."""
        if self.recompute == "all":
            return self.clusters
        return self._listed("recompute", self.recompute)

    @property
    def titles(self) -> dict[str, str]:
        """Cluster that can be held out -> its title, in catalogue order."""
        known = catalogue.load(self.collection).clusters
        return {key: cluster.title for key, cluster in known.items() if cluster.evaluable}

    def _listed(self, name: str, text: str) -> tuple[str, ...]:
        chosen = [part.strip() for part in text.split(",") if part.strip()]
        if text and not chosen:
            raise ParameterError(f"{name}: {naming.shown(text)} names no cluster")
        known = self.titles
        if strange := [key for key in chosen if key not in known]:
            titles = {key: (title,) for key, title in known.items()}
            raise ParameterError(
                f"{name}: {naming.shown(strange[0])} is no cluster to hold out"
                f"{naming.alternatives(strange[0], known, titles)}"
            )
        return tuple(key for key in known if key in chosen)


MEANINGS = {
    "profile": "micro | small | gpu | rehearsal",
    "collection": "folder below data/, or a path; empty: the profile's",
    "model": "a model's name, a path, or a hub id; empty: the profile's",
    "seed": "tuning seed made sure of; other seeds on record are drawn too",
    "rows": "folder of local rows; empty: the collection's own source",
    "held_out": (
        "clusters held out, with commas between (the grid shows which together);"
        " empty: the figure's own"
    ),
    "recompute": "clusters tuned and scored again, with commas between, or all",
    "cluster": "cluster shown",
    "dataset": "dataset shown, by its key in the catalogue",
}


def recipe_of(collection: str | Path, model: str) -> Recipe | None:
    """The recipe of the profile that studies a model on a collection; None without one.

    Parameters
    ----------
    model
        Of the profile or its ladder; where a collection has one profile only,
        any other as well.
    """
    of_it = [p for p in PROFILES.values() if paths.label(p.collection) == paths.label(collection)]
    named = [p for p in of_it if model in (p.model, *p.ladder)]
    found = named or (of_it if len(of_it) == 1 else [])
    return found[0].recipe if found else None


def label(settings: Settings, **more: object) -> str:
    """A name for folders of what was made with some settings: all that it depends on.

    The profile's name, then each setting that differs from what the profile
    stands for. A path is shortened to its last part, and eight hex digits of
    the whole.

    Parameters
    ----------
    more
        Parameters that a single figure has.

    Examples
    --------
    >>> label(Settings(collection="micro", model="micro-6m", held_out="nli"))
    'micro,model=micro-6m,held_out=nli'
    """
    own = {**settings.own, "held_out": "+".join(settings.clusters) if settings.held_out else ""}
    own |= {
        "recompute": "all" if settings.recompute == "all" else "+".join(settings.recomputed),
        **more,
    }
    own |= {"collection": paths.label(own["collection"])} if "collection" in own else {}
    for name in ("rows", "model"):
        if name in own and Path(own[name]).is_dir():
            own[name] = os.path.realpath(own[name])
    chosen = {k: _plain(str(v)) for k, v in own.items() if v != "" and k != "profile"}
    text = ",".join([settings.profile, *(f"{k}={v}" for k, v in chosen.items())])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}-{_hex(text)}"


def _plain(value: str) -> str:
    """A value as a part of a folder's name; no two values give the same."""
    short = re.sub(r"[^\w.+-]+", "-", value.rstrip("/").rpartition("/")[2])[:60].strip("-.")
    same = short == value and short
    return short if same else f"{short}-{_hex(value)}"


def _hex(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def settings(**given: object) -> Settings:
    """Checked settings, with what is empty taken from the profile.

    Raises
    ------
    ParameterError
        Naming the parameter, what was given, and what is allowed.
    """
    kinds = get_type_hints(Settings, include_extras=True)
    for name in given:
        if name not in kinds:
            raise ParameterError(f"{name}: no such parameter{naming.alternatives(name, kinds)}")
    checked = {n: bounds.check(n, kinds[n], v, MEANINGS[n]) for n, v in given.items()}
    plain = Settings(**checked)
    profile = PROFILES[plain.profile]
    values = {name: getattr(plain, name) for name in kinds}
    values["collection"] = plain.collection or profile.collection
    values["model"] = plain.model or profile.model
    if plain.rows and not Path(plain.rows).is_dir():
        raise ParameterError(
            f"rows: {naming.shown(plain.rows)} is no folder; give one, or leave it empty"
        )
    if plain.profile == "rehearsal" and not plain.rows:
        raise ParameterError("rows: a rehearsal needs a folder of local rows; give one")
    found = Settings(**values)
    _ = found.clusters, found.recomputed
    return found
