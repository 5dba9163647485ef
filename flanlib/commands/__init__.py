"""The command line: one verb per thing to do, made from typed functions.

Public: `cli.main`. A verb is a function of a module `verbs*`, its options are
made by `arguments` from the function's own types and docstring.

This package must not hold a rule of the study: what a verb does can be done from
Python too. Until a verb needs a model, it works without torch.
"""
