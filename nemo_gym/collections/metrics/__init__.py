"""What the rollouts of a collection come to: rewards, pass@k, tokens."""
