"""Finding a payload in a log, however it was written there."""

import base64
import json


def tells(log: bytes, payload: bytes) -> bool:
    """Whether the log holds the payload: as it is, escaped as Python and JSON do, in hexadecimal, or in base64 amid other data."""
    unbroken = log.replace(b"\n", b"")
    return any(spelling in text for spelling in _spellings(payload) for text in (log, unbroken))


def _spellings(payload: bytes) -> set[bytes]:
    texts = {repr(payload)[2:-1], json.dumps(payload.decode("latin-1"))[1:-1], payload.hex(), payload.hex().upper()}
    base64s = {_amid(payload, before) for before in range(3)}
    return {payload, *(text.encode() for text in texts), *base64s, *(text.translate(_URL_SAFE) for text in base64s)}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _amid(payload: bytes, before: int) -> bytes:
    """Base64 of the payload after so many other bytes (modulo 3): the characters that hold nothing of its neighbours."""
    first, end = -(-before * 8 // 6), (before + len(payload)) * 8 // 6
    return base64.b64encode(bytes(before) + payload)[first:end]
