"""Requests to the outside, to addresses that a model chose. The public face is `nemo_gym.outbound_fetch`."""
