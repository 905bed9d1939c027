"""What is done with rollouts whose token data a trainer can't rely on: they are masked, and one is shown."""
