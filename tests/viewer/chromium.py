"""A headless Chromium and the little of its DevTools protocol that tests need: open a page, ask it, press keys, photograph it."""

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--remote-debugging-port=0", "--hide-scrollbars",
)  # fmt: skip
_KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def program() -> str | None:
    """Return a Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Page:
    """A page of the browser; `requests` are what it asked servers for, with their headers, `trouble` what it complained of."""

    socket: aiohttp.ClientWebSocketResponse
    numbers: Iterator[int] = field(default_factory=itertools.count)
    answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        number = next(self.numbers)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(answer, 60)

    async def listen(self) -> None:
        """Sort what the browser says until it is closed."""
        async for message in self.socket:
            said = message.json()
            if (answer := self.answers.pop(said.get("id", -1), None)) is not None:
                answer.set_result(said.get("result", said))
            else:
                self._hear(said.get("method", ""), said.get("params", {}))

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Runtime.exceptionThrown":
            self.trouble.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.trouble.append(str(params["entry"]))

    async def ask(self, expression: str) -> Any:
        """Return what a JavaScript expression is, awaited where it is a promise."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, seconds: float = 60) -> Any:
        """Return what an expression is once it is true."""
        ended = asyncio.get_running_loop().time() + seconds
        while not (found := await self.ask(expression)):
            assert asyncio.get_running_loop().time() < ended, f"{expression} did not come true; {self.trouble}"
            await asyncio.sleep(0.1)
        return found

    async def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key])

    async def photograph(self, path: Path) -> None:
        """Save what the page shows as PNG."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"]))


@contextlib.asynccontextmanager
async def opened(address: str, folder: Path, size: tuple[int, int] = (1280, 720)) -> AsyncIterator[Page]:
    """Open a page in a browser of its own while the block runs."""
    async with _browser(folder, size) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            target = next(one for one in await answer.json() if one["type"] == "page")
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 28) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Network", "Runtime", "Log", "Page"):
                await page.call(f"{domain}.enable")
            await page.call("Page.navigate", url=address)
            yield page
            listening.cancel()


@contextlib.asynccontextmanager
async def _browser(folder: Path, size: tuple[int, int]) -> AsyncIterator[int]:
    """Run Chromium; yields the port of its DevTools."""
    found = program()
    assert found is not None
    flags = (*_FLAGS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}", "about:blank")
    process = await asyncio.create_subprocess_exec(
        found, *flags, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield await _port(folder / "DevToolsActivePort")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _port(file: Path) -> int:
    for _ in range(600):
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            return int(file.read_text().splitlines()[0])
        await asyncio.sleep(0.1)
    raise TimeoutError("Chromium did not open its DevTools")
