"""Paths of a resources server that are no tools. Apart from their users, since clients need them without a web framework."""

RESERVED_PATHS = frozenset({"/", "/health", "/tools", "/seed_session", "/verify", "/close_session"})
"""A policy can never reach these."""
