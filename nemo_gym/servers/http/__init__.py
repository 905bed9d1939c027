"""How a server, or a program, calls a server."""
