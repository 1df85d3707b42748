"""Everything that watches a pipeline on this machine: the ledger's figures and a Prometheus that scrapes every part of it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from console.observe import prometheus
from console.observe.prometheus import Prometheus
from console.stack.processes import Process, free_port
from console.stack.stack import Stack

EVERY = 2.0
"""Seconds between two scrapes: short, for a demo is over in a minute."""
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where what is started by hand beside the pipeline serves its metrics, so that Prometheus can know beforehand."""

    agent: int = field(default_factory=free_port)
    replay: int = field(default_factory=free_port)

    @property
    def for_commands(self) -> Mapping[str, str]:
        """The environment of a `panoveil replay`."""
        return {"PANOVEIL_METRICS_PORT": str(self.replay)}

    @property
    def for_agent(self) -> Mapping[str, str]:
        """The environment of an agent."""
        return {"PANOVEIL_METRICS_PORT": str(self.agent)}


@contextlib.asynccontextmanager
async def observed(stack: Stack, ports: Ports) -> AsyncIterator[Prometheus]:
    """Run the ledger's exporter and Prometheus while the block runs; `Misconfigured` where there is no Prometheus."""
    ledger = free_port()
    command = [sys.executable, "-m", "console", "metrics", "--port", str(ledger), "--every", str(EVERY)]
    exporter = Process.start("metrics", command, stack.environment, stack.folder)
    try:
        async with prometheus.running(stack.folder / "prometheus", _targets(stack, ports, ledger), EVERY) as server:
            yield server
    finally:
        await asyncio.to_thread(exporter.stop, _STOP_SECONDS)


def _targets(stack: Stack, ports: Ports, ledger: int) -> dict[str, str]:
    """Return `host:port` by job, as k8s-or-ecs/observe/prometheus.yml names the jobs."""
    services = {name: urlsplit(url).netloc for name, url in stack.metrics_urls.items()}
    others = {"triton": stack.triton.metrics_port, "agent": ports.agent, "replay": ports.replay, "ledger": ledger}
    return services | {name: f"127.0.0.1:{port}" for name, port in others.items()}
