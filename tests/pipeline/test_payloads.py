"""What looks for payloads in logs finds them."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.pipeline.payloads import tells

TEXT = b'{"no": "event"}'
PICTURE = bytes(range(240, 256)) + b"\xff\xd8\xfb\xef\xbe"
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "as Python": lambda data: repr(data).encode(),
    "as JSON": lambda data: json.dumps(data.decode("latin-1")).encode(),
    "hexadecimal": lambda data: data.hex().encode(),
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 in lines": base64.encodebytes,
}


@pytest.mark.parametrize("payload", [TEXT, PICTURE], ids=["text", "picture"])
@pytest.mark.parametrize("before", range(70, 76))
@pytest.mark.parametrize("way", WAYS)
def test_a_payload_amid_other_data_is_found(payload: bytes, before: int, way: str) -> None:
    log = b"INFO read " + WAYS[way](b"\x01" * before + payload + b"\x01\x02") + b"\nINFO done\n"
    assert tells(log, payload)
    assert not tells(log, payload[::-1])
