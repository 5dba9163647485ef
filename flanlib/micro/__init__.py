"""The embedded default: a small controlled world and the models that read it.

A model organism of instruction tuning, not evidence about large models.
Public: `tasks`, the generators of rows, which `data.source` registers, and
`pretrain.pretrain`, which the verb of that name calls.

No other module may know this package: its collection is one like any other.
"""
