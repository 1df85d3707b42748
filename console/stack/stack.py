"""The whole pipeline on this machine: emulator, Triton and the three services, each a process, all on loopback."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from console.stack import triton
from console.stack.emulator import CREDENTIALS, start_emulator
from console.stack.processes import Process, free_port
from panoveil.contracts.errors import Unavailable
from panoveil.runtime import provision
from panoveil.settings import Settings

HOME = Path(__file__).resolve().parents[2]
MODELS = HOME / "triton_models"
TRITON_VENV = HOME / ".venv-triton"
STATE = HOME / ".panoveil"
ENVIRONMENT_FILE = STATE / "stack.env"
SERVICES = ("ingest", "stitcher", "anonymizer")
ARCHIVIST = "archivist"
"""Runs where it is asked for: on a laptop originals may stay where they are, and each service costs a Java runtime."""
_OWNER = "PANOVEIL_STACK_PID"
_DRAIN_SECONDS = 25.0
_SERVER_SECONDS = 8.0


@dataclass(frozen=True)
class Stack:
    """A running pipeline: where it is, how to reach it, and its processes by name."""

    folder: Path
    environment: Mapping[str, str]
    processes: dict[str, Process]
    metrics_urls: Mapping[str, str]
    triton: triton.Command

    @property
    def settings(self) -> Settings:
        """What a client of the running pipeline needs."""
        return Settings()

    def require_running(self) -> None:
        """Raise `Unavailable` with the end of its log where a process has died."""
        for process in self.processes.values():
            if not process.running:
                raise Unavailable(process.name, f"it ended by itself; {process.log} ends:\n{process.tail()}")

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds so far by process name, its JVM and shard children included."""
        return {name: process.cpu_seconds() for name, process in self.processes.items()}


@contextlib.asynccontextmanager
async def running(folder: Path, extra: Mapping[str, str], services: Iterable[str] = SERVICES) -> AsyncIterator[Stack]:
    """Run the pipeline while the block runs; logs go to `folder`.

    `extra` is added to the services' environment, and all of it to this process's, whose clients then find the servers. Of the services
    only those named are started; whoever names fewer runs the others elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = triton.command(MODELS, TRITON_VENV, folder / "triton")
    processes: dict[str, Process] = {}
    async with contextlib.AsyncExitStack() as closing:
        closing.callback(triton.remove_stale_regions, server.shm_prefix)
        closing.push_async_callback(_stop, processes)
        processes["emulator"], url = start_emulator(folder)
        processes["triton"] = start_triton(server, folder)
        environment = _environment(url, server) | dict(extra)
        closing.enter_context(environ(environment))
        started = tuple(services)
        urls = {name: _metrics_url(free_port()) for name in dict.fromkeys((*SERVICES, *started))}
        stack = Stack(folder, environment, processes, urls, server)
        await asyncio.to_thread(provision, stack.settings)
        for name in started:
            start_service(stack, name)
        await triton.wait_ready(server.http_port, lambda: processes["triton"].running)
        with _announced(environment):
            yield stack


def start_triton(server: triton.Command, folder: Path) -> Process:
    """Start the Triton server that `command` described, on the ports it described."""
    return Process.start("triton", server.argv, server.env, folder)


def _environment(url: str, server: triton.Command) -> dict[str, str]:
    return CREDENTIALS | {
        "PANOVEIL_ENDPOINT_URL": url,
        "PANOVEIL_REGION": CREDENTIALS["AWS_DEFAULT_REGION"],
        "PANOVEIL_TRITON_URL": server.grpc_url,
        "PANOVEIL_TRITON_SHARED_MEMORY": str(triton.can_share_memory()).lower(),
        "PANOVEIL_TABLES": str(STATE / "tables"),
    }


def start_service(stack: Stack, name: str) -> None:
    """Start one of the services that `running` was not asked to start; it is stopped with the others."""
    port = stack.metrics_urls[name].rsplit(":", 1)[1].split("/")[0]
    environment = {**stack.environment, "PANOVEIL_METRICS_PORT": port}
    stack.processes[name] = Process.start(name, [sys.executable, "-m", f"services.{name}"], environment, stack.folder)


async def _stop(processes: dict[str, Process]) -> None:
    """Services before servers; the services all at once, so that their drains overlap."""
    services = [process for name, process in processes.items() if name in {*SERVICES, ARCHIVIST}]
    await asyncio.gather(*(asyncio.to_thread(service.stop, _DRAIN_SECONDS) for service in services))
    for name in ("triton", "emulator"):
        if name in processes:
            await asyncio.to_thread(processes[name].stop, _SERVER_SECONDS)


def _metrics_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


@contextlib.contextmanager
def _announced(environment: Mapping[str, str]) -> Iterator[None]:
    """Leave the environment in a file for as long as the stack runs, so that other commands find it; the first stack has it."""
    if running_environment() is not None:
        yield
        return
    STATE.mkdir(exist_ok=True)
    lines = {_OWNER: str(os.getpid()), **environment}
    ENVIRONMENT_FILE.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    try:
        yield
    finally:
        ENVIRONMENT_FILE.unlink(missing_ok=True)


def running_environment() -> dict[str, str] | None:
    """Return the environment of the pipeline that runs here now, None where none does."""
    if not ENVIRONMENT_FILE.exists():
        return None
    found = dict(line.split("=", 1) for line in ENVIRONMENT_FILE.read_text().splitlines())
    return found if psutil.pid_exists(int(found.pop(_OWNER, "0") or 0)) else None


@contextlib.contextmanager
def environ(environment: Mapping[str, str]) -> Iterator[None]:
    """Add to this process's environment for as long as the block runs."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
