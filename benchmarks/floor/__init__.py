"""The floor: the least that can make the HTTP calls of a weather rollout, its endpoint and its driver."""
