"""The verbs of the command line, and what makes them from typed functions."""
