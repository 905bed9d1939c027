"""Launching: plan, processes, environments, supervision. Knows nothing of rollouts."""
