"""How a server is served: app, endpoint, errors, authentication, limits."""
