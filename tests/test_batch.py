"""Notebooks in a row: order, parameters, failures kept, time left told."""

import json

import pytest

from flanlib.commands import cli
from flanlib.core.errors import ParameterError, RunError
from flanlib.reporting import batch
from flanlib.studies.profiles import Settings


def test_what_computes_comes_first_and_the_rest_by_number():
    found = batch.stems()
    assert found[0] == "fig5_zero_shot_gains"
    assert found[1:] == sorted(found[1:], key=batch.number)
    assert batch.stems(["fig3", "fig1_pipeline"]) == ["fig1_pipeline", "fig3_taxonomy"]
    assert batch.number("fig10_x") > batch.number("fig9_x")


@pytest.mark.parametrize("name", ["fig", "fig5_zer", "5", "fig55"])
def test_half_a_name_is_refused(name):
    with pytest.raises(ParameterError, match="fig5_zero_shot_gains"):
        batch.stems([name])


def test_a_figure_without_a_notebook_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(batch.figures, "STEMS", (*batch.figures.STEMS, "fig99_new"))
    with pytest.raises(ParameterError, match=r"fig99_new.ipynb: no such notebook"):
        batch.stems(["fig99"])


def test_only_what_differs_from_the_defaults_is_given():
    assert batch.given(Settings()) == {"profile": "micro"}, "which a notebook may have otherwise"
    found = batch.given(Settings(profile="gpu", seed=2), ["cluster=nli", "dataset=a=b"])
    assert found == {"profile": "gpu", "seed": 2, "cluster": "nli", "dataset": "a=b"}


def test_figures_that_do_not_fit_the_collection_are_left_out_or_refused():
    stem = "fig13_against_paper"
    assert stem in batch.stems() and stem in batch.stems((), Settings(profile="small"))
    assert stem in batch.stems((), Settings(collection="flan"))
    assert stem not in batch.stems((), Settings()), "the profile's collection counts"
    assert batch.stems(["fig13"], Settings(profile="gpu")) == [stem]
    for collection in ("", "micro", "./pets", "elsewhere/flan"):
        with pytest.raises(
            ParameterError, match=r"fig13.*has none of them; take .* gpu, rehearsal"
        ):
            batch.stems(["fig5", "fig13"], Settings(collection=collection))


def test_each_notebook_gets_the_parameters_it_has():
    found = batch.for_each(batch.stems(), {"seed": 2, "dataset": "rte", "recompute": "nli"})
    assert found["fig4_templates"] == {"seed": 2, "dataset": "rte"}
    assert found["fig5_zero_shot_gains"] == {"seed": 2, "recompute": "nli"}
    assert found["fig3_taxonomy"] == {"seed": 2}


@pytest.mark.parametrize("values", [{"sed": 1}, {"seed": "two"}, {"recompute": "nile"}])
def test_wrong_parameters_are_refused_at_once(values):
    with pytest.raises(ParameterError):
        batch.for_each(batch.stems(), values)


def test_a_recomputation_that_no_figure_named_has_is_refused(capsys):
    assert cli.main(["figures", "--only", "fig7", "--recompute", "nli"]) == 2
    assert "no parameter 'recompute'" in capsys.readouterr().err


def test_a_failure_does_not_stop_the_rest(tmp_path, capsys):
    done = []

    def run(stem, out, given):
        done.append((stem, out, given))
        if stem == "a":
            raise RunError("a: cell 3 failed with ValueError: no")

    failed = batch.run({"a": {}, "b": {"seed": 2}}, tmp_path, run)
    assert failed == {"a": "a: cell 3 failed with ValueError: no"}
    assert done[1] == ("b", tmp_path / "b.ipynb", {"seed": 2})
    err = capsys.readouterr().err
    assert "[1/2] a: about 40 s left, and what has to be computed" in err and "cell 3" in err
    times = json.loads((tmp_path / "times.json").read_text())
    assert list(times) == ['b {"seed": 2}']
    batch.run({"b": {"seed": 2}}, tmp_path, run)
    assert "and what has" not in capsys.readouterr().err
