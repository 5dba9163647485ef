"""Base and tuned model side by side: scored as the study scores, and driven by widgets."""

import ast
from dataclasses import fields, replace

import nbformat
import numpy as np
import pandas as pd
import pytest

from flanlib.core import paths
from flanlib.core.errors import FlanlibError, MissingResultError, ParameterError, TemplateError
from flanlib.evaluation import choices, score
from flanlib.evaluation.evaluate import Scorer
from flanlib.models import rehearsal
from flanlib.reporting import notebook
from flanlib.training import result, tune
from flanlib.workbench import answers, explore, widgets

STEM = "explore"


@pytest.fixture
def bench(real):
    return explore.open_bench(held_out="food")


def test_notebook_says_what_its_parameters_mean():
    for name, parameter in notebook.parameters(STEM).items():
        assert parameter.meaning == explore.MEANINGS[name]
    with pytest.raises(ParameterError, match="'steps' is int"):
        notebook.check(STEM, {"steps": "few"})


def test_plan_tunes_once_and_then_reuses(bench, capsys):
    assert "will be tuned with food held out, once: 2 steps of 2 examples" in bench.plan()
    assert not bench.folder.exists()
    said = bench.ready()
    assert said.startswith("tiny, tuned with food held out: 2 steps, ") and said.endswith("on cpu.")
    assert "mixing" in capsys.readouterr().err
    again = explore.open_bench(held_out="food")
    assert "was tuned" in again.plan() and again.folder == bench.folder
    assert again.ready() == said and capsys.readouterr().err == "", "no run was begun"
    other = explore.open_bench(held_out="food", steps=3)
    assert other.folder != bench.folder and "3 steps" in other.plan()


def test_a_base_made_anew_is_not_given_the_old_adapter(bench):
    bench.ready()
    rehearsal.random_neox(paths.BUILD / "models" / "tiny", seed=5)
    with pytest.raises(FlanlibError, match="holds another run"):
        explore.open_bench(held_out="food").ready()


def test_answers_are_the_scores_of_the_study(bench):
    prompt = bench.prompt("food", "soup", "ask-3", n=1)
    assert prompt.input == "Way 3: soup eval 1?\nOPTIONS:\n- no\n- yes" and prompt.target == "yes"
    found = bench.ask(prompt)
    assert list(found.table["option"]) == ["no", "yes"]
    assert list(found.table["right"]) == [False, True]
    for name in answers.MODELS:
        lm, tokenizer = bench.models[name].lm, bench.models[name].tokenizer
        ranked = score.rank(lm, tokenizer, [prompt], calibrate=False)
        np.testing.assert_allclose(found.table[f"{name}_ll"], ranked["ll"], rtol=1e-5)
        assert found.table[name].sum() == pytest.approx(1)
        best = choices.choices(ranked).iloc[0]
        assert found.table[name].max() == pytest.approx(best["confidence"])
        wrote = score.generate(lm, tokenizer, [prompt], max_new_tokens=256)
        assert wrote["prediction"].iloc[0].startswith(found.written[name][:20])
    assert not np.allclose(found.table["base_ll"], found.table["tuned_ll"])
    shown = found._repr_html_()
    assert "yes ✓" in shown and f"{100 * found.table['tuned'][1]:.1f} %" in shown


NOTED = []


class Noting(Scorer):
    """A scorer that notes how it is asked to write: where it stops, most tokens written and read."""

    def table(self, prompts, kind, stop="end", **given):
        if kind == "generate":
            NOTED.append((stop, self.recipe.max_target_tokens, self.recipe.max_input_tokens))
        return super().table(prompts, kind, stop, **given)


def noting(bench):
    """The bench, with scorers that note."""

    class Bench(explore.Bench):
        models = {  # noqa: RUF012
            name: Noting(**{f.name: getattr(one, f.name) for f in fields(one)})
            for name, one in bench.models.items()
        }

    return Bench(bench.study, bench.adapter, bench.steps)


def test_writing_stops_where_the_study_stops(bench, monkeypatch, tmp_path):
    """The same settings as `runs.score_task`, whatever the task and whoever tuned the adapter."""
    bread = bench.study.catalogue.task("bread")
    monkeypatch.setitem(bench.study.catalogue.tasks, "bread", replace(bread, stop="newline"))
    usual = noting(bench)
    usual.ask(bench.prompt("food", "bread"))
    assert NOTED[-2:] == [("newline", 256, 96)] * 2
    usual.ask(answers.typed("write"))
    assert NOTED[-2:] == [("end", 256, 96)] * 2
    recipe = replace(bench.job.recipe, max_input_tokens=48, max_target_tokens=9)
    asked = [bench.prompt("food", "bread")]
    tune.tune(bench.job.factors, recipe, out=tmp_path / "elsewhere", mixture=asked, progress=None)
    other = explore.open_bench(held_out="food", adapter=str(tmp_path / "elsewhere"))
    noting(other).ask(other.prompt("food", "bread"))
    assert NOTED[-2:] == [("newline", 9, 48)] * 2


def test_a_question_that_is_cut_says_so(bench):
    prompt = bench.prompt("food", "bread")
    long = replace(prompt.wording, fields={**prompt.wording.fields, "text": "so " * 100})
    found = bench.ask(replace(prompt, input=long.input(), wording=long))
    assert found.n_cut == len(long.input()) - 96
    assert f"{found.n_cut} tokens were left out" in found._repr_html_()


def test_a_typed_instruction_is_never_cut(bench):
    with pytest.raises(TemplateError, match=r"instruction alone has 9\d\d tokens.*room for 192"):
        bench.ask(answers.typed("do this, " * 100, "yes | no"))


def test_free_text_has_no_options_and_is_escaped(bench):
    prompt = bench.prompt("food", "bread")
    found = bench.ask(prompt)
    assert found.table.empty and set(found.written) == set(answers.MODELS)
    found.written["base"] = "<script>"
    assert "<script>" not in found._repr_html_()


def test_what_is_typed_becomes_a_prompt():
    prompt = answers.typed(" which? ", "a | b\n a ")
    assert prompt.input == "which?\nOPTIONS:\n- a\n- b" and prompt.options == ("a", "b")
    assert answers.typed("write", []).options == ()
    with pytest.raises(ParameterError, match="it is empty"):
        answers.typed("  ")
    with pytest.raises(ParameterError, match="two or more"):
        answers.typed("which?", "a")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"held_out": "food, weather"}, "give one of weather, food"),
        ({"held_out": "cooking"}, "'cooking' is no cluster"),
        ({"adapter": "nowhere"}, "'nowhere' is no folder"),
    ],
)
def test_wrong_settings_say_what_is_right(given, message, toys):
    with pytest.raises(ParameterError, match=message):
        explore.open_bench(**{"held_out": "food", **given})


def test_wrong_names_say_what_there_is(bench):
    with pytest.raises(ParameterError, match="there are soup, bread"):
        bench.prompt("food", "rain")
    with pytest.raises(ParameterError, match="'ask-99' is none of ask-0"):
        bench.prompt("food", "soup", "ask-99")


def test_it_says_what_the_tuned_model_has_seen(bench, tmp_path):
    task = bench.study.catalogue.task
    assert bench.seen(task("soup")) == "not seen in tuning: food was held out"
    assert bench.seen(task("rain")).startswith("seen in tuning")
    near = explore.open_bench(held_out="weather")
    assert "sky is a neighbour of weather" in near.seen(task("stars"))


def test_an_adapter_from_elsewhere(bench, tmp_path):
    bench.ready()
    given = explore.open_bench(held_out="weather", adapter=str(bench.folder))
    assert given.ready() == bench.ready()
    assert given.seen(bench.study.catalogue.task("soup")).startswith("not seen")
    (bench.folder / result.RUN).unlink()
    assert "unknown making" in given.ready()
    assert "not known" in given.seen(bench.study.catalogue.task("soup"))
    assert not given.ask(given.prompt("food", "soup")).table.empty


def test_an_adapter_of_another_model_is_refused(bench):
    bench.ready()
    rehearsal.random_neox(paths.BUILD / "models" / "other")
    other = explore.open_bench(held_out="food", model="other", adapter=str(bench.folder))
    with pytest.raises(ParameterError, match="was tuned on tiny, not on other"):
        other.ready()


def test_panel_follows_every_choice(bench):
    panel = widgets.Panel(bench)
    assert (panel.cluster.value, panel.dataset.value) == ("food", "soup")
    assert "soup eval 0" in panel.question.value and "not seen" in panel.note.value
    panel.number.value = 2
    assert "soup eval 2" in panel.question.value
    panel.template.value = "turn-1"
    assert "Why no:" in panel.question.value and "OPTIONS" not in panel.question.value
    panel.dataset.value = "bread"
    assert panel.template.value == "ask-0" and "bread eval 2" in panel.question.value
    panel.cluster.value = "letters"
    assert panel.dataset.value == "spell" and "seen in tuning" in panel.note.value


def failing(bench, errors):
    """The bench; a method that is a key of `errors` raises what stands there."""

    class Bench(explore.Bench):
        def ask(self, prompt):
            check("ask")
            return super().ask(prompt)

        def prompt(self, *which):
            check("prompt")
            return super().prompt(*which)

        def templates(self, task):
            check("templates")
            return super().templates(task)

    def check(name):
        if name in errors:
            raise errors[name]

    return Bench(bench.study, bench.adapter, bench.steps)


def test_panel_asks_and_tells_errors(bench):
    errors = {}
    panel = widgets.Panel(failing(bench, errors), "food", "soup", "ask-2")
    assert panel.template.value == "ask-2"
    panel.ask.click()
    assert panel.result.value == bench.ask(panel.prompt())._repr_html_()
    panel.ask_own.click()
    assert "it is empty" in panel.result.value and not panel.ask_own.disabled
    panel.own.value, panel.options.value = "yes or no?", "yes | no"
    panel.ask_own.click()
    assert panel.result.value.count("%</td>") == 4
    errors["ask"] = TemplateError("too <long>")
    panel.ask.click()
    assert "too &lt;long&gt;" in panel.result.value and not panel.ask.disabled


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (TypeError("no <b>\n text \ud83d"), "TypeError: no &lt;b&gt; text \\ud83d"),
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (MemoryError(), "MemoryError"),
        (KeyboardInterrupt(), "stopped"),
        (ParameterError("x" * 5_000), "x" * 600 + "…"),
    ],
)
def test_panel_tells_whatever_goes_wrong(bench, error, shown):
    errors = {}
    panel = widgets.Panel(failing(bench, errors), "food", "soup")
    errors["ask"] = error
    for button in (panel.ask, panel.ask_own):
        panel.own.value = "what?"
        panel.result.value = ""
        button.click()
        assert panel.result.value == f"<b>{shown}</b>"
        assert not panel.ask.disabled and not panel.ask_own.disabled
    errors["prompt"] = error
    panel.result.value = ""
    panel.number.value = 1
    assert panel.result.value == f"<b>{shown}</b>"
    errors["templates"] = error
    panel.result.value = ""
    panel.dataset.value = "bread"
    assert panel.result.value == f"<b>{shown}</b>"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("half of an emoji \ud83d", "", "instruction: has half a character"),
        ("which?", "a | \ude00", "options: has half a character"),
        (" \n\t ", "", "it is empty"),
        ("which?", " | a |", "two or more"),
        ("nul \x00 <eos> <b> \u202e", "", ""),
        ("word " * 5_000, "", "the instruction alone has"),
        ("which?", "<b> | </s>", "&lt;b&gt;"),
    ],
)
def test_panel_answers_or_tells_whatever_is_typed(bench, text, options, said):
    panel = widgets.Panel(bench, "food", "soup")
    panel.own.value, panel.options.value = text, options
    panel.ask_own.click()
    panel.result.value.encode()
    assert said in panel.result.value and "asking" not in panel.result.value
    assert "<b> |" not in panel.result.value and not panel.ask_own.disabled


def test_what_was_written_is_shown_as_it_is(bench):
    found = answers.Answers(
        prompt=answers.typed("x"), written={"base": "", "tuned": " \n"}, table=bench_table()
    )
    assert "<em>nothing</em>" in found._repr_html_()
    assert "<em>only white space</em>" in found._repr_html_()
    found.written["base"] = "a\n <i>\ud83d"
    assert ">a\n &lt;i&gt;\\ud83d</code>" in found._repr_html_()


def bench_table():
    return pd.DataFrame({"option": (), "right": []})


def test_a_first_choice_that_is_not_there_is_told(bench):
    with pytest.raises(ParameterError, match="cluster: 'rain' is none of weather, "):
        widgets.Panel(bench, "rain")
    with pytest.raises(ParameterError, match="template: 'ask-99' is none of ask-0"):
        widgets.Panel(bench, "food", "soup", "ask-99")

    class Empty(explore.Bench):
        def examples(self, task):
            return []

    with pytest.raises(MissingResultError, match="soup has no evaluation rows"):
        widgets.Panel(Empty(bench.study), "food", "soup")


def test_notebook_runs_without_hands(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANLIB_BUILD", str(tmp_path / "build"))
    given = {"model": "micro-300k", "steps": 2, "instruction": "is a frog an animal?"}
    out = notebook.run(STEM, tmp_path / "out.ipynb", given)
    cells = [c for c in nbformat.read(out, as_version=4).cells if c.cell_type == "code"]
    shown = "".join(str(cell.outputs) for cell in cells)
    assert "micro-300k, tuned with sentiment held out: 2 steps" in shown
    assert shown.count("flanlib-answers") == 2
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert all(ast.parse(cell.source) for cell in cells)
