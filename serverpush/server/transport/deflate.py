"""Compressed WebSocket messages (permessage-deflate, RFC 7692), each by itself.

Without context takeover on either side a compressed frame is the same for everybody who gets
it, and nothing is kept for a connection.
"""

import zlib

from serverpush.server.transport.protocol_error import ProtocolError

NAME = "permessage-deflate"
ANSWER = (
    b"Sec-WebSocket-Extensions: permessage-deflate; "
    b"server_no_context_takeover; client_no_context_takeover\r\n"
)
FROM = 1024
"""Bytes of a message from which on it is compressed: of less, little is saved."""
WORTH = 0.9
"""Of its size, what a compressed message may have: else it goes as it is."""
TAIL = b"\x00\x00\xff\xff"
"""Ends what is flushed, and is left out (section 7.2.1)."""

_BARE = {"server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits"}


def is_offered(header: str) -> bool:
    """Does a client offer what ``ANSWER`` accepts? ``header`` is ``Sec-WebSocket-Extensions``."""
    return any(map(_is_acceptable, header.split(",")))


def _is_acceptable(offer: str) -> bool:
    name, *parameters = (part.strip() for part in offer.split(";"))
    known: set[str] = set()
    for parameter in parameters:
        key, equals, value = (part.strip() for part in parameter.partition("="))
        value = value.strip('"')
        if key in known:
            return False
        known.add(key)
        is_bits = value.isascii() and value.isdigit() and 8 <= int(value) <= 15
        if key == "client_max_window_bits" and equals and is_bits:
            continue
        # Our window has 15 bits: a client that can't have it gets no compression.
        if key == "server_max_window_bits" and value == "15":
            continue
        if key not in _BARE or equals:
            return False
    return name == NAME


def deflated(payload: bytes) -> bytes | None:
    """The payload of a compressed message; None where it does not pay."""
    if len(payload) < FROM:
        return None
    data = compressed(payload)
    return data if len(data) <= WORTH * len(payload) else None


def compressed(payload: bytes) -> bytes:
    """The payload of a compressed message."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(TAIL)


def inflated(payload: bytes, limit: int) -> bytes:
    """A client's message as it was before; raises ``ProtocolError`` beyond ``limit`` bytes."""
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + TAIL, limit + 1)
    except zlib.error:
        raise ProtocolError(1007, "a message that can't be decompressed") from None
    if len(data) > limit:
        raise ProtocolError(1009, "a message that is too big")
    return data
