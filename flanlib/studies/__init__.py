"""The runs behind the figures: profiles, plans, axes, runs, sweeps, data audits.

Public: `study.open_study` and `Study`, `axes.Axis`, `profiles.settings` and
`Settings`, `runs.run`, `sweep` for several machines.

This package must not know how a figure looks or in which notebook it stands. It
works without torch until something is computed.
"""
