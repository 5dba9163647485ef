"""Instruction tuning as in FLAN, small enough to check and to rerun."""

__version__ = "0.1.0"
