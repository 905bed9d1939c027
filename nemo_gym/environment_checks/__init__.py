"""Proof of an environment without a model."""
