"""A run that is killed ends with the same table."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pyarrow.parquet
import pytest
from small_models import byte_tokenizer, prompt, random_model

from flanlib.core import parts
from flanlib.core.errors import DataError, ParameterError, RunError
from flanlib.evaluation import score, shards

WORDS, LM = byte_tokenizer(), random_model("llama")
PROMPTS = [prompt("word " * (n % 5 + 1), example=str(n)) for n in range(11)]


@pytest.fixture(autouse=True)
def of_three(monkeypatch):
    """Shards of three prompts."""
    monkeypatch.setattr(shards, "SHARD_PROMPTS", 3)


@pytest.mark.parametrize("kind", ["rank", "generate"])
def test_killed_and_resumed_equals_unbroken(tmp_path, kind, monkeypatch):
    lm, given = random_model("llama"), {"kind": kind}
    if kind == "generate":
        given["max_new_tokens"] = 6
    whole = shards.run(lm, WORDS, PROMPTS, out=tmp_path / "whole", **given)
    broken = tmp_path / "broken"

    def killed(lm, tokenizer, part, **settings):
        if part[0] is PROMPTS[6]:  # within the third shard
            raise KeyboardInterrupt
        return act(lm, tokenizer, part, **settings)

    act = getattr(score, kind)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(score, kind, killed)
        shards.run(lm, WORDS, PROMPTS, out=broken, **given)
    made = {path: path.stat().st_mtime_ns for path in broken.glob("*.parquet")}
    assert len(made) == 2
    lines = []
    found = shards.run(lm, WORDS, PROMPTS, out=broken, say=lines.append, **given)
    assert [line.split(",")[0] for line in lines] == ["9 of 11 prompts", "11 of 11 prompts"]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert found["example"].drop_duplicates().tolist() == [str(n) for n in range(11)]
    again = shards.run(lm, WORDS, PROMPTS, out=broken, say=lines.append, **given)
    assert len(lines) == 2
    pd.testing.assert_frame_equal(again, whole, check_exact=True)


def test_a_partial_file_is_not_taken_for_a_shard(tmp_path):
    lm = random_model("llama")
    whole = shards.run(lm, WORDS, PROMPTS, out=tmp_path, kind="rank")
    (tmp_path / "00001.parquet").unlink()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = f".00001.parquet.{parts.MACHINE}-{ended.pid}-0123456789ab.part"
    (tmp_path / left).write_bytes(b"half")
    found = shards.run(lm, WORDS, PROMPTS, out=tmp_path, kind="rank")
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert not list(tmp_path.glob(".*.part"))


def cut(path):
    os.truncate(path, 100)


def flip(path):
    """One bit of a log-likelihood, in a file that reads as well as before."""
    about = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    column = next(c for c in map(about.column, range(99)) if c.path_in_schema == "ll")
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start + column.total_compressed_size - 3] ^= 1
    path.write_bytes(content)


def swap(path):
    shutil.copy(path.with_name("00000.parquet"), path)


@pytest.mark.parametrize("damage", [cut, flip, swap])
def test_a_damaged_shard_is_named_before_anything_is_scored(tmp_path, damage):
    given = {"out": tmp_path, "kind": "rank"}
    whole = shards.run(LM, WORDS, PROMPTS, **given)
    damage(tmp_path / "00001.parquet")
    (tmp_path / "00000.parquet").unlink()
    with pytest.raises(RunError, match=r"00001\.parquet: is dam"):
        shards.run(LM, WORDS, PROMPTS, **given)
    assert not (tmp_path / "00000.parquet").exists()
    (tmp_path / "00001.parquet").unlink()
    pd.testing.assert_frame_equal(shards.run(LM, WORDS, PROMPTS, **given), whole, check_exact=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0"])
def test_a_damaged_manifest_is_named(tmp_path, content):
    shards.run(LM, WORDS, PROMPTS, out=tmp_path, kind="rank")
    (tmp_path / shards.MANIFEST).write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: .*; delete the folder .* and score"):
        shards.run(LM, WORDS, PROMPTS, out=tmp_path, kind="rank")


def test_shards_without_a_manifest_are_nobodys(tmp_path):
    shards.run(LM, WORDS, PROMPTS, out=tmp_path, kind="rank")
    (tmp_path / shards.MANIFEST).unlink()
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read"):
        shards.run(random_model("llama", seed=1), WORDS, PROMPTS, out=tmp_path, kind="rank")


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    lm = random_model("llama")
    given = {"out": tmp_path, "kind": "rank"}
    shards.run(lm, WORDS, PROMPTS, **given)
    with pytest.raises(RunError, match="other weights"):
        shards.run(random_model("llama", seed=1), WORDS, PROMPTS, **given)
    with pytest.raises(RunError, match="other prompts, asked"):
        shards.run(lm, WORDS, PROMPTS[1:], **given)
    with pytest.raises(RunError, match="other settings"):
        shards.run(lm, WORDS, PROMPTS, calibrate=False, **given)


def test_nothing_to_do_is_an_error(tmp_path):
    with pytest.raises(ParameterError, match="no prompts"):
        shards.run(random_model("llama"), WORDS, [], out=tmp_path, kind="rank")
