"""The resolved configuration, the list of commands, the versions."""
