"""Libraries without bars; of their warnings only the listed ones stay unsaid."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

from flanlib.core.progress import say

LIBRARIES = ("transformers", "peft", "bitsandbytes", "accelerate", "huggingface_hub")

# Remarks that do not change what was asked for: a pattern that the line has to hold, and why it
# may stay unsaid. Everything else is passed on.
UNSAID = {
    r"^(Future|Deprecation|PendingDeprecation|Resource)Warning:": "for those who write libraries",
    r"LOAD REPORT": "`weights.load` refuses what is missing, foreign or misshapen, by name",
    r"tied weights mapping": "`weights.load` refuses ties that the file contradicts, by name",
    r"modify a model with PEFT for a second time": "a soft prompt over an adapter is meant so",
    r"fan_in_fan_out is set to": "PEFT sets it as the layer needs it",
    r"unauthenticated requests": "public models need no token",
}

_told: set[str] = set()


@contextmanager
def quiet() -> Iterator[None]:
    """No bars, and of warnings only those that mean something.

    What matches a pattern of `UNSAID` is dropped. Any other warning, logged
    by one of `LIBRARIES` or raised through Python's `warnings`, goes to
    standard error as one line, once a process. Errors come through.
    """
    teller = _Teller(logging.WARNING)
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.handlers, logger.propagate = [teller], False
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = _warned
            yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()


class _Teller(logging.Handler):
    """Passes on what a library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        _pass_on(record.name.split(".")[0], record.getMessage())


def _warned(message: Warning | str, category: type, *_: object, **__: object) -> None:
    _pass_on(category.__name__, str(message))


def _pass_on(source: str, text: str) -> None:
    line = f"{source}: {' '.join(text.split())}"
    if line in _told or any(re.search(pattern, line) for pattern in UNSAID):
        return
    _told.add(line)
    say(line if len(line) <= 400 else f"{line[:397]}...")
