"""Trying a model by hand: two models side by side, and the controls over them."""
