"""From templates to prompts and mixtures: language, streams, overlap, audits, exports."""
