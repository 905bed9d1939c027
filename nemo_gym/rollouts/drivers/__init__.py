"""Several processes that run the rollouts of one collection, which one other process reads, counts and writes."""
