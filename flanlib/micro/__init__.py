"""The embedded default: a small controlled world and the models that read it.

A model organism of instruction tuning, not evidence about large models.
"""
