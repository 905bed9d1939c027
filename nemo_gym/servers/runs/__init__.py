"""What a run is on disk and in the environment of its processes."""
