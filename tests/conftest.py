"""What several test modules start from: a study of toys."""

import pytest
from toy_collection import toy_catalogue

from flanlib.core import paths
from flanlib.core.config import Recipe
from flanlib.models import rehearsal
from flanlib.studies import profiles, study
from flanlib.studies.profiles import Profile

RECIPE = Recipe(steps=2, examples_per_step=2, rank=2, alpha=4, max_input_tokens=96)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    folder = tmp_path / "toys"
    folder.mkdir()
    toy_catalogue(folder)
    for name in ("BUILD", "RUNS", "CACHE"):
        monkeypatch.setenv(f"FLANLIB_{name}", str(tmp_path / name.lower()))
    profile = Profile(
        collection=str(folder),
        model="tiny",
        recipe=RECIPE,
        single_task=RECIPE,
        soft_prompt=RECIPE,
        max_examples=3,
        ladder=("tiny",),
        shots=2,
        held_out_groups=(("weather",),),
        n_groups=1,
        results=tmp_path / "results",
    )
    monkeypatch.setitem(profiles.PROFILES, "micro", profile)
    return study.open_study(held_out="food, weather")


@pytest.fixture
def real(toys):
    rehearsal.random_neox(paths.BUILD / "models" / "tiny")
    return toys
