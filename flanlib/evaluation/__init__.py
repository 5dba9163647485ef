"""From a model and a task to a number: prompts asked, answers scored and measured.

Public: `Scorer` and `evaluate` of `evaluate`, which study, command line, explorer
and notebooks call; `score` for prompts alone, `metrics` for tables of scores.

This package must not know records, profiles, or what a number is compared with.
"""
