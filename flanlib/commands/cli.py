"""The command `flanlib`: one verb per thing to do.

Data goes to standard output, progress to standard error. Exit status: 0 done,
1 failed, 2 wrong usage, 3 something recorded or fetched is missing.
"""

import argparse
import ast
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import NoReturn

from flanlib.commands import arguments
from flanlib.core import naming, paths
from flanlib.core.errors import FlanlibError, MissingResultError, ParameterError

MODULES = ("verbs", "verbs_study", "verbs_pages", "verbs_sweep")  # below commands/
ORDER = (
    *("doctor", "list", "fetch", "render", "mix", "export", "audit"),
    *("pretrain", "tune", "score", "run", "figures", "illustrate", "calibrate", "report"),
    *("grid", "work", "merge"),
)


Parsed = tuple[Callable, Sequence[arguments.Argument], argparse.Namespace]


class Parser(argparse.ArgumentParser):
    """A parser that tells wrong usage in one line, as every other error is told."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line; `message` tells what is wrong with it."""
        raise ParameterError(message.removeprefix("argument "))


@cache
def verbs() -> dict[str, tuple[str, str]]:
    """Verb -> module and summary, read from the source without running it.

    Importing what the verbs need takes seconds; a list of verbs does not.
    """
    found = {}
    for module in MODULES:
        path = paths.PACKAGE / "commands" / f"{module}.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.rstrip("_") in ORDER:
                words = (ast.get_docstring(node) or "").split("\n", 1)[0]
                found[node.name.rstrip("_")] = (module, words)
    return {name: found[name] for name in ORDER}


def main(words: Sequence[str] | None = None, act: Callable[[list[str]], int] | None = None) -> int:
    """Run one command, and tell what goes wrong in a few lines; its exit status.

    Parameters
    ----------
    words
        Of the command line; None takes those of this process.
    act
        Does what the words say and gives the status; None runs the verb.
    """
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in words
    if sys.stderr is None:  # closed; what is printed there would go to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    _encode()
    try:
        if sys.stdout is None:
            raise ParameterError("standard output is closed; send it to a file, or to /dev/null")
        status = (_main if act is None else act)([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _failed("stopped; the same command goes on", 130)
    except BrokenPipeError:
        _drop_output()
        return 1
    except Exception as error:
        if debug:
            raise
        return _failed(*_told(error))


def _encode() -> None:
    """Text out as UTF-8, whatever the locale says; messages never fail to be written."""
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            encoding = {"encoding": "utf-8"} if stream is sys.stdout else {}
            stream.reconfigure(errors=errors, **encoding)


def _told(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit status."""
    if isinstance(error, FlanlibError):
        return str(error), status(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or _place()}: {error.strerror}", 1
    if isinstance(error, MemoryError):
        return "there is not enough memory; give smaller numbers, or a smaller model", 1
    what = " ".join(str(error).split()) or "no message"
    kind = type(error).__name__
    return f"{naming.shortened(what)[:400]} (unexpected {kind}; --debug shows where)", 1


def _place() -> str:
    """What a system error without a file is about: standard output, if that fails again."""
    try:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"")
    except OSError:
        _drop_output()
        return "standard output"
    return "system"


def _drop_output() -> None:
    """Let what is left for standard output go nowhere, so that Python can end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: str, status: int) -> int:
    print(f"flanlib: {naming.shortened(message)}", file=sys.stderr)
    return status


def status(error: FlanlibError) -> int:
    """Exit status of an `error`: 2 parameters, 3 results that are missing, else 1."""
    if isinstance(error, ParameterError):
        return 2
    return 3 if isinstance(error, MissingResultError) else 1


def _main(words: Sequence[str]) -> int:
    found = parsed(words)
    if isinstance(found, int):
        return found
    if found[2].verb != "doctor":
        _check_surroundings()
    return arguments.call(*found) or 0


def parsed(words: Sequence[str]) -> Parsed | int:
    """What a command line means; the exit status where it is done with when it is read.

    Parameters
    ----------
    words
        Of the command line, without `--debug`.

    Returns
    -------
    The verb, its arguments, and their values: what `arguments.call` takes.

    Raises
    ------
    ParameterError
        If there is no such verb or option, or a value is wrong.
    """
    known = verbs()
    parser = Parser(
        prog="flanlib",
        description="Instruction tuning as in FLAN, from rows to figures.",
        epilog="`flanlib VERB --help` tells a verb's options; --debug shows where an error arose.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    inner = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    chosen = next((word for word in words if not word.startswith("-")), "")
    if chosen and chosen not in known:
        raise ParameterError(f"no verb {naming.shown(chosen)}{_others(chosen, known)}")
    if not chosen:
        _check_options(words, ())
    for name, (module, text) in known.items():
        if name != chosen:
            inner.add_parser(name, help=text, add_help=False)
            continue
        verb = _find(module, name)
        found = arguments.arguments(verb)
        part = inner.add_parser(
            name, help=text, description=arguments.summary(verb), allow_abbrev=False
        )
        arguments.fill(part, found)
        _check_options(words, found)
    try:
        space = parser.parse_args(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    if space.version:
        from importlib.metadata import version

        print(version("flanlib"))
        return 0
    if not space.verb:
        parser.print_help(sys.stderr)
        return 2
    return verb, found, space


def _check_options(words: Sequence[str], found: Sequence[arguments.Argument]) -> None:
    """Refuse an unknown option, naming the one that was meant."""
    known = [
        "--help",
        "--version",
        "--debug",
        *(flag for one in found for flag in arguments.flags(one)),
    ]
    options = words[: words.index("--")] if "--" in words else words
    for word in options:
        option = word.partition("=")[0]
        if word.startswith("--") and " " not in word and option not in known:
            raise ParameterError(f"no option {naming.shown(option)}{_others(option, known)}")


def _others(word: str, known: Iterable[str]) -> str:
    return naming.alternatives(word, known, remedy="--help")


def _check_surroundings() -> None:
    """Refuse environment variables that would fail somewhere deep below."""
    paths.check()
    if any(name.startswith("HF_") for name in os.environ):
        try:
            import_module("huggingface_hub.constants")
        except ValueError as error:
            raise ParameterError(f"an environment variable HF_...: {error}") from None


def _find(module: str, name: str):
    found = import_module(f"flanlib.commands.{module}")
    return getattr(found, name, None) or getattr(found, f"{name}_")
