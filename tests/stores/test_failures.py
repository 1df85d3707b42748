"""What goes wrong between a store and its server, and whose fault it is: a server that misbehaves on purpose."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import panoveil.blobs._s3 as s3
from panoveil.aws import Patience, Refused, translated
from panoveil.blobs import S3Blobs
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId
from panoveil.contracts.reasons import Reason
from panoveil.ledger import DynamoLedger, SeenObject, provision_table, verify_chain
from tests.stores.conftest import REGION

FRAME = BlobRef(Bucket.RAW, "dk/d1/c1/front.jpg")
CAPTURE = CaptureId("dk", "d1", "c1")
BUCKETS = {role: role.value for role in Bucket}
ONCE = Patience(connect_seconds=60, read_seconds=60, attempts=1)
BRIEFLY = Patience(connect_seconds=0.3, read_seconds=0.3, attempts=1)


def _xml(status: str, code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _json(status: str, code: str) -> bytes:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "so it is"}}'.encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 34\r\n\r\n<html>Log in to the hotel's WiFi</html>"[:-5]
TRUNCATED = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\nshort'


@asynccontextmanager
async def _server(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives everyone the same answer, or none at all."""
    end = asyncio.Event()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await end.wait()
            writer.write(answer or b"")
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.close()
            for _ in range(5):  # somebody may just be let in
                await asyncio.sleep(0)
            end.set()
            await asyncio.gather(*talks)


def _patience(answer: bytes | None) -> Patience:
    """Short with a server that never answers; with any other, a machine that is busy must not look like that."""
    return ONCE if answer is not None else BRIEFLY


@pytest.mark.parametrize(
    "answer",
    [
        _xml("503 Slow Down", "SlowDown"),
        _xml("500 Internal Server Error", "InternalError"),
        _xml("429 Too Many Requests", "TooManyRequests"),
        _xml("400 Bad Request", "RequestTimeout"),
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"no http at all\r\n\r\n",
        TRUNCATED,
        None,
    ],
)
async def test_s3_in_trouble_is_waited_for(credentials: None, answer: bytes | None) -> None:
    async with _server(answer) as url, S3Blobs(BUCKETS, REGION, url, _patience(answer)) as store:
        with pytest.raises(Unavailable) as caught:
            await store.get(FRAME)
        assert caught.value.dependency == "s3"


@pytest.mark.parametrize("answer", [_xml("503 Slow Down", "SlowDown"), HTML, b"", None, _xml("400 Bad Request", "BadDigest")])
async def test_a_put_in_trouble_is_repeated(credentials: None, answer: bytes | None) -> None:
    async with _server(answer) as url, S3Blobs(BUCKETS, REGION, url, _patience(answer)) as store:
        with pytest.raises(Unavailable):
            await store.put(FRAME, b"data")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (_xml("403 Forbidden", "AccessDenied"), "grant this role"),
        (_xml("403 Forbidden", "InvalidAccessKeyId"), "AWS_ACCESS_KEY_ID"),
        (_xml("403 Forbidden", "SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"),
        (_xml("403 Forbidden", "RequestTimeTooSkewed"), "clock"),
        (_xml("400 Bad Request", "ExpiredToken"), "expired"),
        (_xml("404 Not Found", "NoSuchBucket"), "provision"),
    ],
)
async def test_what_somebody_must_mend_stops_with_a_sentence(credentials: None, answer: bytes, sentence: str) -> None:
    async with _server(answer) as url, S3Blobs(BUCKETS, REGION, url, ONCE) as store:
        with pytest.raises(Misconfigured, match=sentence):
            await store.get(FRAME)


async def test_a_denied_head_is_no_absent_object(credentials: None) -> None:
    async with (
        _server(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as url,
        S3Blobs(BUCKETS, REGION, url, ONCE) as store,
    ):
        with pytest.raises(Misconfigured, match="s3:ListBucket"):
            await store.head(FRAME)


async def test_an_archived_object_is_gone_until_restored(credentials: None) -> None:
    async with _server(_xml("403 Forbidden", "InvalidObjectState")) as url, S3Blobs(BUCKETS, REGION, url, ONCE) as store:
        with pytest.raises(Rejected, match="restore") as caught:
            await store.get(FRAME)
        assert caught.value.reason == Reason.OBJECT_GONE


async def test_an_unforeseen_answer_is_a_bug(credentials: None) -> None:
    async with _server(_xml("400 Bad Request", "InvalidArgument")) as url, S3Blobs(BUCKETS, REGION, url, ONCE) as store:
        with pytest.raises(Refused, match="InvalidArgument"):
            await store.put(FRAME, b"")


async def test_no_credentials_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    async with S3Blobs(BUCKETS, REGION, "http://127.0.0.1:1", ONCE) as store:
        with pytest.raises(Misconfigured, match="credentials"):
            await store.head(FRAME)


@pytest.mark.servers
async def test_s3_refuses_bytes_that_changed_on_the_way(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = {Bucket.RAW: "integrity"}
    s3.provision_buckets(buckets, REGION, emulator)
    monkeypatch.setattr(s3, "_base64", lambda digest: "A" * 43 + "=")
    async with S3Blobs(buckets, REGION, emulator, ONCE) as store:
        with pytest.raises(Unavailable, match="BadDigest"):
            await store.put(FRAME, b"damaged")
        assert await store.head(FRAME) is None


@pytest.mark.parametrize(
    "answer",
    [
        _json("400 Bad Request", "ProvisionedThroughputExceededException"),
        _json("400 Bad Request", "ThrottlingException"),
        _json("500 Internal Server Error", "InternalServerError"),
        b"",
        None,
    ],
)
async def test_dynamodb_in_trouble_is_waited_for(credentials: None, answer: bytes | None) -> None:
    async with _server(answer) as url, DynamoLedger("t", REGION, url, _patience(answer)) as store:
        with pytest.raises(Unavailable) as caught:
            await store.finish(CAPTURE, "stitcher", "r", b"")
        assert caught.value.dependency == "dynamodb"


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "UnrecognizedClientException"])
async def test_dynamodb_says_what_to_mend(credentials: None, code: str) -> None:
    async with _server(_json("400 Bad Request", code)) as url, DynamoLedger("t", REGION, url, ONCE) as store:
        with pytest.raises(Misconfigured):
            await store.saw(CAPTURE, SeenObject("a", "b", 1))


class _LosesAnswers:
    """A client whose writes arrive, but whose answers to the first few do not: it then writes again, as botocore does."""

    def __init__(self, client: object, losses: int) -> None:
        self._client = client
        self._losses = losses

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    async def put_item(self, **arguments: object) -> object:
        return await self._twice(self._client.put_item, arguments)  # type: ignore[attr-defined]

    async def transact_write_items(self, **arguments: object) -> object:
        return await self._twice(self._client.transact_write_items, arguments)  # type: ignore[attr-defined]

    async def _twice(self, write: Callable[..., Awaitable[object]], arguments: dict[str, object]) -> object:
        if self._losses:
            self._losses -= 1
            await write(**arguments)
        return await write(**arguments)


@pytest.mark.servers
async def test_an_audit_whose_answer_was_lost_is_written_once(emulator: str) -> None:
    provision_table("lost", REGION, emulator)
    async with DynamoLedger("lost", REGION, emulator) as store:
        await store.audit("dk/d1", {"n": 0})
        store._client = _LosesAnswers(store._client, losses=1)  # type: ignore[assignment]
        entry = await store.audit("dk/d1", {"n": 1})
        chain = [one async for one in store.audit_chain("dk/d1")]
    assert (entry.sequence, chain[1:], verify_chain(chain)) == (2, [entry], [])


@pytest.mark.servers
async def test_a_finish_whose_answer_was_lost_still_wins(emulator: str) -> None:
    provision_table("lost", REGION, emulator)
    async with DynamoLedger("lost", REGION, emulator) as store:
        store._client = _LosesAnswers(store._client, losses=1)  # type: ignore[assignment]
        assert await store.finish(CAPTURE, "stitcher", "r", b"mine") == b"mine"


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(ZeroDivisionError), translated("s3", "x"):
        _ = 1 / 0
