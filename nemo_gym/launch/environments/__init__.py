"""Python environments for servers whose requirements ask for more than is installed."""
