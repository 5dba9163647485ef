"""The few errors a user is meant to act on; everything else is a built-in.

Every message names the place (file, task, field or cell), what was found,
what is allowed, and the next step.
"""


class FlanlibError(Exception):
    """Base of all errors that are the input's fault and not a bug here."""


class DataError(FlanlibError):
    """A catalogue, row, record or model file is not what it has to be."""


class TemplateError(FlanlibError):
    """A template cannot be loaded, rendered, tokenised or ranked."""


class LeakageError(FlanlibError):
    """Tuning and evaluation would share a dataset or an example text."""


class MissingResultError(FlanlibError):
    """Something that should have been recorded or fetched is not there."""


class StaleResultError(MissingResultError):
    """What is recorded was made from other rows, templates or weights than today's."""


class ParameterError(FlanlibError, ValueError):
    """A parameter is unknown, of the wrong type, or out of its range."""


class RunError(FlanlibError):
    """A tuning or scoring run cannot start, go on, or be trusted."""
