"""A proxy between the clients of AWS and the emulator that fails as AWS does, by seeded odds.

HTTP/1.1 (all of Python, the KCL's DynamoDB) is understood, and each call may be throttled, refused, or done without an answer; a
PutRecords may besides be taken in part, get records twice, one of long ago among them, or get them in another order. HTTP/2 (the KCL's
Kinesis) is passed through as it is. `cut` resets every connection there is.
"""

import asyncio
import contextlib
import io
import json
import random
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from console.stack.processes import free_port

_HOST = "127.0.0.1"
_CHUNK = 1 << 16
_LARGEST = 1 << 30
_HTTP2 = b"PRI"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect"})
_REMEMBERED = 200
_KINESIS_REFUSES = "ProvisionedThroughputExceededException"


@dataclass(frozen=True)
class Odds:
    """How likely each fault is: of any call, and of a PutRecords besides."""

    throttled: float = 0.02
    failed: float = 0.01
    unanswered: float = 0.01
    partial: float = 0.1
    duplicated: float = 0.1
    reordered: float = 0.2


class Faults:
    """The proxy: `url` stands for the emulator's; `counts` says how often it did what."""

    def __init__(self, upstream: str, odds: Odds, chance: random.Random) -> None:
        """Nothing listens yet: see `between`."""
        self.url = ""
        self.counts: Counter[str] = Counter()
        self._upstream = URL(upstream)
        self._odds = odds
        self._chance = chance
        self._session: aiohttp.ClientSession | None = None
        self._door = 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()
        self._past: defaultdict[str, deque[Mapping[str, Any]]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def cut(self) -> None:
        """Reset every connection."""
        self.counts["connections_cut"] += len(self._ends) // 2
        for writer in tuple(self._ends):
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        self._door = free_port()
        runner = web.AppRunner(_application(self._answer), access_log=None, auto_decompress=False)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(
            auto_decompress=False, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            self._session = session
            await runner.setup()
            await web.TCPSite(runner, _HOST, self._door).start()
            port = free_port()
            self.url = f"http://{_HOST}:{port}"
            server = await asyncio.start_server(self._link, _HOST, port, limit=_CHUNK)
            try:
                yield
            finally:
                server.close()
                self.cut()
                await asyncio.gather(*self._links, return_exceptions=True)
                await runner.cleanup()

    def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._linked(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _linked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            start = await reader.readexactly(len(_HTTP2))
            port = int(self._upstream.port or 0) if start == _HTTP2 else self._door
            there, back = await asyncio.open_connection(_HOST, port, limit=_CHUNK)
            back.write(start)
            ends = {writer, back}
            self._ends |= ends
            try:
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                self._ends -= ends
                for end in ends:
                    end.transport.abort()
        writer.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        service, call = _named(request)
        fault = self._draw()
        if fault in {"throttled", "failed"}:
            self.counts[f"{service}_{fault}"] += 1
            return _refusal(service, fault)
        answer = await (self._put_records(request, body) if call == "PutRecords" else self._passed_on(request, body))
        if fault == "unanswered":
            self.counts[f"{service}_{fault}"] += 1
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _draw(self) -> str:
        lot = self._chance.random()
        for name in ("throttled", "failed", "unanswered"):
            lot -= getattr(self._odds, name)
            if lot < 0:
                return name
        return ""

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = self._upstream.join(URL(request.raw_path, encoded=True))
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=io.BytesIO(body), allow_redirects=False
            ) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
                if request.method == "HEAD" and "Content-Length" in answer.headers:
                    kept.append(("Content-Length", answer.headers["Content-Length"]))
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except aiohttp.ClientError:
            return web.Response(status=HTTPStatus.BAD_GATEWAY)

    async def _put_records(self, request: web.Request, body: bytes) -> web.Response:
        """Send some, perhaps more than once and in another order; answer for each where the caller had it."""
        asked = json.loads(body)
        records: list[Mapping[str, Any]] = asked["Records"]
        refused = {i for i in range(len(records)) if self._happens("partial") and self._chance.random() < 0.5}
        sent = [i for i in range(len(records)) if i not in refused]
        again = [records[i] for i in sent if self._happens("duplicated")]
        past = self._past[asked["StreamName"]]
        if past and self._happens("duplicated"):
            again.append(self._chance.choice(past))
        if len(sent) > 1 and self._happens("reordered"):
            self._chance.shuffle(sent)
            self.counts["batches_reordered"] += 1
        self.counts["records_refused"] += len(refused)
        self.counts["records_duplicated"] += len(again)
        past.extend(records[i] for i in sent)
        answer = await self._passed_on(request, json.dumps({**asked, "Records": [*(records[i] for i in sent), *again]}).encode())
        return _for_each(answer, sent, len(records)) if sent or again else _for_each(_nothing(), sent, len(records))

    def _happens(self, what: str) -> bool:
        return self._chance.random() < float(getattr(self._odds, what))


def _application(answer: Any) -> web.Application:
    application = web.Application(client_max_size=_LARGEST)
    application.router.add_route("*", "/{anything:.*}", answer)
    return application


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()


def _named(request: web.Request) -> tuple[str, str]:
    """Return the service and call: `X-Amz-Target` names them, S3 has none."""
    target = request.headers.get("X-Amz-Target", "")
    if not target:
        return "s3", request.method
    service, call = target.split(".", 1)
    return ("kinesis" if service.startswith("Kinesis") else "dynamodb"), call


def _refusal(service: str, fault: str) -> web.Response:
    if service == "s3":
        code, status = ("SlowDown", HTTPStatus.SERVICE_UNAVAILABLE) if fault == "throttled" else ("InternalError", 500)
        return web.Response(
            status=status, text=f"<Error><Code>{code}</Code><Message>chaos</Message></Error>", content_type="application/xml"
        )
    code, status = (_KINESIS_REFUSES, HTTPStatus.BAD_REQUEST) if fault == "throttled" else ("InternalServerError", 500)
    return web.json_response({"__type": code, "message": "chaos"}, status=status, content_type="application/x-amz-json-1.1")


def _nothing() -> web.Response:
    return web.json_response({"Records": []}, content_type="application/x-amz-json-1.1")


def _for_each(answer: web.Response, sent: list[int], count: int) -> web.Response:
    """Return the answer as it would be for the records that were asked for; those that were not sent are refused."""
    if answer.status != HTTPStatus.OK:
        return answer
    assert isinstance(answer.body, bytes)
    results = dict(zip(sent, json.loads(answer.body)["Records"], strict=False))  # what was sent again comes after
    refused = {"ErrorCode": _KINESIS_REFUSES, "ErrorMessage": "chaos"}
    told = [results.get(index, refused) for index in range(count)]
    failed = sum("ErrorCode" in one for one in told)
    text = json.dumps({"FailedRecordCount": failed, "Records": told})
    return web.Response(text=text, content_type="application/x-amz-json-1.1")
