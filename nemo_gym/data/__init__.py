"""Task sets before rollouts: prepared and checked (`prepare/`), shared and fetched (`registries/`)."""
