"""The bound for waits in tests: reached only when something hangs, however busy the machine is.

No test compares times. Where a test must show that A comes before B, B never comes by itself within this bound.
"""

HANGS_AFTER_S = 60.0
NEVER_S = 3600.0  # longer than pytest's own limit for one test
