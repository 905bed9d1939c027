"""The process above one sandboxed program: starts it, watches it, and leaves nothing of it behind.

`main` is given one end of a socket pair. Over it comes a `SupervisorSpec` as one line of JSON, and back goes a
`SupervisorReport`. When the other end shuts, whatever the reason, all is ended.

It is the subreaper of everything below it (Linux, prctl(2)): a program that forks twice or opens its own session stays
its descendant, and "no child left" (ECHILD) means nothing of the program is alive.

Standard library and relative imports only: it runs as `supervisor`, without `nemo_gym` and what that depends on.
"""
