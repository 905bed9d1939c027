"""What a collection is on disk: rollouts, failures, journal, manifest, metrics. One writer, one reader."""
