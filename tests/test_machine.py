"""The trial of matrix products: made once, remembered, and what follows from it."""

import json

import pytest
import torch

from flanlib.core import devices, machine
from flanlib.models import language_model


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_CACHE", str(tmp_path))
    rates = machine.rates
    rates.cache_clear()
    yield
    rates.cache_clear()


@pytest.fixture
def noted(tmp_path):
    """Writes into the note of this machine what a trial would have found."""

    def write(**rates):
        machine.rates()
        book = tmp_path / "machine.json"
        book.write_text(json.dumps({name: rates for name in json.loads(book.read_text())}))
        machine.rates.cache_clear()

    return write


def test_a_trial_is_made_once_and_kept(tmp_path):
    first = machine.rates()
    assert set(first) == {"float32", "bfloat16"} and all(rate > 0 for rate in first.values())
    book = json.loads((tmp_path / "machine.json").read_text())
    assert list(book.values()) == [first] and torch.__version__ in next(iter(book))
    machine.rates.cache_clear()
    assert machine.rates() == first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"NAME": {"float32": "fast"}}', '{"NAME": 3}'])
def test_a_damaged_note_is_made_anew(tmp_path, damage):
    machine.rates()
    book = tmp_path / "machine.json"
    name = next(iter(json.loads(book.read_text())))
    book.write_text(damage.replace("NAME", name.replace('"', "")))
    machine.rates.cache_clear()
    assert machine.rates()["float32"] > 0
    assert json.loads(book.read_text())[name] == machine.rates()


@pytest.mark.parametrize(
    ("fast", "stored", "dtype", "wanted"),
    [
        (True, "bfloat16", None, "bfloat16"),
        (True, torch.float16, "", "bfloat16"),
        (True, "float32", None, "float32"),
        (True, None, None, "float32"),
        (False, "bfloat16", None, "float32"),
        (False, "bfloat16", "bfloat16", "bfloat16"),
        (True, "bfloat16", "float32", "float32"),
    ],
)
def test_bfloat16_where_it_pays_and_the_weights_have_no_more(noted, fast, stored, dtype, wanted):
    noted(float32=100.0, bfloat16=151.0 if fast else 149.0)
    assert devices.checked("cpu", dtype, stored)[1] == getattr(torch, wanted)


def test_the_micro_models_stay_in_float32(noted):
    """They are stored in bfloat16, but narrow; their records are in float32."""
    noted(float32=1.0, bfloat16=4.0)
    lm, _ = language_model.load("micro-300k")
    assert lm.dtype == torch.float32
