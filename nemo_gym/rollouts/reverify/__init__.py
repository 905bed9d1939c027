"""Verifying stored rollouts again."""
