"""Rollouts: tasks in, verified rollouts out. Knows nothing of how servers are started."""
