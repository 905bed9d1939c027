"""Tools over the Model Context Protocol: served to its clients, and taken from its servers. Needs the extra `mcp`."""
