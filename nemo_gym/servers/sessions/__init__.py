"""Who holds a session, and how a rollout deals with its environment."""
