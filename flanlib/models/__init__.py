"""Causal language models: where they come from, how they are loaded, what they read.

Public: `language_model.load`, `adapters.lay` and `adapters.save`, `weights`,
`registry` and `fetch` for where files come from, `encode` for prompts as token
ids, `truncation` for the one place where an input is cut.

This package must not know how a model is tuned or scored. Its modules `weights`,
`registry` and `fetch` work without torch.
"""
