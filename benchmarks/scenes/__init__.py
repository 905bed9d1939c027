"""The scenes, one module each: `run(options)` gives the report."""
