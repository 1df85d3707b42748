"""`panoveil metrics`: options in, one function called."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import status
from console.demo.progress import View
from console.observe.ledger import Pace, Survey, watch
from console.observe.prometheus import Prometheus
from console.stack.stack import Stack
from panoveil import logs, telemetry
from panoveil.runtime import connect
from panoveil.settings import Settings

_PORT = 9105
_SETTLE = 5.0
"""Seconds at a demo's end until everything was scraped once more."""


def metrics(
    port: Annotated[
        int, typer.Option(min=1, max=65535, envvar="PANOVEIL_METRICS_PORT", help="Where, on PANOVEIL_METRICS_HOST.")
    ] = _PORT,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at what is unfinished.")] = Pace().every,
    items_per_second: Annotated[
        float, typer.Option(min=1, help="How many items of the ledger to read a second at most, on average.")
    ] = Pace().items_per_second,
) -> None:
    """Serve what the ledger says as Prometheus metrics, until Ctrl-C or SIGTERM: one process for all.

    Captures by state and reason, drives, how long the oldest unfinished capture stands, what waits in quarantine, and whether the
    audit chain knows a clean verification of everything that is published. It only reads.

    Examples:
        panoveil metrics
        panoveil metrics --port 9200 --every 60 --items-per-second 200
        PANOVEIL_METRICS_HOST=0.0.0.0 panoveil metrics
    """
    logs.begin("INFO")
    chosen = status.settings()
    with status.asking(chosen), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(chosen, port, Pace(every, items_per_second)))


async def _serve(chosen: Settings, port: int, pace: Pace) -> None:
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    telemetry.serve(chosen.metrics_host, port, telemetry.LEDGER)
    async with connect(chosen) as world:
        await watch(Survey(world.ledger), pace)


def looking_on(folder: Path, view: View, console: Console) -> Callable[[Stack, Prometheus], Awaitable[None]]:
    """Return what draws the dashboards at a demo's end, and on a terminal leaves time to look round until Ctrl-C."""
    began = time.time()

    async def look(_stack: Stack, server: Prometheus) -> None:
        await asyncio.sleep(_SETTLE)  # the last scrape sees the end
        pictures = folder / "dashboards"
        seconds = str(time.time() - began)
        command = ("-m", "console.observe.draw", "--prometheus", server.url, "--out", str(pictures), "--seconds", seconds)
        drawing = await asyncio.create_subprocess_exec(sys.executable, *command, "--rate", "20")
        if await drawing.wait() == 0:
            view.say(f"Dashboards as pictures: {pictures}")
        if console.is_terminal:
            view.say(f"Everything goes on until Ctrl-C; look at {server.url}/graph")
            await _interrupted()

    return look


async def _interrupted() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, done.set)
    await done.wait()
