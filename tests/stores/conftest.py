"""The two implementations of each port."""

import uuid
from collections.abc import AsyncIterator

import pytest

from console.stack.processes import free_port
from panoveil.aws import Patience
from panoveil.blobs import Blobs, MemoryBlobs, Multipart, S3Blobs, provision_buckets
from panoveil.contracts.keys import Bucket
from panoveil.keys import DriveKeys, KmsDriveKeys, MemoryDriveKeys, provision_wrapping_key
from panoveil.ledger import DynamoLedger, Ledger, MemoryLedger, provision_table

REGION = "eu-north-1"
HASTE = Patience(connect_seconds=1, attempts=1)
BOTH = ["memory", pytest.param("server", marks=pytest.mark.servers)]


@pytest.fixture
def nowhere(credentials: None) -> str:
    """A server that is down: nobody listens there."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(params=[*BOTH, pytest.param("server, in parts", marks=pytest.mark.servers)])
async def blobs(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    """An empty object store."""
    if request.param == "memory":
        yield MemoryBlobs(restore_seconds=0.1)
        return
    endpoint: str = request.getfixturevalue("emulator")
    buckets = {role: f"t{uuid.uuid4().hex[:12]}-{role}" for role in Bucket}
    provision_buckets(buckets, REGION, endpoint)
    multipart = Multipart(above=1, part=5 << 20) if "parts" in request.param else Multipart()
    async with S3Blobs(buckets, REGION, endpoint, multipart=multipart) as store:
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


@pytest.fixture(params=BOTH)
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[DriveKeys]:
    """An empty key store."""
    if request.param == "memory":
        yield MemoryDriveKeys()
        return
    endpoint: str = request.getfixturevalue("emulator")
    name = f"t{uuid.uuid4().hex[:12]}"
    provision_buckets({Bucket.KEYS: f"{name}-keys"}, REGION, endpoint)
    provision_wrapping_key(f"alias/{name}", REGION, endpoint)
    async with (
        S3Blobs({Bucket.KEYS: f"{name}-keys"}, REGION, endpoint) as blobs,
        KmsDriveKeys(blobs, f"alias/{name}", REGION, endpoint) as store,
    ):
        yield store
