"""What a dry run prints: memory, and how long tuning would take."""

from pathlib import Path

from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import MissingResultError
from flanlib.core.progress import say


def dry_run(
    factors: Factors,
    recipe: Recipe,
    rows: Path | None = None,
    device: str = "",
    dtype: str = "",
    available_gib: float | None = None,
) -> None:
    """Print what a run will take; without rows, all but its tokens and time.

    Parameters
    ----------
    factors, recipe
        Of the run.
    rows
        Folder of local rows; None lets the source decide.
    device, dtype
        As `tune` takes them; empty for its defaults.
    available_gib
        Memory to plan for; None is what the device has left.

    Raises
    ------
    RunError
        If the run will not fit.
    """
    from flanlib.prompts.mixture import of_run
    from flanlib.training import duration, memory

    prompts = None
    try:
        prompts = of_run(factors, recipe, rows)
    except MissingResultError as error:
        say(f"no tokens counted: {error}")
    found = memory.plan(
        *(factors, recipe),
        device=device or None,
        dtype=dtype or None,
        available_gib=available_gib,
        prompts=prompts,
    )
    print("\n".join(found.lines()), flush=True)
    memory.check(found)
    if found.device == "cpu" and prompts is not None:
        forecast = duration.forecast(factors, recipe, prompts, dtype=dtype or None)
        print(f"time              {forecast.line}")
