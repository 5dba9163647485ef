"""The report: one HTML page that needs nothing but itself.

Figures, the tables behind them, recomputed beside recorded values, the
ledger, costs, provenance; executed notebooks and the API reference as pages
beside it.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd

from flanlib import figures, folders, paths, provenance, results, storage
from flanlib.errors import DataError, MissingResultError
from flanlib.profiles import Settings
from flanlib.prompts.audit import columns
from flanlib.reporting import batch, costs, reference
from flanlib.studies import agreement as agreements
from flanlib.studies import ledger, validity
from flanlib.study import Study, open_study

PAGES = Path(__file__).with_name("pages")
LONGEST = 2_000  # rows of a table shown; the CSV holds all
WIDEST = 400  # characters of a cell shown


@dataclass(frozen=True, kw_only=True)
class Section:
    """One figure in the report.

    Attributes
    ----------
    image
        The SVG as a data address.
    alt
        The figure in words, as the SVG says it.
    caption
        What the figure's module says it shows.
    page
        Executed notebook, relative to the report; empty if it was not run.
    about
        What the figure's settings have to say.
    folder
        Where the figure's files are.
    sheets
        Image and words of each further sheet.
    """

    stem: str
    title: str
    caption: str
    image: str
    alt: str
    table: pd.DataFrame
    about: str
    page: str
    folder: Path
    sheets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written, and whether recomputed values agree.

    Attributes
    ----------
    index
        The page.
    figures
        Folders that figures were taken from.
    """

    index: Path
    figures: tuple[Path, ...]
    agreement: pd.DataFrame
    verdict: str

    @property
    def agrees(self) -> bool:
        """Whether every recomputed value is as near as it has to be."""
        return bool(self.agreement["agrees"].all())

    def comparison(self) -> str:
        """Recomputed beside recorded values, as text, and the verdict."""
        if self.agreement.empty:
            return self.verdict
        rows = columns(list(self.agreement), _plain(self.agreement))
        return f"{rows}\n\n{self.verdict}"


def write(settings: Settings, out: Path | None = None, more: Sequence[str] = ()) -> Report:
    """Write index.html, the notebooks' pages, and the API reference.

    Parameters
    ----------
    settings
        Those the notebooks were run with.
    out
        Folder; `build/report` if None.
    more
        Parameters of single notebooks, as NAME=VALUE.

    Raises
    ------
    MissingResultError
        If no figure of these settings has been drawn.
    """
    out = folders.make(out or paths.REPORT)
    given = batch.given(settings, more)
    study = open_study(**batch.parted(given)[0])
    sections = [
        s for stem in batch.stems((), settings) if (s := _section(stem, given, out)) is not None
    ]
    if not sections:
        raise MissingResultError(
            f"{paths.FIGURES / settings.profile}: no figure of these settings is drawn;"
            " run `flanlib figures`, or `flanlib run` with the same settings"
        )
    sections.sort(key=lambda section: batch.number(section.stem))
    agreement = compared(study)
    sentence = verdict(agreement, study.settings.again)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            title="Instruction tuning as in FLAN",
            study=study,
            settings=study.settings,
            sections=sections,
            agreement=agreement,
            verdict=sentence,
            ledger=ledger.ledger(study.catalogue, rows=study.settings.rows or None),
            costs=costs.costs(results.load(study.at)),
            assumed=costs.ASSUMED,
            benchmarks=costs.benchmarks(),
            gpu_hours=costs.gpu_hours(),
            api=reference.write(out / "api", _environment()).relative_to(out),
            provenance=study.provenance(),
            seeds=sorted({record.factors.seed for record in study.records(study.at)} - {0}),
            own=provenance.stamp(),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )
    index = out / "index.html"
    storage.write(index, page)
    taken = tuple(dict.fromkeys(section.folder for section in sections))
    return Report(index=index, figures=taken, agreement=agreement, verdict=sentence)


def compared(study: Study) -> pd.DataFrame:
    """What was computed again beside what is on record; see `agreement.compare`."""
    again = study.settings.again
    fresh = [r for r in study.records(study.again_at) if r.cluster in again] if again else []
    whole = replace(study, settings=replace(study.settings, held_out=""))
    return agreements.compare(study.records(study.at), fresh, whole.records(study.at))


def verdict(agreement: pd.DataFrame, again: Sequence[str]) -> str:
    """One sentence on a table of `compared`, for the clusters asked for."""
    if not again:
        return "Every value comes from records; nothing was computed again."
    if agreement.empty:
        return f"Of {', '.join(again)} nothing is on record that could be compared."
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
        known = results.load(study.at)
        validity.refuse_stale(study.cells(), known, study.today, study.command)
    text, table = _drawn(svg), _rows(svg)
    further = [at / f"{stem}_{name}.svg" for name in figures.sheets_of(stem)]
    words = (figures.module(stem).__doc__ or "").strip().split("\n\n", 1)
    return Section(
        stem=stem,
        title=words[0].rstrip("."),
        caption=" ".join(words[1].split()) if len(words) > 1 else "",
        image=_image(text),
        alt=_words(text),
        table=table,
        about=_about(study),
        page=_page(stem, batch.label(given), out),
        folder=at,
        sheets=tuple(
            (_image(one), _words(one))
            for one in (_drawn(path, stem) for path in further if path.is_file())
        ),
    )


def _image(svg: str) -> str:
    """An SVG as a data address."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _words(svg: str) -> str:
    """What an SVG says of itself."""
    found = re.search(r"<desc[^>]*>(.*?)</desc>", svg, re.S)
    return unescape(found[1]) if found else ""


def _drawn(svg: Path, stem: str = "") -> str:
    """A sheet of a figure, as SVG; `DataError` where its end is missing."""
    with _shown(svg, stem or svg.stem):
        text = svg.read_text(encoding="utf-8")
        if not text.rstrip().endswith("</svg>"):
            raise ValueError("its end is missing")
        return text


def _rows(svg: Path) -> pd.DataFrame:
    """The table beside a figure."""
    path = svg.with_suffix(".csv")
    with _shown(path, svg.stem):
        return pd.read_csv(path, keep_default_na=False)


@contextmanager
def _shown(path: Path, stem: str) -> Iterator[None]:
    """Raise `DataError` naming a file that cannot be read, and how to draw it again."""
    try:
        yield
    except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:100]
        raise DataError(
            f"{path}: cannot be shown ({why}); draw it again with `flanlib figures --only"
            f" {stem}`, or with `flanlib run` and the same settings"
        ) from None


def _about(study: Study) -> str:
    note = f"{study.note} " if study.note else ""
    again = ", ".join(study.settings.again)
    return note + (f"Recomputed here: {again}." if again else "")


def _page(stem: str, name: str, out: Path) -> str:
    """Render an executed notebook; its address relative to the report."""
    source = batch.folder(name) / f"{stem}.ipynb"
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
    target = out / "notebooks" / f"{stem}.html"
    page = _environment().get_template("notebook.html").render(title=stem, body=body)
    storage.write(target, page)
    return f"notebooks/{target.name}"


def _environment() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    made.filters["rows"] = _plain
    made.filters["numeric"] = lambda frame, name: frame[name].dtype.kind in "iuf"
    made.globals["style"] = (PAGES / "report.css").read_text(encoding="utf-8")
    made.globals["script"] = (PAGES / "report.js").read_text(encoding="utf-8")
    return made


def _plain(frame: pd.DataFrame) -> list[list[str]]:
    """Cells as text: numbers short, long text cut."""
    rows = frame.head(LONGEST).itertuples(index=False)
    return [[_cell(value) for value in row] for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, bool) or str(value) in ("True", "False"):
        return "yes" if str(value) == "True" else "no"
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.{2 if abs(value) < 10_000 else 0}f}"
    text = str(value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]} …"
