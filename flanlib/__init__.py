"""Instruction tuning as in FLAN, small enough to check and to rerun.

What a number passes through stands at the top, one module a step: catalogue,
sources, templates, mixture, encode, model, tune, score, metrics, results,
study, report. Beside them stands what every step uses (errors, paths, config,
profiles, devices, progress, ...), and the doors (cli, notebook). What a step is
made of has a room:

rows        from a source's rows to examples
prompts     from templates to prompts and mixtures
training    packing, trainer, checkpoints, memory
models      where a model comes from; layers and heads written out
scoring     prefix trees, likelihoods, generation, choices
studies     plans, axes, runs, estimates, sweeps
figures     one module per figure
reporting   costs, notebooks in a row, the API reference
workbench   trying a model by hand
commands    the verbs of the command line
micro       the small world, its corpus, its models
"""

import logging

__version__ = "0.1.0"

for _name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.cextension"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # it remarks on kernels when imported
