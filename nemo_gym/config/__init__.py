"""Configuration: read, merge, check, before anything starts. Knows nothing of servers."""
