"""What the page of one rollout shows: its conversation, calls, tokens, verdict, and what can be copied."""
