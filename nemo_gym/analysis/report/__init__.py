"""Profiles and comparisons as pages and tables for people."""
