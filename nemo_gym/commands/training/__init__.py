"""From collections to training: profile, choose, compare, export."""
