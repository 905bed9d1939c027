"""Reading a body up to a limit, unpacked piece by piece so that a small packed body cannot become a large one."""

import zlib

import aiohttp

from nemo_gym.outbound.error import FetchError

ACCEPT_ENCODING = "gzip, deflate"
_PIECE_BYTES = 65_536
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> tuple[bytes, bool]:
    """Read a body; the response must not unpack by itself.

    Returns:
        The unpacked body, at most `max_bytes` long, and whether there was more. What comes over the wire is bounded
        by the same number.

    Raises:
        FetchError: Packed in another way than asked for, or broken.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise FetchError("unreadable")
    unpack = _Plain() if encoding in ("identity", "") else _Packed()
    body = bytearray()
    wire_bytes = 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        wire_bytes += len(piece)
        # One byte more than there is room for tells "too long" from "just fits".
        body += unpack(piece, max_bytes + 1 - len(body))
        if max(len(body), wire_bytes) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False


class _Plain:
    def __call__(self, piece: bytes, max_length: int) -> bytes:
        return piece[:max_length]


class _Packed:
    """Gzip of any number of members, or deflate with or without the header that the specification wants."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None

    def __call__(self, piece: bytes, max_length: int) -> bytes:
        unpacked = bytearray()
        while piece and len(unpacked) < max_length:
            if self._member is None:
                self._member = zlib.decompressobj(_window(piece))
            try:
                unpacked += self._member.decompress(piece, max_length - len(unpacked))
            except zlib.error as error:
                raise FetchError("unreadable") from error
            piece = self._member.unused_data
            if self._member.eof:
                self._member = None
        return bytes(unpacked)


def _window(first: bytes) -> int:
    # zlib's header has compression method 8 in its low half byte; gzip begins with 0x1f.
    has_header = first[0] == 0x1F or first[0] & 0x0F == 8
    return _GZIP_OR_ZLIB if has_header else -zlib.MAX_WBITS
