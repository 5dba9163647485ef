"""Names of metrics: which there are, for which kind of task, and what they need.

A catalogue is held against these names when it is read, before anything is
tuned or scored.
"""

from collections.abc import Collection
from difflib import get_close_matches

METRICS = {
    "rank": "accuracy f1 macro_f1 pearson multirc_f1 multirc_em record_em record_f1".split(),
    "generate": (
        "exact_match exact_text squad_em squad_f1 trivia_qa_em trivia_qa_f1 nq_open_em"
        " drop_em drop_f1 coqa_em coqa_f1 quac_f1 record_em record_f1 edit_similarity"
        " rouge1 rouge2 rouge_l rouge_lsum bleu pearson".split()
    ),
}
# What is computed over all examples together, and is no mean of theirs.
CORPUS_LEVEL = ("bleu", "f1", "macro_f1", "multirc_em", "multirc_f1", "pearson")
KINDS = {"rank": "ranked options", "generate": "written answers"}
QUESTION = ("paragraph", "question")  # fields that make a question of MultiRC


def wrong_metric(metric: str, kind: str) -> str:
    """What is wrong with a metric's name for a kind of task; empty where nothing is."""
    if metric in METRICS[kind]:
        return ""
    hint = ""
    if others := [KINDS[k] for k in METRICS if metric in METRICS[k]]:
        hint = f" (it is one for {others[0]})"
    elif near := get_close_matches(metric, METRICS[kind], 1):
        hint = f" (did you mean {near[0]!r}?)"
    return f"no metric {metric!r} for {KINDS[kind]}{hint}; there are {', '.join(METRICS[kind])}"


def wrong_setting(metric: str, bleu_tokenizer: str, fields: Collection[str]) -> str:
    """What a metric needs of `fields` and `bleu_tokenizer`; empty where nothing lacks."""
    if bleu_tokenizer and metric != "bleu":
        return f"bleu_tokenizer is {bleu_tokenizer!r}, but the metric is {metric!r}; leave it out"
    if metric == "multirc_em" and not all(name in fields for name in QUESTION):
        return f"metric 'multirc_em' tells questions apart by the fields {' and '.join(QUESTION)}"
    return ""
