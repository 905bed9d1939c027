"""Letter count, an environment for nemo-gym."""
