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
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
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
    key = request.match_info["key"]
    data = await _or_error(request.app[_SOURCE].read(key))
    headers = {"Accept-Ranges": "bytes"}
    kind = _TYPES.get(Path(key).suffix, "application/octet-stream")
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or not any(asked.groups()):
        return web.Response(body=data, content_type=kind, headers=headers)
    start, stop = _span(asked, len(data))
    if start >= stop:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(status=206, body=data[start:stop], content_type=kind, headers=headers)


def _span(asked: re.Match[str], size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last of a range header: `a-b`, `a-`, or the last `-n`."""
    first, last = asked.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


async def _or_error(work: Awaitable[_T]) -> _T:
    """Return what was asked for; what is not there, or not now, is said to the browser in one sentence."""
    try:
        return await work
    except (Rejected, Misconfigured) as error:
        raise web.HTTPNotFound(text=f"{error}") from error
    except Unavailable as error:
        raise web.HTTPServiceUnavailable(text=f"{error}") from error
