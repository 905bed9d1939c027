"""What a rollout becomes in each format: SFT, preference pairs, KTO labels, RL."""
