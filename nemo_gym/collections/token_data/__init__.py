"""The token data of rollouts: model calls, and whether a trainer can rely on them."""
