"""From examples to prompts: templates, their language, mixtures, overlap, exports.

Public: `templates.render` and `templates.of_task`, `mixture.mixture`, which
refuses leaks, `rendering.render`, `export.export`, and `Prompt` of `prompt`.

This package must not know a model: how long a prompt may be, and how it is cut,
is settled in `models`. It works without torch.
"""
