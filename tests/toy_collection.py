"""A toy collection: five tasks in four clusters, rows that name themselves."""

from flanlib import catalogue as catalogues
from flanlib import sources
from flanlib.rows.adapters import Example

CATALOGUE = """
title: Toys
clusters:
  - {key: weather, title: Weather, domain: NLU, neighbours: [sky]}
  - {key: sky, title: Sky, domain: NLU, neighbours: [weather]}
  - {key: food, title: Food, domain: NLU}
  - {key: letters, title: Letters, domain: NLG, evaluable: false}
tasks:
  - {key: rain, title: Rain, dataset: rain, cluster: weather, kind: rank, metric: accuracy,
     options: ["no", "yes"]}
  - {key: stars, title: Stars, dataset: stars, cluster: sky, kind: rank, metric: accuracy,
     options: ["no", "yes"]}
  - {key: soup, title: Soup, dataset: soup, cluster: food, kind: rank, metric: accuracy,
     options: ["no", "yes"]}
  - {key: bread, title: Bread, dataset: bread, cluster: food, kind: generate, metric: exact_match}
  - {key: spell, title: Spell, dataset: spell, cluster: letters, kind: generate,
     metric: exact_match}
"""
SIZES = {"rain": 40, "stars": 30, "soup": 20, "bread": 60, "spell": 5}


def template_file(stem: str) -> str:
    templates = "".join(
        f'  - {{id: ask-{i}, input: "Way {i}: {{{{ text }}}}?"}}\n' for i in range(8)
    )
    return (
        f"dataset: {stem}\nname: The {stem} set\nfields: [text]\n"
        f'plain: "{{{{ text }}}}"\ntemplates:\n{templates}'
        '  - {id: turn-0, inverted: true, input: "For {{ answer }}:", target: "{{ text }}"}\n'
        '  - {id: turn-1, inverted: true, input: "Why {{ answer }}:", target: "{{ text }}"}\n'
    )


def toy_examples(catalogue, task, split, *, rows=None, seed=0, limit=None, skipped=None):
    """Rows that say which task, split and number they are."""
    n = SIZES[task.key] if split == "train" else 6
    for i in range(n)[:limit]:
        gold = i % 2 if task.options else None
        answer = task.options[gold] if task.options else f"{task.key} answer {i}"
        fields = {"text": f"{task.key} {split} {i}", "answer": answer}
        yield Example(task.key, f"{split}-{i}", fields, task.options, gold, (answer,))
    if skipped is not None:
        skipped["no label"] += 2


def toy_catalogue(folder, monkeypatch):
    """A catalogue of five tasks in four clusters in `folder`, with toy rows."""
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "templates").mkdir()
    for stem in SIZES:
        (folder / "templates" / f"{stem}.yaml").write_text(template_file(stem))
    monkeypatch.setattr(sources, "examples", toy_examples)
    monkeypatch.setattr(sources, "rows_of", lambda *_, **__: iter(()))
    return catalogues.load(folder)


def patch(monkeypatch, change):
    """Let `change(example, task, split)` alter or refuse what the source gives."""

    def examples(catalogue, task, split, **settings):
        for example in toy_examples(catalogue, task, split, **settings):
            yield change(example, task.key, split)

    monkeypatch.setattr(sources, "examples", examples)


def reworded(example, text):
    return Example(
        example.task,
        example.id,
        {**example.fields, "text": text},
        example.options,
        example.gold,
        example.answers,
    )
