"""Servers: the three base servers, the head, sessions, the client. Knows nothing of launching."""
