"""What the report shows of one study: its answer, figures, audit, costs, provenance."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd

from flanlib import figures
from flanlib.core import paths, storage
from flanlib.core.errors import DataError
from flanlib.reporting import batch, blocks, costs, html, values
from flanlib.reporting.main_result import MAIN, MainResult
from flanlib.results import agreement as agreements
from flanlib.results import store, validity
from flanlib.studies import ledger, profiles
from flanlib.studies.profiles import Settings
from flanlib.studies.study import Study, open_study

TITLES = {
    "small": "Real language",
    "micro": "A small invented world",
    "gpu": "At scale",
    "rehearsal": "Rehearsal",
}
TRACKED = ("small", "micro")  # studies that the repository holds, in the order of the report


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One page of a figure.

    Attributes
    ----------
    image
        The SVG as a data address.
    alt
        The sheet in words, as the SVG says it.
    """

    image: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One figure in the report.

    Attributes
    ----------
    sheets
        Its pages: the message first, then the clusters where they have a page of their own.
    caption
        What the figure's module says it shows.
    csv
        The table of what is drawn.
    rows
        How many rows it has.
    recorded
        Folder of the records behind it; empty where it shows none.
    page
        Executed notebook, relative to the report; empty if it was not run.
    about
        What the figure's settings have to say.
    folder
        Where the figure's files are.
    """

    stem: str
    title: str
    caption: str
    sheets: tuple[Sheet, ...]
    csv: str
    rows: int
    recorded: str
    about: str
    page: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One study in the report.

    Attributes
    ----------
    study
        With its settings.
    title
        In plain words.
    sections
        Its figures, by number.
    main
        Its main result; None where it is not drawn.
    said
        The answer in sentences; none where numbers mean nothing.
    agreement, verdict
        Recomputed beside recorded values, and one sentence on them.
    ledger
        Leaks and substitutions.
    costs, provenance
        Of all records of its collection; of those of its main result.
    seeds
        Tuning seeds of the main result.
    lacking
        Figures that the study could have and that are not drawn: number and subject.
    """

    study: Study
    title: str
    sections: tuple[Section, ...]
    main: MainResult | None
    said: tuple[str, ...]
    agreement: pd.DataFrame
    verdict: str
    ledger: ledger.Ledger
    costs: pd.DataFrame
    provenance: pd.DataFrame
    seeds: tuple[int, ...]
    lacking: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its profile, which the addresses within the page begin with."""
        return self.study.settings.profile

    @property
    def shown(self) -> Section | None:
        """The figure of its main result."""
        return next((s for s in self.sections if s.stem == MAIN), None)


Compare = Callable[[Study], pd.DataFrame]


def chapters(
    settings: Settings, out: Path, more: Sequence[str] = (), compare: Compare = Study.compared
) -> list[Chapter]:
    """The study of some settings, and the other tracked ones; real language first.

    A study that is not the repository's own, such as a rehearsal or one of
    another collection or model, stands alone.
    """
    found = [
        chapter(settings, out, more, compare)
        if name == settings.profile
        else chapter(profiles.settings(profile=name), out, (), compare)
        for name in named(settings)
    ]
    return [one for one in found if one.sections]


def named(settings: Settings) -> list[str]:
    """Profiles of the studies that a report of some `settings` is of, in its order."""
    others = [name for name in TRACKED if any((paths.FIGURES / name).glob("*.csv"))]
    found = {settings.profile, *(others if is_usual(settings) else ())}
    return sorted(found, key=lambda name: TRACKED.index(name) if name in TRACKED else len(TRACKED))


def is_usual(settings: Settings) -> bool:
    """Whether a study is tracked, with its profile's own collection and model."""
    usual = settings.defaults
    own = settings.collection or usual.collection, settings.model or usual.model
    return settings.profile in TRACKED and own == (usual.collection, usual.model)


def chapter(
    settings: Settings, out: Path, more: Sequence[str] = (), compare: Compare = Study.compared
) -> Chapter:
    """One study as the report shows it; without sections if nothing of it is drawn."""
    given = batch.given(settings, more)
    study = open_study(**batch.parted(given)[0])
    every = {stem: _section(stem, given, out) for stem in batch.stems((), settings)}
    sections = sorted(filter(None, every.values()), key=lambda one: batch.number(one.stem))
    absent = sorted((stem for stem, one in every.items() if one is None), key=batch.number)
    shown = next((s for s in sections if s.stem == MAIN), None)
    main, said = None, ()
    if shown and settings.profile != "rehearsal":
        table = values.read(shown.folder / f"{MAIN}.csv")
        main = MainResult(settings.profile, table, study.settings.titles)
        said = tuple(blocks.said(main)) if main.clusters else ()
        said = said if is_usual(settings) else said[:2]
    agreement = compare(study)
    return Chapter(
        study=study,
        title=TITLES.get(settings.profile, settings.profile),
        sections=tuple(sections),
        main=main if main and main.clusters else None,
        said=said,
        agreement=agreement,
        verdict=verdict(agreement, study.settings.recomputed),
        ledger=ledger.ledger(study.catalogue, rows=study.settings.rows or None),
        costs=costs.costs(store.load(study.at)),
        provenance=study.provenance(),
        seeds=tuple(sorted({r.factors.seed for r in study.records(study.at)} - {0})),
        lacking=tuple(blocks.subject(stem) for stem in absent),
    )


def verdict(agreement: pd.DataFrame, recomputed: Sequence[str]) -> str:
    """One sentence on a table of `Study.compared`, for the clusters asked for."""
    if not recomputed:
        return "Every value comes from records; nothing was computed again."
    if agreement.empty:
        return f"Of {', '.join(recomputed)} nothing is on record that could be compared."
    off = agreement[~agreement["agrees"].astype(bool)]
    clusters = agreement["cluster"].nunique()
    if off.empty:
        return (
            f"Recomputed values of {clusters} held-out clusters agree with the recorded ones"
            f" (largest difference {agreement['difference'].abs().max():.2f} points; untuned values"
            " have to be the same to rounding, tuned ones to lie within the spread of seeds by a t"
            f" test at {100 * agreements.LEVEL:.0f} % for all clusters together)."
        )
    named = ", ".join(f"{row.cluster} {row.arm} {row.difference:+.1f}" for row in off.itertuples())
    return (
        f"DISAGREEMENT in {len(off)} of {len(agreement)} values: {named} points. Either a record"
        " was altered, or code or rows changed since it was made."
    )


def _section(stem: str, given: dict[str, Any], out: Path) -> Section | None:
    """A figure's part of the page; None if it was not drawn."""
    shared, own = batch.parted(batch.own(stem, given))
    study = figures.open_for(stem, **{**figures.USUAL.get(stem, {}), **shared})
    at = figures.folder(stem, study, **own)
    svg = at / f"{stem}.svg"
    if not svg.is_file():
        return None
    if stem not in figures.WITHOUT_RECORDS:
        known = store.load(study.at)
        validity.refuse_stale(study.cells(), known, study.today, study.command)
    csv = _csv(svg)
    further = [at / f"{stem}_{name}.svg" for name in figures.sheets_of(stem)]
    words = (figures.module(stem).__doc__ or "").strip().split("\n\n", 1)
    return Section(
        stem=stem,
        title=words[0].rstrip("."),
        caption=" ".join(words[1].split()) if len(words) > 1 else "",
        sheets=tuple(_sheet(path, stem) for path in (svg, *further) if path.is_file()),
        csv=csv[0],
        rows=csv[1],
        recorded="" if stem in figures.WITHOUT_RECORDS else _below(study.at),
        about=_about(study),
        page=_page(stem, batch.label(given), out),
        folder=at,
    )


def _sheet(svg: Path, stem: str) -> Sheet:
    try:
        text = svg.read_text(encoding="utf-8")
        if not text.rstrip().endswith("</svg>"):
            raise ValueError("its end is missing")
    except (OSError, ValueError) as error:
        raise _unreadable(svg, stem, error) from None
    alt = re.search(r"<desc[^>]*>(.*?)</desc>", text, re.S)
    return Sheet(
        image="data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode(),
        alt=unescape(alt[1]) if alt else "",
    )


def _csv(svg: Path) -> tuple[str, int]:
    """The table beside a figure, and how many rows it has."""
    path = svg.with_suffix(".csv")
    try:
        return path.read_text(encoding="utf-8"), len(pd.read_csv(path))
    except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
        raise _unreadable(path, svg.stem, error) from None


def _unreadable(path: Path, stem: str, error: Exception) -> DataError:
    why = getattr(error, "strerror", None) or " ".join(str(error).split())[:100]
    return DataError(
        f"{path}: cannot be shown ({why}); draw it again with `flanlib figures --only"
        f" {stem}`, or with `flanlib run` and the same settings"
    )


def _below(folder: Path) -> str:
    """A folder as people name it: from the repository's root where it is below it."""
    return f"{folder.relative_to(paths.ROOT) if folder.is_relative_to(paths.ROOT) else folder}/"


def _about(study: Study) -> str:
    note = f"{study.note} " if study.note else ""
    again = ", ".join(study.settings.recomputed)
    return note + (f"Recomputed here: {again}." if again else "")


def _page(stem: str, name: str, out: Path) -> str:
    """Render an executed notebook; its address relative to the report."""
    source = paths.BUILD / "notebooks" / name / f"{stem}.ipynb"
    if not source.is_file():
        return ""
    import nbformat
    from nbconvert import HTMLExporter

    try:
        content = nbformat.read(source, as_version=4)
    except Exception as error:  # nbformat and jsonschema raise errors of their own
        raise DataError(
            f"{source}: not a notebook ({type(error).__name__}); delete it, or run it again with"
            f" `flanlib run --only {stem}`"
        ) from None
    content.metadata.pop("widgets", None)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(content)
    target = out / "notebooks" / name.split(",")[0] / f"{stem}.html"
    page = html.environment().get_template("notebook.html").render(title=stem, body=body)
    storage.write(target, page)
    return target.relative_to(out).as_posix()
