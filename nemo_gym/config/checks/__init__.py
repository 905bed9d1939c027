"""Checks of a merged configuration: every mistake is found, with its file and key."""
