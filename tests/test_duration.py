"""The forecast of a run's time: what follows from a trial, and a trial beside a run."""

import time
from dataclasses import replace

import pytest
from test_tune import prompts

from flanlib.core.config import Factors, Recipe
from flanlib.models import loading
from flanlib.models.encode import Encoded
from flanlib.studies.profiles import MICRO
from flanlib.training import duration, packing, tune
from flanlib.training.duration import Spent

RECIPE = Recipe(steps=100, examples_per_step=8, max_input_tokens=198, max_target_tokens=50)
MICRO_2M = Factors(model="micro-2m")


def of_length(n):
    return Encoded(list(range(n - 3)), [1, 2])


def test_the_difference_of_two_trials_is_a_layer_and_tokens_scale():
    """By a trial of 10 ms, 2 ms a layer and 1 ms a hundred tokens and layer."""
    examples = [of_length(n) for n in (50, 100, 150)]

    def trial(layers, few):
        tokens = sum(map(packing.n_tokens, few))
        return Spent(0.01 + layers * (0.002 + tokens * 1e-5), 0.5 + layers)

    drawing = Spent(0.001, 0.001)
    found = duration.of_examples(MICRO_2M, RECIPE, examples, drawing, trial=trial)
    assert found.tokens_per_step == 800 and found.n_steps == 100
    layers = loading.config_of("micro-2m").num_hidden_layers
    taken = sum(map(packing.n_tokens, duration.spread(examples, 8)))
    at_once = 0.01 + layers * (0.002 + taken * 1e-5)
    assert found.step.cpu == pytest.approx(at_once * 800 / taken + 8 * 0.001)
    assert found.step.wall == pytest.approx((0.5 + layers) * 800 / taken + 8 * 0.001)
    assert found.seconds == pytest.approx(100 * found.step.cpu)


def test_both_clocks_are_told_where_other_work_takes_the_processor():
    given = {"n_steps": 300, "tokens_per_step": 2000.0}
    quiet = duration.Forecast(step=Spent(8.0, 8.1), **given)
    assert quiet.line == "40 min for 300 steps of 8 s (250 tokens/s), by a trial"
    busy = duration.Forecast(step=Spent(8.0, 24.0), **given)
    assert busy.line == f"{quiet.line}; 2.0 h beside what runs here now"
    threads = duration.Forecast(step=Spent(16.0, 8.0), **given)
    assert threads.line == quiet.line


def test_examples_of_a_trial_are_spread_over_the_lengths():
    examples = [of_length(n) for n in range(10, 110)]
    few = [packing.n_tokens(e) for e in duration.spread(examples, 4)]
    assert few == [22, 47, 72, 97]
    assert len(duration.spread(examples[:2], 8)) == 8


@pytest.mark.parametrize("arm", ["tuned", "finetuned", "prompt-tuned"])
def test_every_arm_can_be_tried(arm):
    recipe = replace(RECIPE, examples_per_step=2)
    found = duration.forecast(Factors(model="micro-300k", arm=arm), recipe, prompts())
    assert 0 < found.step.alone <= found.step.wall


def test_a_run_takes_what_was_forecast(tmp_path):
    """In seconds of the processor, which other work hardly changes."""
    given = [replace(p, input=p.input * 3) for p in prompts()]
    usual = replace(MICRO, examples_per_step=8)
    forecast = duration.forecast(MICRO_2M, usual, given)

    def run(steps):
        began = time.process_time()
        recipe = replace(usual, steps=steps)
        tune.tune(MICRO_2M, recipe, out=tmp_path / f"{steps}", mixture=given, progress=None)
        return time.process_time() - began

    run(2)
    few, many = run(3), run(23)
    assert forecast.step.cpu / 2 < (many - few) / 20 < forecast.step.cpu * 2
