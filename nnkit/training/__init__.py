"""Training: the objective (losses and metrics), one update, one epoch, and compile/fit/evaluate."""

__all__: list[str] = []
