"""Token data of rollouts: whether a trainer can rely on it, and what is done where it can't."""
