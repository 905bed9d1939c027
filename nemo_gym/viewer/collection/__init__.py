"""One collection, followed: its rollouts as a table of numbers, its task rows, its state."""
