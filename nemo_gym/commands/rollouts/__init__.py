"""Collect rollouts, score them again, show them."""
