"""From a mixture to a tuned model: packing, optimiser steps, checkpoints, memory.

Public: `tune.tune`, `TuneResult` of `result`, `memory` and `duration` for what a
run will take.

This package must not know how a model is scored, nor that runs belong to a
study: it tunes one model on one mixture, and writes one folder.
"""
