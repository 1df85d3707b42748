"""The viewer's server on 127.0.0.1: its pages, the drive as GeoJSON, and the objects that it names, whole or in parts."""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from console.catalogue.documents import GEOJSON
from console.catalogue.items import PMTILES, item, item_collection
from console.catalogue.projection import WGS84
from console.catalogue.sources import Source
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable

WEB = Path(__file__).with_name("web")
_SOURCE = web.AppKey("source", Source)
_T = TypeVar("_T")
_RANGE = re.compile(r"bytes=(?:(?P<first>\d+)-(?P<end>\d*)|-(?P<last>\d+))")
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {".jpg": "image/jpeg", ".json": "application/json", ".pmtiles": PMTILES}


@contextlib.asynccontextmanager
async def serving(source: Source, port: int) -> AsyncIterator[str]:
    """Serve a drive on the loopback while the block runs; yields the address. Port 0 is any that is free."""
    runner = web.AppRunner(application(source), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise Misconfigured(f"Port {port} on 127.0.0.1 cannot be had; --port 0 takes any that is free.") from error


def application(source: Source) -> web.Application:
    """Return what answers the browser."""
    app = web.Application()
    app[_SOURCE] = source
    app.router.add_get("/", _index)
    app.router.add_get("/drive.geojson", _drive)
    app.router.add_get("/objects/{key:.+}", _object)
    app.router.add_static("/", WEB)
    app.on_response_prepare.append(_careful)
    return app


async def _careful(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def _index(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(WEB / "index.html")


async def _drive(request: web.Request) -> web.Response:
    found = await _or_error(request.app[_SOURCE].publications())
    items = [item(one, lambda key: f"objects/{key}", WGS84) for one in found]
    return web.Response(text=json.dumps(item_collection(items)), content_type=GEOJSON)


async def _object(request: web.Request) -> web.Response:
    """Answer with the object, or the part of it that is asked for: one range, as browsers ask."""
    key, source = request.match_info["key"], request.app[_SOURCE]
    size = await _or_error(source.size(key))
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    first, end = _span(asked, size) if asked else (0, size)
    headers = {"Accept-Ranges": "bytes"}
    if asked:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}" if first < end else f"bytes */{size}"
    if asked and first >= end:
        return web.Response(status=416, headers=headers)
    data = await _or_error(source.read(key, first, end))
    kind = _TYPES.get(Path(key).suffix, "application/octet-stream")
    return web.Response(status=206 if asked else 200, body=data, content_type=kind, headers=headers)


def _span(asked: re.Match[str], size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last that a range asks for: `a-b`, `a-`, or the last `-n`."""
    if (last := asked["last"]) is not None:
        return max(0, size - int(last)), size
    return int(asked["first"]), min(size, int(asked["end"]) + 1) if asked["end"] else size


async def _or_error(work: Awaitable[_T]) -> _T:
    """Return what was asked for; what is not there, or not now, is said to the browser in one sentence."""
    try:
        return await work
    except (Rejected, Misconfigured) as error:
        raise web.HTTPNotFound(text=f"{error}") from error
    except Unavailable as error:
        raise web.HTTPServiceUnavailable(text=f"{error}") from error
