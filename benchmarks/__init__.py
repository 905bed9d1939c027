"""Ours against the floor, scene by scene: see docs/benchmarks.md."""
