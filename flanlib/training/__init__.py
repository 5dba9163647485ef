"""What tuning is made of: packing, trainer, checkpoints, memory, cards."""
