"""What every step uses, and what no step owns: settings, errors, files, devices.

Public: the errors of `errors`, the folders of `paths`, `Factors`, `Recipe` and
`Scoring` of `config`, `storage` and `folders` for whatever is written, `bounds`
for what numbers may be, `tokens` for text as token ids, `resampling` for the
bootstrap that every interval comes from.

This package must not know what a task, a template, a model's layer or a record
is. It works without torch, which a function imports where it measures a device.
"""
