"""Asking a judge model for a verdict; `nemo_gym.judge` is its public face, `docs/judge.md` says how to use it."""
