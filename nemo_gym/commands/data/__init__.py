"""Prepare task sets, and share them."""
