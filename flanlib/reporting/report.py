"""The report: one HTML page that needs nothing but itself.

It opens with question and answer; then a chapter for each study: figures, the
tables behind them, recomputed beside recorded values, the ledger, costs,
provenance. Executed notebooks and the API reference are pages beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from flanlib.core import folders, paths, provenance, storage
from flanlib.core.errors import MissingResultError
from flanlib.prompts.audit import columns
from flanlib.reporting import blocks, calibration, chapters, costs, html, reference, values
from flanlib.studies.profiles import Settings
from flanlib.studies.study import Study

SIZE = "(size of this page)"  # in the template's place, until the page is written


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
        rows = columns(list(self.agreement), html.cells(self.agreement))
        return f"{rows}\n\n{self.verdict}"


def write(
    settings: Settings,
    out: Path | None = None,
    more: Sequence[str] = (),
    compare: chapters.Compare = Study.compared,
) -> Report:
    """Write index.html, the notebooks' pages, and the API reference.

    Parameters
    ----------
    out
        Folder; `build/report` if None.

    Raises
    ------
    MissingResultError
        If no figure of these settings has been drawn.
    """
    out = folders.make(out or paths.REPORT)
    every = chapters.chapters(settings, out, more, compare)
    mine = next((one for one in every if one.name == settings.profile), None)
    if mine is None:
        raise MissingResultError(
            f"{paths.FIGURES / settings.profile}: no figure of these settings is drawn;"
            " run `flanlib figures`, or `flanlib run` with the same settings"
        )
    wanted = chapters.TRACKED if chapters.is_usual(settings) else ()
    made = html.environment()
    made.filters |= {"signed": values.signed, "bare": blocks.bare, "embedded": html.embedded}
    page = made.get_template("report.html").render(
        chapters=every,
        first=next((one for one in every if one.main), None),
        missing=[name for name in wanted if name not in {c.name for c in every}],
        titles=chapters.TITLES,
        ways=blocks.WAYS,
        assumed=costs.ASSUMED,
        calibration=calibration.calibration,
        benchmarks=costs.benchmarks(),
        gpu_hours=costs.gpu_hours(),
        api=reference.write(out / "api", made).relative_to(out),
        extent=blocks.extent,
        size=SIZE,
        own=provenance.stamp(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    index = out / "index.html"
    n_bytes = len(page.encode("utf-8"))
    storage.write(index, page.replace(SIZE, f"{n_bytes / 1e6:.1f} MB"))
    taken = dict.fromkeys(section.folder for one in every for section in one.sections)
    return Report(index=index, figures=tuple(taken), agreement=mine.agreement, verdict=mine.verdict)
