"""Verbs about collections: what there is, rows, prompts, mixtures, checks."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from flanlib.commands.arguments import arguments, flags, like
from flanlib.core import parts, storage
from flanlib.core.bounds import Count, File, Seed
from flanlib.core.errors import ParameterError
from flanlib.core.progress import say

if TYPE_CHECKING:
    from flanlib.data.catalogue import Catalogue
    from flanlib.prompts.rendering import Check

Format = Literal["table", "json"]
FORMS = "`instruction`, `dataset-name`, `none` or `cloze`."


def show(value: object) -> None:
    """Plain data as JSON, on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def output(path: Path | None) -> Iterator[TextIO]:
    """A file, there whole or not at all, or standard output."""
    if path is not None:
        with storage.writing(path) as file:
            yield file
        return
    with parts.naming("standard output"):
        yield sys.stdout
        sys.stdout.flush()


def refuse(verb: Callable, given: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    """Refuse options that would be passed over.

    Parameters
    ----------
    verb
        Whose options they are.
    given
        Option -> what was given, or its default.
    names
        Options without a meaning.
    why
        Why they have none, for the message.

    Raises
    ------
    ParameterError
        Naming the first that is not left at its default.
    """
    for argument in arguments(verb):
        if argument.name in names and given[argument.name] != argument.default:
            raise ParameterError(f"{flags(argument)[0]} has no meaning {why}; leave it out")


def doctor() -> int:
    """Say what works on this machine, what is missing, and what to do next."""
    from flanlib.commands import doctor

    found = doctor.examine(say)
    print(doctor.page(found))
    return 0 if all(check.ok for check in found if check.needed) else 1


def list_(
    *,
    collection: str = "",
    count: Literal["figure", "code"] = "figure",
    models: bool = False,
    format: Format = "table",
) -> None:
    """List collections, one collection's clusters, datasets and templates, or models.

    Parameters
    ----------
    collection
        Name below data/, or a folder; without it, all collections.
    count
        `figure` counts datasets as the paper's figure does, `code` counts
        tasks as its code does.
    models
        Models that go by a name, and whether they were fetched, instead.
    """
    given = locals()
    from flanlib.commands import listing
    from flanlib.data import catalogue

    if models:
        refuse(list_, given, ("collection", "count"), "with --models")
        show(listing.models()) if format == "json" else print(listing.model_table())
        return
    if not collection:
        found = listing.collections()
        if format == "json":
            show([listing.content(one, count) for one in found])
        else:
            print(listing.overview(found))
        return
    one = catalogue.load(collection)
    if format == "json":
        show(listing.content(one, count))
    else:
        print(listing.table(one, count))


def fetch(
    *, collection: str = "flan", tasks: tuple[str, ...] = (), models: tuple[str, ...] = ()
) -> int:
    """Download rows or models, or verify those that are there.

    Parameters
    ----------
    tasks
        Task keys; without them, all tasks, and none where models are named.
    models
        Names of models, as `flanlib list --models` lists them.
    """
    from flanlib.data import catalogue, hub
    from flanlib.models import fetch as by_name

    if models and not tasks:
        given = {"collection": collection}
        refuse(fetch, given, ("collection",), "with --models and without --tasks")
        result = by_name.fetch(models, progress=say)
        show(result)
        return 3 if any(result.values()) else 0
    found = catalogue.load(collection)
    result = hub.fetch(found, tasks, progress=say)
    required = {k for k in result if tasks or found.task(k).source.route != "manual"}
    missing = any(result[key] for key in required)
    fetched = by_name.fetch(models, progress=say)
    show(result | fetched)
    return 3 if missing or any(fetched.values()) else 0


@like("flanlib.prompts.rendering:render", form=FORMS)
def render(
    *,
    collection: str = "micro",
    check: bool = False,
    out: File | None = None,
    format: Format = "table",
    **given: object,
) -> int:
    """Turn rows into prompts, as JSON lines; or check every row and template.

    Parameters
    ----------
    check
        Render every row under every template of every form and say what is
        wrong, instead of writing prompts; status 1 if anything is, 3 if there
        is no row.
    out
        File to write; without it, standard output.
    format
        How the result of a check is printed.
    """
    from flanlib.data import catalogue
    from flanlib.prompts import rendering

    found = catalogue.load(collection)
    if not check:
        with output(out) as file:
            n = rendering.write(rendering.render(found, **given), file)
        say(f"{n} prompts")
        return 0
    refuse(render, given, ("split", "form", "template"), "with --check, which takes everything")
    result = _check(found, given["rows"], given["tasks"], given["limit"])
    with output(out) as file:
        text = result.table() if format == "table" else json.dumps(result.to_dict(), indent=2)
        file.write(text + "\n")
    if result.n_problems:
        return 1
    return 0 if any(task.n_rows for task in result.tasks) else 3


def _check(
    found: "Catalogue", rows: Path | None, tasks: tuple[str, ...], limit: int | None
) -> "Check":
    """`rendering.check` task by task, with a line for each."""
    from flanlib.prompts import rendering

    chosen, parts, began = (
        [found.task(key).key for key in tasks] or list(found.tasks),
        [],
        time.monotonic(),
    )
    for number, key in enumerate(chosen, 1):
        parts += rendering.check(found, rows, [key], limit).tasks
        done = parts[-1]
        spent = time.monotonic() - began
        say(
            f"[{number}/{len(chosen)}] {key}: {done.n_prompts} prompts, {done.n_problems} problems;"
            f" about {spent / number * (len(chosen) - number):.0f} s left"
        )
        for problem in done.problems[:1]:
            say(f"{key}: {problem}")
    return rendering.Check(collection=found.name, tasks=tuple(parts))


@like(
    "flanlib.prompts.mixture:mixture",
    held_out="Cluster to leave out with its neighbours; without it, nothing is left out.",
    max_exemplars="Most exemplars in front of one example.",
)
def mix(
    *,
    collection: str = "micro",
    held_out: str = "",
    seed: Seed = 0,
    n: Count = 0,
    out: File | None = None,
    model: str = "",
    **given: object,
) -> None:
    """Write a tuning mixture as JSON lines, and its audit beside it.

    Parameters
    ----------
    n
        Examples to write; 0 writes as many as the mixture draws from.
    out
        File to write, with `.audit.json` beside it and the audit printed;
        without it, or into a pipe, the audit goes to standard error alone.
    model
        Whose tokenizer counts tokens for the audit; without it, none does.
    """
    from flanlib.data import catalogue
    from flanlib.models import weights
    from flanlib.prompts import mixture, rendering
    from flanlib.prompts.export import write_mixture

    if model:
        weights.locate(model)  # a mistyped name shows before rows are read
    say("reading rows ...")
    mixed = mixture.mixture(catalogue.load(collection), held_out, seed=seed, **given)
    total = n or mixed.n_examples
    say(f"{mixed.n_examples} examples of {len(mixed.parts)} tasks; writing {total}")
    tokenizer = None
    if model:
        from flanlib.models.language_model import load_tokenizer

        tokenizer = load_tokenizer(model)
    if out is None or storage.special(out):
        with output(out) as file:
            rendering.write(islice(mixed, total), file)
        say(mixed.audit(tokenizer).table())
        return
    print(write_mixture(mixed, total, out, tokenizer).table())


@like("flanlib.prompts.export:export", form=FORMS)
def export(*, collection: str = "micro", **given: object) -> None:
    """Write templates or a mixture in the format of another tool."""
    from flanlib.prompts.export import export

    print(export(collection, **given))


def audit(
    *,
    collection: str = "micro",
    held_out: tuple[str, ...] = (),
    texts: bool = False,
    rows: Path | None = None,
    format: Format = "table",
) -> int:
    """Account for leaks, substitutions and completeness; status 3 if incomplete.

    Parameters
    ----------
    held_out
        Clusters to hold out; without them, every one that can be.
    texts
        Also read the rows, and compare each train text with the evaluation
        texts of the held-out cluster.
    """
    from flanlib.data import catalogue
    from flanlib.studies import ledger

    found = ledger.ledger(catalogue.load(collection), held_out, texts=texts, rows=rows, say=say)
    if format == "json":
        show(asdict(found))
    else:
        print(found.table())
    return 3 if found.incomplete else 0
