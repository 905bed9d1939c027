"""Calls to endpoints of models, which are not servers of the run."""
