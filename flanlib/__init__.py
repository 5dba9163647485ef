"""Instruction tuning as in FLAN, small enough to check and to rerun."""

import logging

__version__ = "0.1.0"

for _name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.cextension"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # it remarks on kernels when imported
