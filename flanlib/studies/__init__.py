"""The runs behind the figures: plans, axes, runs, estimates, audits, sweeps."""
