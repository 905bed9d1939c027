"""Rollouts inside one process: for scripts and notebooks, imported as `nemo_gym.gym`."""
