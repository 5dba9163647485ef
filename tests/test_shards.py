"""A run that is killed ends with the same table."""

import pandas as pd
import pytest
from small_models import byte_tokenizer, prompt, random_model

from flanlib import score
from flanlib.errors import ParameterError, RunError
from flanlib.scoring import shards

WORDS = byte_tokenizer()
PROMPTS = [prompt("word " * (n % 5 + 1), example=str(n)) for n in range(11)]


@pytest.mark.parametrize("kind", ["rank", "generate"])
def test_killed_and_resumed_equals_unbroken(tmp_path, monkeypatch, kind):
    lm, given = random_model("llama"), {"kind": kind, "shard_prompts": 3}
    if kind == "generate":
        given["max_new_tokens"] = 6
    whole = shards.run(lm, WORDS, PROMPTS, out=tmp_path / "whole", **given)
    plain = {"rank": score.rank, "generate": score.generate}[kind]
    asked = []

    def killed(lm, tokenizer, prompts, **settings):
        asked.append(len(prompts))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return plain(lm, tokenizer, prompts, **settings)

    monkeypatch.setattr(score, kind, killed)
    with pytest.raises(KeyboardInterrupt):
        shards.run(lm, WORDS, PROMPTS, out=tmp_path / "broken", **given)
    assert len(list((tmp_path / "broken").glob("*.parquet"))) == 2
    lines = []
    found = shards.run(lm, WORDS, PROMPTS, out=tmp_path / "broken", say=lines.append, **given)
    assert asked == [3, 3, 3, 3, 2]
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert lines[0].startswith("9 of 11 prompts, ")
    assert found["example"].drop_duplicates().tolist() == [str(n) for n in range(11)]
    again = shards.run(lm, WORDS, PROMPTS, out=tmp_path / "broken", **given)
    assert len(asked) == 5
    pd.testing.assert_frame_equal(again, whole, check_exact=True)


def test_a_partial_file_is_not_taken_for_a_shard(tmp_path):
    lm = random_model("llama")
    whole = shards.run(lm, WORDS, PROMPTS, out=tmp_path, kind="rank", shard_prompts=4)
    (tmp_path / "00001.parquet").rename(tmp_path / "00001.part")
    (tmp_path / "00001.part").write_bytes(b"half")
    found = shards.run(lm, WORDS, PROMPTS, out=tmp_path, kind="rank", shard_prompts=4)
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert not list(tmp_path.glob("*.part"))


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
    with pytest.raises(ParameterError, match="shard_prompts is 0"):
        shards.run(
            random_model("llama"), WORDS, PROMPTS, out=tmp_path, kind="rank", shard_prompts=0
        )
