"""Commands: one module for each `ng_*` command; they read, call one thing, and print."""
