"""Trying a model by hand: two models side by side, and the controls over them.

Public: `explore.Bench`, and `widgets` for its controls in a notebook.

This package must not score or phrase in a way of its own: a question asked by hand
goes through `evaluation`, as one of the study does.
"""
