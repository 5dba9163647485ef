"""Names that do not exist lead to those that were meant, in short messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.commands import cli
from flanlib.core import naming
from flanlib.core.errors import ParameterError
from flanlib.data import catalogue

FLAN = catalogue.load("flan")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("boolq", "bool_q"),
        ("super_glue/boolq", "bool_q"),
        ("mrpc", "glue_mrpc"),
        ("glue/mrpc", "glue_mrpc"),
        ("nyu-mll/glue/mrpc", "glue_mrpc"),
        ("sst-2", "sst2"),
        ("SST2", "sst2"),
        ("sts-b", "stsb"),
        ("qqp", "glue_qqp"),
        ("ai2_arc", "arc_easy"),
        ("ARC-Challenge", "arc_challenge"),
        ("imdb", "imdb_reviews"),
        ("mnli", "mnli_matched"),
        ("anli", "anli_r1"),
        ("hellaswg", "hellaswag"),
        ("cosmosqa", "cosmos_qa"),
        ("squad2", "squad_v2"),
    ],
)
def test_other_names_of_datasets_lead_to_their_keys(word, meant):
    with pytest.raises(ParameterError) as told:
        FLAN.task(word)
    message = str(told.value)
    assert f"(did you mean {meant!r}" in message
    assert "flanlib list --collection flan" in message and len(message) < 400


@pytest.mark.parametrize(
    ("word", "meant"),
    [("NLI", "nli"), ("Natural Language Inference", "nli"), ("comonsense", "commonsense")],
)
def test_a_cluster_is_found_by_its_title(word, meant):
    with pytest.raises(ParameterError, match=f"did you mean '{meant}'"):
        FLAN.cluster(word)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("boolq", "bool_q"),
        ("mrpc", "glue_mrpc"),
        ("sst-2", "sst2"),
        ("squad", "squad_v1"),
        ("hella-swag", "hellaswag"),
        ("WinoGrande", "winogrande"),
        ("WSC", "wsc"),
    ],
)
def test_names_from_the_hub_come_first_and_the_long_list_stays_behind_a_command(word, meant):
    with pytest.raises(ParameterError) as told:
        FLAN.task(word)
    message = str(told.value)
    assert f"no task {word!r} (did you mean {meant!r}" in message
    assert message.endswith(
        f"; `flanlib list --collection flan --count code` lists all {len(FLAN.tasks)}"
    )


def test_a_long_list_without_a_command_or_a_near_name_is_begun():
    names = [f"name{n}" for n in range(40)]
    assert "; there are name12, " in naming.alternatives("name12x", names)
    assert "`x` lists all)" in naming.alternatives("zebra", names, remedy="x")
    assert naming.alternatives("name12x", names, remedy="x").endswith("?); `x` lists all 40")


def test_nothing_near_is_not_guessed():
    assert naming.nearest("xylophone", FLAN.tasks) == []
    assert naming.alternatives("q", []) == "; there are none"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["lsit"], "list"),
        (["trian"], "pretrain"),
        (["list", "--colection", "flan"], "--collection"),
        (["tune", "--learning_rate=1"], "--learning-rate"),
        (["score", "--modle", "micro-2m"], "--model"),
        (["list", "--collection", "mirco"], "micro"),
        (["score", "--model", "micro2m", "--task", "rte", "--out", "x"], "micro-2m"),
        (["list", "--count", "figures"], "figure"),
        (["render", "--task", "rtee"], "rte"),
        (["render", "--form", "instructions"], "instruction"),
        (["render", "--template", "must-bee"], "must-be"),
        (["mix", "--held-out", "nil"], "nli"),
        (["export", "--to", "lmeval", "--out", "x"], "lm-eval"),
        (["run", "--profile", "mirco"], "micro"),
        (["run", "--only", "fig-5"], "fig5_zero_shot_gains"),
        (["run", "--set", "clutser=nli"], "cluster"),
        (["run", "--only", "fig1", "--set", "cluster=nil"], "nli"),
        (["run", "--only", "fig4", "--set", "dataset=snil"], "snli"),
        (["run", "--held-out", "nlli"], "nli"),
        (["figures", "--only", "fig_3"], "fig3_taxonomy"),
    ],
)
def test_a_mistyped_word_names_the_one_that_was_meant(words, meant, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FLANLIB_BUILD", str(tmp_path))
    status = cli.main(words)
    out, err = capsys.readouterr()
    assert status in (1, 2) and not out
    assert err.count("\n") <= 2 and f"did you mean '{meant}'" in err, err
    assert not (tmp_path / "notebooks").exists(), "a kernel was started"


def test_long_messages_keep_their_beginning_and_their_end():
    text = "\n".join(f"line {n}" for n in range(100))
    short = naming.shortened(text)
    assert len(short.splitlines()) == 10
    assert short.startswith("line 0\n") and short.endswith("line 99") and "91 more" in short
    assert len(naming.shortened("a" * 5_000 + "; do this")) < 1_250
    assert naming.shortened("a" * 5_000 + "; do this").endswith("; do this")


@given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text()), st.binary()))
@settings(max_examples=50, deadline=None)
def test_any_value_is_shown_shortly(value):
    assert len(naming.shown(value)) <= 500


def test_a_number_that_python_does_not_write_is_shown():
    assert "bits" in naming.shown(10**5_000)


@given(st.text(max_size=30), st.lists(st.text(max_size=10), max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_word_has_alternatives(word, known):
    assert len(naming.alternatives(word, known)) < 1_000
    assert set(naming.nearest(word, known)) <= set(known)
