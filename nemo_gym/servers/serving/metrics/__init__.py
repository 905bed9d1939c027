"""What each server counts of its requests, and how the head puts all of it on one page for Prometheus."""
