"""Figures: one module each, drawn from records without a model.

A figure's module has `collect(study)`, which gives the tidy table of what is
drawn, `draw(table)`, and `describe(table)`, the same in words. `SHEETS` of a
module names further sheets of the figure, drawn of the same table: each a
function that draws it and one that describes it, whose words are empty where
the table has nothing for the sheet. `summary(table)` and `reading(table)` are for
its notebook. A module `figN_name` with a notebook of the same name is a figure;
what is unusual about it stands in the lists below.

Public: `STEMS`, `open_for` and `publish`, which notebooks call, and each figure's
module. This package must not compute what it draws, nor know notebooks or pages.
It works without torch.
"""

import base64
import html
import re
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flanlib.core import naming, paths
from flanlib.core.errors import ParameterError
from flanlib.figures import style
from flanlib.results import published
from flanlib.studies import profiles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from flanlib.studies.study import Study

STEMS = tuple(  # by number: each module figN_name.py of this package is a figure
    sorted(
        (one.name for one in iter_modules(__path__) if re.match(r"fig\d+_", one.name)),
        key=lambda name: int(re.findall(r"\d+", name)[0]),
    )
)
WITHOUT_RECORDS = ("fig3_taxonomy", "fig4_templates")
WITHOUT_MODEL = (*WITHOUT_RECORDS, "fig7_scale")  # no one model
USUAL: dict[str, dict[str, str]] = {  # settings that differ from the default
    "fig1_pipeline": {"profile": "small"},
    "fig3_taxonomy": {"collection": "flan"},
    "fig4_templates": {"collection": "flan"},
    "fig13_against_paper": {"profile": "small"},
}
SHOWING_ROWS = ("fig4_templates",)  # text of examples
OF_THE_PAPER = ("fig13_against_paper",)  # drawn of the paper's own datasets alone


@dataclass(frozen=True)
class Shown:
    """A figure that was written; shows itself in a notebook.

    Attributes
    ----------
    files
        Suffix (svg, png, csv) -> path; of a further sheet, `<sheet>.svg` and `<sheet>.png`.
    alt
        The figure in words.
    sheets
        Its further sheets.
    """

    stem: str
    files: dict[str, Path]
    alt: str
    sheets: tuple["Shown", ...] = ()

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.files["png"].read_bytes()).decode()
        alt = html.escape(self.alt, quote=True)
        first = f'<img width="710" alt="{alt}" src="data:image/png;base64,{image}"/>'
        return "<br/>".join([first, *(sheet._repr_html_() for sheet in self.sheets)])


def module(stem: str) -> ModuleType:
    """The module of a figure; `ParameterError` names the others."""
    if stem not in STEMS:
        raise ParameterError(f"no figure {stem!r}{naming.alternatives(stem, STEMS)}")
    return import_module(f"flanlib.figures.{stem}")


def applies(stem: str, collection: str) -> bool:
    """Whether a figure can be drawn for a collection."""
    return stem not in OF_THE_PAPER or paths.label(collection) == published.COMPARED


def require(stem: str, collection: str) -> None:
    """Raise `ParameterError` where a figure cannot be drawn for a collection; see `applies`."""
    if not applies(stem, collection):
        fitting = [name for name, p in profiles.PROFILES.items() if applies(stem, p.collection)]
        raise ParameterError(
            f"{stem}: compares datasets with the paper's, and collection"
            f" {naming.shown(collection)} has none of them; take one of the profiles"
            f" {', '.join(fitting)}, or leave this figure out"
        )


def publish(stem: str, table: "pd.DataFrame", study: "Study", **own: object) -> Shown:
    """Draw a table and write SVG, PNG and CSV where they belong, further sheets too.

    A collection that is not below data/ is not FLAN's: its clusters have their
    own titles, and no published number stands beside them. `own` is what else
    `collect` was given, such as the dataset shown.
    """
    drawn, titles = module(stem), {}
    if not study.catalogue.tracked:
        table = published.without(table)
        titles = {key: cluster.title for key, cluster in study.catalogue.clusters.items()}
    table = style.shown(table)
    note, remark = ("", "") if stem in WITHOUT_RECORDS else (study.note, study.types)
    with style.titled(titles), style.remarking(remark):
        fig, words = drawn.draw(table), drawn.describe(table)
        more = []
        for name, (draw, describe) in sheets_of(stem).items():
            said = describe(table)
            more.append((name, draw(table) if said else None, said))
    about = f"collection {study.catalogue.name}"
    if stem not in WITHOUT_MODEL:
        about += f", model {study.settings.model}"
    at = folder(stem, study, **own)

    def put(name: str, fig: "Figure", words: str, rows: "pd.DataFrame | None") -> Shown:
        with style.look():
            style.stamp(fig, about, note)
        parts = (note and f"{note}.", words, remark, f"({about})")
        alt = style.printable(" ".join(part for part in parts if part))
        return Shown(name, style.save(fig, name, rows, alt, at), alt)

    first = put(stem, fig, words, table)
    files, sheets = dict(first.files), []
    for name, page, said in more:
        if page is None:  # an earlier table may have had what this one lacks
            for suffix in ("svg", "png"):
                (at / f"{stem}_{name}.{suffix}").unlink(missing_ok=True)
        else:
            sheets.append(put(f"{stem}_{name}", page, said, None))
            files |= {f"{name}.{suffix}": path for suffix, path in sheets[-1].files.items()}
    return replace(first, files=files, sheets=tuple(sheets))


def sheets_of(stem: str) -> dict[str, Any]:
    """Further sheets of a figure: name -> (draws it, describes it)."""
    return getattr(module(stem), "SHEETS", {})


def open_for(stem: str, **given: object) -> "Study":
    """The runs that a figure shows: its own axis, or the main study."""
    from flanlib.studies import axes, plans
    from flanlib.studies.study import open_study

    study = axes.open_axis(stem, **given) if stem in plans.PLANS else open_study(**given)
    require(stem, study.settings.collection)
    return study


def redraw(stem: str, study: "Study | None" = None, **given: object) -> Shown:
    """Collect from records of `study`, or the figure's usual one, and publish them."""
    if study is None:
        study = open_for(stem, **USUAL.get(stem, {}))
    return publish(stem, module(stem).collect(study, **given), study, **given)


def folder(stem: str, study: "Study", **own: object) -> Path:
    """figures/<profile>/ for a figure as its profile has it, else below build/figures/.

    As the profile has it: every setting is the profile's own, or the one that
    `USUAL` names for this figure. Local rows are no other setting, since records
    say which rows they were made of; a figure that shows rows is another with them.
    A profile whose records are not tracked has no folder there. The name below
    build/figures/ says all that the figure depends on, so that a rehearsal,
    another collection or model, a part of the study, or a recomputation never
    takes the place of another figure. `own` is what else `collect` was given.
    """
    plain = signature(module(stem).collect).parameters
    more = {k: v for k, v in own.items() if k not in plain or v != plain[k].default}
    settings = study.settings
    if settings.defaults.tracked and not study.stale_too:
        usual = profiles.settings(**{**USUAL.get(stem, {}), "profile": settings.profile})
        same = settings if stem in SHOWING_ROWS else replace(settings, rows="")
        if profiles.label(same, **more) == profiles.label(usual):
            return paths.FIGURES / settings.profile
    return (
        paths.BUILD / ("stale" if study.stale_too else "figures") / profiles.label(settings, **more)
    )
