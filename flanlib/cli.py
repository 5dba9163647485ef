"""The command `flanlib`: one verb per thing to do.

Data goes to standard output, progress to standard error. Exit status: 0 done,
1 failed, 2 wrong usage, 3 something recorded or fetched is missing.
"""

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from flanlib import paths
from flanlib.commands import arguments
from flanlib.errors import FlanlibError, MissingResultError, ParameterError

MODULES = ("verbs", "verbs_study", "verbs_sweep")  # below commands/
ORDER = (
    *("doctor", "list", "fetch", "render", "mix", "export", "audit"),
    *("pretrain", "tune", "score", "run", "figures", "report"),
    *("grid", "work", "merge"),
)


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


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in words
    try:
        return _main([word for word in words if word != "--debug"])
    except KeyboardInterrupt:
        print("flanlib: stopped; the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FlanlibError as error:
        if debug:
            raise
        print(f"flanlib: {error}", file=sys.stderr)
        return status(error)
    except OSError as error:
        if debug:
            raise
        print(f"flanlib: {error.filename or 'system'}: {error.strerror}", file=sys.stderr)
        return 1


def status(error: FlanlibError) -> int:
    """Exit status of an `error`: 2 parameters, 3 results that are missing, else 1."""
    if isinstance(error, ParameterError):
        return 2
    return 3 if isinstance(error, MissingResultError) else 1


def _main(words: Sequence[str]) -> int:
    known = verbs()
    parser = argparse.ArgumentParser(
        prog="flanlib",
        description="Instruction tuning as in FLAN, from rows to figures.",
        epilog="`flanlib VERB --help` tells a verb's options; --debug shows where an error arose.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    inner = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    chosen = next((word for word in words if not word.startswith("-")), "")
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
    return arguments.call(verb, found, space) or 0


def _find(module: str, name: str):
    found = import_module(f"flanlib.commands.{module}")
    return getattr(found, name, None) or getattr(found, f"{name}_")
