"""A toy collection: five tasks in four clusters, rows that name themselves."""

import json

from flanlib.data import catalogue as catalogues

CATALOGUE = """
title: Toys
clusters:
  - {key: weather, title: Weather, domain: NLU, neighbours: [sky]}
  - {key: sky, title: Sky, domain: NLU, neighbours: [weather]}
  - {key: food, title: Food, domain: NLU}
  - {key: letters, title: Letters, domain: NLG, evaluable: false}
tasks:
  - {key: rain, title: Rain, dataset: rain, cluster: weather, kind: rank, metric: accuracy,
     options: ["no", "yes"], columns: {fields: [text], optional: [text], label: label}}
  - {key: stars, title: Stars, dataset: stars, cluster: sky, kind: rank, metric: accuracy,
     options: ["no", "yes"], columns: {fields: [text], optional: [text], label: label}}
  - {key: soup, title: Soup, dataset: soup, cluster: food, kind: rank, metric: accuracy,
     options: ["no", "yes"], columns: {fields: [text], optional: [text], label: label}}
  - {key: bread, title: Bread, dataset: bread, cluster: food, kind: generate, metric: exact_match,
     columns: {fields: [text], optional: [text], answer: answer}}
  - {key: spell, title: Spell, dataset: spell, cluster: letters, kind: generate,
     metric: exact_match, columns: {fields: [text], optional: [text], answer: answer}}
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


def toy_rows(task, split):
    """Rows that say which task, split and number they are."""
    for i in range(SIZES[task] if split == "train" else 6):
        answered = task in ("bread", "spell")
        answer = {"answer": f"{task} answer {i}"} if answered else {"label": i % 2}
        yield {"text": f"{task} {split} {i}", **answer}


def write_rows(folder, task, split, rows):
    """A file of a task's rows, beside the catalogue in `folder`."""
    path = folder / "rows" / task / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def toy_catalogue(folder):
    """A catalogue of five tasks in four clusters in `folder`, with toy rows beside it."""
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "templates").mkdir()
    for stem in SIZES:
        (folder / "templates" / f"{stem}.yaml").write_text(template_file(stem))
    reword(folder, {})
    return catalogues.load(folder)


def reword(folder, texts):
    """Write the rows in `folder` anew, with (task, row id) -> text instead of its own."""
    for task in SIZES:
        for split in ("train", "dev", "eval"):
            rows = [
                {**row, "text": texts.get((task, f"{split}-{i}"), row["text"])}
                for i, row in enumerate(toy_rows(task, split))
            ]
            write_rows(folder, task, split, rows)
