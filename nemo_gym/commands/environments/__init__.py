"""Write an environment, and test what was written."""
