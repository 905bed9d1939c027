"""Commands, in groups by what people want to do: each `ng_*` is a module that reads, calls one thing, and prints."""
