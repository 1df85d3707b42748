"""One AWS emulator for the whole run, and the two implementations of each port."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from console.stack.emulator import emulator_environment
from panoveil.aws import Patience
from panoveil.blobs import Blobs, MemoryBlobs, S3Blobs, provision_buckets
from panoveil.contracts.keys import Bucket
from panoveil.ledger import DynamoLedger, Ledger, MemoryLedger, provision_table

REGION = "eu-north-1"
HASTE = Patience(connect_seconds=1, attempts=1)
BOTH = ["memory", pytest.param("server", marks=pytest.mark.servers)]


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    """Give the AWS clients keys that open nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def emulator(credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run ministack on a free port of the loopback; yields its URL."""
    port = free_port()
    environment = {**os.environ, **emulator_environment(port), "LOG_LEVEL": "WARNING"}
    log = (tmp_path_factory.mktemp("emulator") / "log").open("wb")
    program = Path(sys.executable).with_name("ministack")
    with log, subprocess.Popen([program], env=environment, stdout=log, stderr=log) as server:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/_ministack/ready", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the emulator answers."""
    for _ in range(200):
        assert server.poll() is None, "the emulator ended"
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own loopback address
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the emulator did not become ready")


@pytest.fixture
def nowhere(credentials: None) -> str:
    """A server that is down: nobody listens there."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(params=BOTH)
async def blobs(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    """An empty object store."""
    if request.param == "memory":
        yield MemoryBlobs()
        return
    endpoint: str = request.getfixturevalue("emulator")
    buckets = {role: f"t{uuid.uuid4().hex[:12]}-{role}" for role in Bucket}
    provision_buckets(buckets, REGION, endpoint)
    async with S3Blobs(buckets, REGION, endpoint) as store:
        yield store


@pytest.fixture(params=BOTH)
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    endpoint: str = request.getfixturevalue("emulator")
    table = f"t{uuid.uuid4().hex[:12]}"
    provision_table(table, REGION, endpoint)
    async with DynamoLedger(table, REGION, endpoint) as store:
        yield store
