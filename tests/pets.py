"""A small collection of one's own with its rows: two tasks, two clusters."""

import json

from flanlib.data import catalogue as catalogues
from flanlib.prompts import templates

CATALOGUE = """title: Pets
clusters:
  - {key: sentiment, title: Sentiment, domain: NLU}
  - {key: habits, title: Habits, domain: NLU}
tasks:
  - {key: vets, title: Reviews of vets, dataset: vets, cluster: sentiment, kind: rank,
     metric: accuracy, options: [bad, good], columns: {fields: [text], label: label},
     source: {route: manual, obtain: your own reviews, splits: {train: train, eval: test}}}
  - {key: food, title: What a pet eats, dataset: food, cluster: habits, kind: generate,
     metric: exact_match, columns: {fields: [animal], answer: food},
     source: {route: manual, obtain: your own notes, splits: {train: train, eval: test}}}
"""
VETS = """dataset: vets
name: Reviews of vets
fields: [text]
plain: "{{ text }}"
templates:
  - {id: how-was-it, input: "{{ text }}\\nHow was the visit?"}
"""
FOOD = """dataset: food
name: What a pet eats
fields: [animal]
plain: "{{ animal }}"
templates:
  - {id: ask, input: "What does a {{ animal }} eat?"}
"""


def collection(folder, text=CATALOGUE, **changes):
    """The collection in `folder`, with parts of its catalogue replaced."""
    for old, new in changes.pop("replaced", {}).items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "templates" / "vets.yaml").write_text(VETS)
    (folder / "templates" / "food.yaml").write_text(FOOD)
    catalogues.load.cache_clear()
    templates.load.cache_clear()
    return catalogues.load(folder)


def lines(folder, *rows, task="vets", split="test"):
    """A file of rows: dictionaries, text, or bytes as they are."""
    path = folder / task / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [json.dumps(row) if isinstance(row, dict) else row for row in rows]
    path.write_bytes(b"".join(p if isinstance(p, bytes) else p.encode() + b"\n" for p in parts))
    return path
