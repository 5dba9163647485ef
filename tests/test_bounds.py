"""Numbers and words out of range: refused in one line before anything is done."""

import math
import typing
from dataclasses import MISSING
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.commands import arguments, cli
from flanlib.core import bounds
from flanlib.core.config import Factors, Recipe, Scoring
from flanlib.core.errors import ParameterError
from flanlib.prompts import export, mixture, rendering
from flanlib.studies.profiles import Settings
from flanlib.training import tune

WHOLE = ["-1", str(2**63), str(10**30), "9" * 5_000, "١", "1_0", " 1", "1.0", "1e3", "", "nan"]
REAL = ["nan", "inf", "-inf", "-0.1", "1e400", "1_0", "0,5", "٠.٥", " 0.5", "", "half", "0x1"]
GIVEN = {str: "x", Path: "x", int: "1", float: "0.5"}


def every_option():
    """(verb, argument) for all that can be typed."""
    for verb, (module, _) in cli.verbs().items():
        for argument in arguments.arguments(cli._find(module, verb)):
            yield verb, argument


OPTIONS = list(every_option())


def plain(argument):
    return arguments._plain(argument.type)


def numbers():
    return [(verb, a) for verb, a in OPTIONS if plain(a) in (int, float)]


def bad_values(argument):
    kind = argument.type
    if typing.get_origin(kind) is typing.Literal:
        return ["zap", next(filter(None, typing.get_args(kind))).upper() + "S"]
    if hasattr(kind, "__metadata__"):
        low = next(iter(bounds._field(kind).metadata), None)
        none = ["0"] if getattr(low, "ge", 0) >= 1 or hasattr(low, "gt") else []
        found = {int: [*WHOLE, *none], float: [*REAL, *none], str: ["zap", "a\0b"]} | {
            Path: ["", " ", "a/", "a\0b"]
        }
        return found[plain(argument)]
    return {str: ["a\0b"], Path: ["", " ", "a\0b"], bool: []}[kind]


def command(verb, argument, text):
    """A command line that is right but for one value."""
    words = [verb]
    for other in (a for v, a in OPTIONS if v == verb and a.default is MISSING):
        if other.name != argument.name:
            choices = typing.get_args(other.type) if "Literal" in str(other.type) else ()
            usual = choices[0] if choices else GIVEN.get(plain(other), "x")
            usual = "0" * 12 if other.type is bounds.RunId else usual
            words += [usual] if other.positional else [arguments.flags(other)[0], usual]
    return [*words, text] if argument.positional else [*words, arguments.flags(argument)[0], text]


def read(words):
    """Read a command line and go no further; its exit status."""
    found = cli.parsed(words)
    return found if isinstance(found, int) else 0


def test_every_number_has_bounds_and_every_option_a_kind_that_is_checked():
    for verb, argument in OPTIONS:
        bad_values(argument)  # a KeyError is an option of a kind that nothing checks
        if plain(argument) in (int, float):
            assert "wanted" not in bounds.wanted(argument.type)
            assert hasattr(argument.type, "__metadata__"), f"{verb} {argument.name}"


@pytest.mark.parametrize("verb", list(cli.verbs()))
def test_bad_values_are_refused_in_one_line(verb, capsys):
    for argument in (a for v, a in OPTIONS if v == verb):
        for text in bad_values(argument):
            status = cli.main(command(verb, argument, text), read)
            out, err = capsys.readouterr()
            assert (status, out) == (2, ""), (argument.name, text, err)
            assert err.count("\n") == 1 and len(err) < 250, err
            name = argument.name if argument.positional else arguments.flags(argument)[0]
            assert name.replace("_", "-") in err.lower(), err


@pytest.mark.parametrize("verb", list(cli.verbs()))
def test_an_option_with_one_value_is_given_once(verb, capsys):
    for argument in (a for v, a in OPTIONS if v == verb):
        if argument.positional or argument.several or plain(argument) is bool:
            continue
        choices = typing.get_args(argument.type) if "Literal" in str(argument.type) else ()
        good = next(filter(None, choices), GIVEN.get(plain(argument), "x"))
        good = {"seed": "2", "device": "cpu", "max_input_tokens": "64", "pack_tokens": "64"}.get(
            argument.name, good
        )
        flag = arguments.flags(argument)[0]
        assert cli.main([*command(verb, argument, good), flag, good], read) == 2
        assert "given twice" in capsys.readouterr().err, argument.name


@pytest.mark.parametrize("text", [",", ", ,", "", " "])
def test_a_list_of_nothing_is_refused(text, capsys):
    assert cli.main(["render", "--tasks", text], read) == 2
    assert "--tasks" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="names no cluster"):
        from flanlib.studies import profiles

        profiles.settings(held_out=text or ",")


def test_a_list_counts_names_once():
    _, _, space = cli.parsed(["render", "--tasks", "rte, cb", "rte,", "--task", "cb"])
    assert space.tasks == ("rte", "cb")


@given(one=st.sampled_from(numbers()), value=st.one_of(st.integers(), st.floats(), st.just(-0.0)))
@settings(max_examples=60, deadline=None)
def test_any_number_is_taken_as_it_is_or_refused(one, value):
    _, argument = one
    low, high = limits(argument.type)
    right = not math.isnan(value) and low <= value <= high
    if plain(argument) is int:
        right = right and isinstance(value, int)
    try:
        read = bounds.check("it", argument.type, repr(value))
    except ParameterError as error:
        assert not right and "it: " in str(error)
    else:
        assert right and read == value and type(read) is plain(argument)
        assert math.copysign(1, read) == 1, "-0.0 would be another run"


def limits(kind):
    about = {}
    for one in bounds._field(kind).metadata:
        about |= {n: getattr(one, n) for n in ("ge", "gt", "le", "lt") if hasattr(one, n)}
    low = about["ge"] if "ge" in about else math.nextafter(about["gt"], math.inf)
    return low, about["le"] if "le" in about else math.nextafter(about["lt"], 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.mixture(None, "", seed=-1), "seed: -1 is not a whole number from 0 to"),
        (lambda: mixture.mixture(None, "", seed=1, n_examples=-5), "n_examples: -5"),
        (lambda: mixture.mixture(None, "", seed=1, exemplar_share=math.nan), "share: nan is not"),
        (lambda: mixture.mixture(None, "", seed=1, form="instructions"), "mean 'instruction'"),
        (lambda: mixture.mixture(None, "", seed=True), "seed: True"),
        (lambda: rendering.render(None, split="test"), "split: 'test' is not train, dev or eval"),
        (lambda: rendering.render(None, limit=0), "limit: 0 is not a whole number from 1"),
        (lambda: rendering.check(None, limit=-1), "limit: -1"),
        (lambda: export.export("micro", "trl", "out", n=-1), "n: -1"),
        (lambda: tune.tune(Factors(), Recipe(), out="o", checkpoint_every=0), "every: 0"),
        (lambda: tune.tune(Factors(), Recipe(), out="o", dtype="bf16"), "mean 'bfloat16'"),
    ],
)
def test_functions_refuse_at_the_call(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_what_is_checked_is_also_read():
    @bounds.checked
    def f(a, n: bounds.Count, *, x: bounds.Share | None = None):
        return a, n, x

    assert f(None, "7", x=1) == (None, 7, 1.0) and f("any", n=0) == ("any", 0, None)


def test_minus_nothing_is_nothing():
    assert math.copysign(1, Recipe(dropout=-0.0).dropout) == 1


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Factors, {"seed": -1}, "seed: -1 is not a whole number from 0 to 4294967295"),
        (Factors, {"sead": 1}, "Factors has no field 'sead' (did you mean 'seed'?)"),
        (Factors, {"clusters": "nli"}, "clusters: 'nli' is not a list of text"),
        (Factors, {"arm": None}, "arm: None is not base, tuned, finetuned, single-task or"),
        (Recipe, {"dropout": float("nan")}, "dropout: nan is not a number from 0 to below 1"),
        (Scoring, {"shots": 65}, "shots: 65 is not a whole number from 0 to 64"),
        (Settings, {"profile": "x"}, "profile: 'x' is not micro, small, gpu or rehearsal"),
    ],
)
def test_settings_made_in_python_are_refused_in_the_same_words(kind, given, message):
    with pytest.raises(ParameterError) as caught:
        kind(**given)
    assert str(caught.value).startswith(message)
    with pytest.raises(ParameterError, match="give every field by its name"):
        kind("micro")
