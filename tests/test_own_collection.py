"""A user's own collection: its own titles, its own folders, and nothing of FLAN's beside it."""

import re

import pandas as pd
import pytest
from records import scored
from toy_collection import CATALOGUE

from flanlib import figures
from flanlib.core import paths
from flanlib.data import catalogue, source
from flanlib.results import validity
from flanlib.studies import study


@pytest.fixture
def own(toys, monkeypatch):
    """A collection with a cluster keyed as one of FLAN's, its every run made up."""
    path = toys.catalogue.root / "catalogue.yaml"
    text = CATALOGUE.replace("key: food, title: Food", "key: sentiment, title: Kitchen talk")
    path.write_text(text.replace("cluster: food", "cluster: sentiment"))
    catalogue.load.cache_clear()
    monkeypatch.setenv("FLANLIB_FIGURES", str(toys.catalogue.root.parent / "figures"))
    validity._told.clear()
    return {"held_out": "sentiment"}


@pytest.mark.parametrize(
    "stem",
    [
        "fig5_zero_shot_gains",
        "fig6_clusters",
        "fig8_instructions",
        "fig9_few_shot",
        "fig10_prompt_tuning",
        "fig11_templates",
    ],
)
def test_its_clusters_have_their_titles_and_no_published_numbers(stem, own):
    given = {} if stem == "fig5_zero_shot_gains" else own
    figures.open_for(stem, **given).ensure(1, scored)
    shown = figures.redraw(stem, figures.open_for(stem, **given))
    table = pd.read_csv(shown.files["csv"])
    assert not table["source"].str.contains("published").any() and len(table)
    assert not (table["arm"].str.contains("published|FLAN 137B")).any()
    assert "Kitchen talk" in shown.alt and "88.6" not in shown.alt
    assert re.fullmatch(r"micro|micro,held_out=sentiment", shown.files["svg"].parent.name)


def test_figure_3_counts_nothing_of_the_papers(own):
    shown = figures.redraw("fig3_taxonomy", study.open_study())
    assert "Kitchen talk" in shown.alt and "paper" not in shown.alt
    assert not pd.read_csv(shown.files["csv"])["in_paper"].any()


def test_collections_below_data_keep_flans_numbers_and_titles():
    assert catalogue.load("micro").tracked and catalogue.load("flan").tracked
    assert figures.style.title("sentiment") == "Sentiment"


def test_a_folder_named_relatively_is_no_collection_below_data(tmp_path, monkeypatch):
    """`./pets` becomes the path `pets`, which is not the name of one below data/."""
    (tmp_path / "pets" / "templates").mkdir(parents=True)
    (tmp_path / "pets" / "catalogue.yaml").write_text(CATALOGUE)
    monkeypatch.chdir(tmp_path)
    found = catalogue.load("./pets")
    named = paths.label("./pets")
    assert not found.tracked and named != "pets"
    assert paths.label(found.root) == paths.label(found.root.absolute()) == named
    task = next(iter(found.tasks.values()))
    assert source.cache_folder(found, task).parent.name == named
    assert paths.label("micro") == "micro" and paths.label(paths.DATA / "micro") == "micro"
