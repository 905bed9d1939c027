"""The key that signs one server's session cookies, derived from the secret of its run."""

import hmac

_NO_SALT = bytes(32)
_FIRST_BLOCK = b"\x01"


def derived_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes that tell nothing about the secret, or about the key for another purpose.

    Source:
        HKDF-SHA256, RFC 5869, without salt; one block of output.
    """
    extracted = hmac.digest(_NO_SALT, secret.encode(), "sha256")
    return hmac.digest(extracted, purpose.encode() + _FIRST_BLOCK, "sha256")
