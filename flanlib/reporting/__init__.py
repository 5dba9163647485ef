"""From notebooks and figures to pages: runner, report, documents, API reference.

Public: `notebook.run`, `batch` for notebooks in a row, `report.write`, `blocks` for
the numbers in README and docs.

This package must not compute a score or an interval: it shows what figures and
records have. It works without torch.
"""
