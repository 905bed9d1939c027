"""Paths of a resources server that are no tools: clients need them too, without loading a web framework."""

RESERVED_PATHS = frozenset({"/", "/health", "/tools", "/seed_session", "/verify", "/close_session"})
"""A policy can never reach these."""
