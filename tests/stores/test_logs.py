"""At the most talkative level, over the real adapters: no secret and no pixel in what a service writes to its log."""

import base64
import os
import subprocess
import sys
import uuid

import pytest

from tests.pipeline.payloads import tells

pytestmark = pytest.mark.servers
SECRET, TOKEN = "s3cr3t/OfNobody+0123456789abcdefghijklmn", "t0ken-of-a-session-AAAABBBBCCCCDDDD"
PIXELS = bytes(range(200, 240)) * 3
MANIFEST = b'{"latitude": 55.676098, "longitude": 12.568337}'
SERVICE = """
import asyncio, sys
from pathlib import Path
from panoveil import runtime
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId, Stream, raw_key
from panoveil.keys import KmsDriveKeys
from panoveil.ledger import SeenObject
from panoveil.runtime import connect, provision, run
from panoveil.settings import Settings
from panoveil.streams import Outgoing, Record

settings, capture_id = Settings(), CaptureId("dk", "d1", "c1")
pixels, manifest = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2])

async def main():
    await asyncio.to_thread(provision, settings)
    runtime._LOG.debug("at DEBUG we speak")
    async with connect(settings) as world, KmsDriveKeys(world.blobs, settings.wrapping_alias, settings.region, settings.endpoint_url) as keys:
        await world.blobs.put(raw_key(capture_id, "front.jpg"), pixels)
        await world.blobs.get(raw_key(capture_id, "front.jpg"))
        await world.ledger.saw(capture_id, SeenObject("front.jpg", "e", 7))
        await world.ledger.finish(capture_id, "ingest", "1", manifest)
        await world.sink.send(Stream.UPLOADS, [Outgoing("dk/d1/c1", manifest)])
        key = await keys.obtain("dk/d1")
        Path(sys.argv[3]).write_bytes(key.secret)
        quarantine = runtime.Quarantine("ingest", world)
        await quarantine.put(Record("0", "1", "dk/d1/c1\\nCRITICAL all is lost", manifest, 0.0), "not_json", "x", "", 1)
        await world.blobs.get(raw_key(capture_id, "gone.jpg"))

run(main(), settings)
"""


@pytest.fixture(name="told", scope="module")
def what_a_service_logs(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return what was logged, and the data key that was in use meanwhile."""
    key = tmp_path_factory.mktemp("logs") / "key"
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "AKIAOFNOBODY",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "PANOVEIL_ENDPOINT_URL": emulator,
        "PANOVEIL_NAMESPACE": f"t{uuid.uuid4().hex[:12]}",
        "PANOVEIL_LOG_LEVEL": "DEBUG",
    }
    command = [sys.executable, "-c", SERVICE, PIXELS.hex(), MANIFEST.hex(), str(key)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == 65, done.stderr[-2000:].decode()
    return done.stdout + done.stderr, key.read_bytes()


def test_the_log_is_at_debug_and_holds_our_sentences(told: tuple[bytes, bytes]) -> None:
    log, _ = told
    assert b"DEBUG panoveil.runtime at DEBUG we speak" in log
    assert b"CRITICAL panoveil.runtime object_gone" in log


@pytest.mark.parametrize("secret", [SECRET.encode(), TOKEN.encode(), b"AKIAOFNOBODY", b"Signature=", b"X-Amz-", b"authorization"])
def test_no_credential_and_no_signature_is_logged(told: tuple[bytes, bytes], secret: bytes) -> None:
    log, _ = told
    assert secret.lower() not in log.lower()


def test_no_data_key_is_logged(told: tuple[bytes, bytes]) -> None:
    log, key = told
    assert len(key) == 32
    assert not tells(log, key)
    assert base64.b64encode(key)[:20] not in log


@pytest.mark.parametrize("payload", [PIXELS[:30], MANIFEST], ids=["pixels", "positions"])
def test_no_payload_is_logged(told: tuple[bytes, bytes], payload: bytes) -> None:
    log, _ = told
    assert not tells(log, payload)


def test_a_sender_writes_no_line_of_their_own(told: tuple[bytes, bytes]) -> None:
    log, _ = told
    assert b"quarantined a record of dk/d1/c1\\nCRITICAL all is lost" in log
    assert not any(line.startswith(b"CRITICAL") for line in log.splitlines())
