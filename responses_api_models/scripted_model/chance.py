"""Chance that can be replayed: the same seed and request number always draw the same value."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15


def draw(seed: int, request_number: int, purpose: int) -> float:
    """Draw a number in [0, 1) that depends on nothing but its arguments.

    Args:
        seed: The configured seed.
        request_number: Number of the request at this endpoint, from 1.
        purpose: Keeps draws of one request for different questions apart.

    Source:
        SplitMix64 finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    """
    # Mixed one after the other: added up, seed 1 would play seed 0's sequence one request early.
    state = _mix(_mix(_mix(seed & _MASK) + request_number) + purpose)
    return (state >> 11) / (1 << 53)


def _mix(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return value ^ (value >> 31)
