"""A real Prometheus beside the pipeline on this machine: found, started, asked."""

import asyncio
import contextlib
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from console.stack.processes import Process, free_port
from console.stack.stack import HOME, STATE
from panoveil.contracts.errors import Misconfigured, Unavailable

RULES = HOME / "k8s-or-ecs" / "observe" / "rules"
_HOST = "127.0.0.1"
_OURS = STATE / "prometheus" / "usr" / "bin"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0


def find(program: str) -> Path | None:
    """Return `prometheus` or `promtool`, as `make prometheus` installed it or from the PATH; None where there is neither."""
    own = _OURS / program
    found = shutil.which(program)
    return own if own.exists() else Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an answer: its labels, and points of (epoch seconds, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def instant(self, expression: str, at: float | None = None) -> list[Series]:
        """Evaluate at a time, epoch seconds, or now; `ValueError` with Prometheus's own words where it is no PromQL."""
        asked = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        return [_series(one["metric"], [one["value"]]) for one in self._vector("query", asked)]

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Evaluate every `step` seconds from `start` to `end`, epoch seconds; `ValueError` likewise."""
        asked = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return [_series(one["metric"], one["values"]) for one in self._vector("query_range", asked)]

    def get(self, path: str, asked: Mapping[str, str] | None = None) -> Any:
        """Return the data of an answer of Prometheus's HTTP API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(asked or {})}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{json.load(error)['error']}: {dict(asked or {}).get('query', path)}") from error

    def _vector(self, path: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        data = self.get(path, asked)
        if data["resultType"] not in {"vector", "matrix"}:
            raise ValueError(f"a {data['resultType']} has no labels: {asked['query']}")
        return list(data["result"])


def _series(metric: Mapping[str, str], values: list[Any]) -> Series:
    return Series(metric, tuple((float(at), float(value)) for at, value in values))


def configuration(targets: Mapping[str, str], every: float) -> str:
    """Return Prometheus's configuration: a job a target (`host:port`), scraped every so many seconds, with our rules."""
    seconds = f"{round(every * 1000)}ms"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": seconds, "scrape_timeout": seconds, "evaluation_interval": seconds},
            "rule_files": [str(RULES / "*.yml")],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in sorted(targets.items())
            ],
        },
        sort_keys=False,
    )


@contextlib.asynccontextmanager
async def running(folder: Path, targets: Mapping[str, str], every: float = 2.0) -> AsyncIterator[Prometheus]:
    """Run Prometheus on loopback while the block runs; its data and log stay in `folder`. `Misconfigured` where there is none."""
    program = find("prometheus")
    if program is None:
        raise Misconfigured("there is no Prometheus on this machine: `make prometheus` installs Debian's, without root")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration(targets, every))
    port = free_port()
    process = Process.start("prometheus", _command(program, folder, port), {}, folder)
    try:
        server = Prometheus(f"http://{_HOST}:{port}")
        await _ready(server, process)
        yield server
    finally:
        await asyncio.to_thread(process.stop, _STOP_SECONDS)


def _command(program: Path, folder: Path, port: int) -> list[str]:
    return [
        str(program),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={_HOST}:{port}",
        "--log.level=warn",
    ]


async def _ready(server: Prometheus, process: Process) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.running and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(server.get, "status/runtimeinfo")
            return
        await asyncio.sleep(0.1)
    raise Unavailable("prometheus", f"it does not answer; {process.log} ends:\n{process.tail()}")
