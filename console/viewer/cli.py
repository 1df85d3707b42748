"""`panoveil view`: options in, a server until Ctrl-C, an address out."""

import asyncio
import contextlib
import signal
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import status
from console.catalogue.sources import Folder, Published, Source
from console.viewer.app import serving
from panoveil.runtime import connect

_OUT = Console()


def view(
    drive: Annotated[str | None, typer.Argument(help="<survey>/<drive>; with --folder only where it holds several.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Show what lies in this folder, as `panoveil demo` leaves it in its folder published/.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 is any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Walk along the published panoramas of a drive in a browser, until Ctrl-C. Everything is served from this machine.

    Examples:
        panoveil view demo/street-1
        panoveil view demo/street-1 --no-browser --port 8360
        panoveil view --folder .panoveil/demo/20260601-101500/published
    """
    if drive is None and folder is None:
        raise typer.BadParameter("name a drive, or a folder with --folder")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_until_told(drive, folder, port, browser=browser))


async def _until_told(drive: str | None, folder: Path | None, port: int, *, browser: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _source(drive, folder) as source:
        count = len(await source.publications())
        async with serving(source, port) as address:
            _OUT.print(
                f"{source.drive_id}: {count} panorama{'' if count == 1 else 's'} at {address} until Ctrl-C",
                soft_wrap=True,
                highlight=False,
            )
            if browser:
                await asyncio.to_thread(webbrowser.open, address)
            await stop.wait()


@contextlib.asynccontextmanager
async def _source(drive: str | None, folder: Path | None) -> AsyncIterator[Source]:
    if folder is not None:
        yield Folder(folder, drive)
        return
    chosen = status.settings()
    with status.asking(chosen):
        async with connect(chosen) as world:
            yield Published(str(drive), world.ledger, world.blobs)
