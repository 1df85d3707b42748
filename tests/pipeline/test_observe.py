"""A real Prometheus scrapes the real pipeline while a spoiled drive passes and is replayed: every panel of every dashboard has data."""

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from console.demo.drives import existing_drive
from console.demo.run import Drive, import_rig
from console.observe import beside, prometheus
from console.observe.draw import DASHBOARDS, draw
from console.observe.panels import Board, Span, Target, answers, read
from console.observe.prometheus import Prometheus
from console.stack import stack as stacks
from console.stack.processes import Process, free_port
from panoveil.ledger import State
from simulator.drive import photograph
from simulator.mischief import Defect, spoil
from simulator.rigs import demo_rig
from simulator.street import Street
from tests.pipeline.conftest import WIDTH, Pipeline

pytestmark = [
    pytest.mark.servers,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(1800),
    pytest.mark.skipif(prometheus.find("prometheus") is None, reason="no Prometheus on this machine: `make prometheus`"),
]

SURVEY, NAME = "observed", "d1"
DRIVE = f"{SURVEY}/{NAME}"
SPOILED = {"000002": Defect.EMPTY_FRAME, "000003": Defect.MISSING_FRAME, "000004": Defect.BROKEN_MANIFEST}
CAPTURES = 5
RATE = 10.0
BOARDS = sorted(DASHBOARDS.glob("*.json"))


@dataclass(frozen=True)
class Watched:
    """What was seen of the drive and its replay: the server that scraped it, from when to when, and what was running."""

    server: Prometheus
    span: Span
    ports: beside.Ports
    pipeline: Pipeline

    def jobs_up(self) -> dict[str, float]:
        """Whether each job answered at least once in the time."""
        found = self.server.instant(f"max_over_time(up[{self.span.end - self.span.start:.0f}s])", self.span.end)
        return {series.labels["job"]: series.points[0][1] for series in found}


def photographed(folder: Path) -> Drive:
    photograph(Street(5, CAPTURES, WIDTH), demo_rig(WIDTH), folder / "whole", SURVEY, NAME, CAPTURES, seed=5)
    spoil(folder / "whole", folder / "spoiled", SPOILED)
    return existing_drive(folder / "spoiled", WIDTH)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder, ports = tmp_path_factory.mktemp("observed"), beside.Ports()
    drive = photographed(folder)
    await import_rig(drive.folder, pipeline.world)
    async with archivist(pipeline.stack) as stack, beside.observed(stack, ports) as server:
        await one_before(pipeline, server, folder)
        began = time.time()
        agent = start_agent(pipeline, drive, ports, folder)
        try:
            await pipeline.until_ended(DRIVE, drive.captures, incomplete=["000003"])
            await pipeline.until("an archived capture", lambda: archived(server))
            await replayed(folder, ports)
            await scraped(pipeline, server, time.time())
        finally:
            await asyncio.to_thread(agent.stop, 5.0)
        yield Watched(server, Span(began, time.time(), RATE), ports, pipeline)


async def one_before(pipeline: Pipeline, server: Prometheus, folder: Path) -> None:
    """Let another drive's capture pass and be scraped: what a series starts with is no increase, and a rig's series starts with it."""
    photograph(Street(6, 1, WIDTH), demo_rig(WIDTH), folder / "before", SURVEY, "d0", 1, seed=6)
    await pipeline.upload(existing_drive(folder / "before", WIDTH))
    await pipeline.until_ended(f"{SURVEY}/d0", ["000000"])
    await scraped(pipeline, server, time.time())


@contextlib.asynccontextmanager
async def archivist(stack: stacks.Stack) -> AsyncIterator[stacks.Stack]:
    """The stack with the archivist in it."""
    url = f"http://127.0.0.1:{free_port()}/metrics"
    larger = dataclasses.replace(stack, metrics_urls={**stack.metrics_urls, stacks.ARCHIVIST: url})
    stacks.start_service(larger, stacks.ARCHIVIST)
    try:
        yield larger
    finally:
        await asyncio.to_thread(stack.processes.pop(stacks.ARCHIVIST).stop, 25.0)


async def archived(server: Prometheus) -> bool:
    found = server.instant("sum(panoveil_archived_captures_total) > 0")
    return bool(found)


def start_agent(pipeline: Pipeline, drive: Drive, ports: beside.Ports, folder: Path) -> Process:
    command = [sys.executable, "-m", "services.agent", str(drive.folder), "--watch", "--journal", str(folder / "agent.sqlite3")]
    return Process.start("agent", command, {**pipeline.stack.environment, **ports.for_agent}, folder)


async def replayed(folder: Path, ports: beside.Ports) -> None:
    file = folder / "new.json"
    file.write_text(json.dumps({"anonymize": {"margin": 0.3}}))
    command = [sys.executable, "-m", "console", "replay", "--stage", "anonymizer", "--drive", DRIVE, "--recipe", str(file)]
    environment = {**os.environ, **ports.for_commands}
    done = await asyncio.to_thread(
        subprocess.run, [*command, "--rate", "0.2"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def scraped(pipeline: Pipeline, server: Prometheus, since: float) -> None:
    """Wait until everything was scraped after a time."""

    async def look() -> bool:
        found = server.instant('timestamp(up{job!~"agent|replay"})')
        return bool(found) and all(series.points[0][1] > since for series in found)

    await pipeline.until("a scrape of everything", look)


def empty(board: Board, watched: Watched) -> list[tuple[str, Target]]:
    """Every query without data, with its panel's title."""
    found = [(panel.title, *pair) for panel in board.panels for pair in answers(panel, board, watched.span, watched.server)]
    return [(title, target) for title, target, series in found if not series]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
async def test_every_panel_has_data_and_every_query_that_is_not_about_what_goes_wrong(watched: Watched, path: Path) -> None:
    board = read(path)
    left = empty(board, watched)
    assert [(title, one.expression) for title, one in left if not one.expression.endswith("> 0")] == []
    pictures = watched.pipeline.stack.folder / "dashboards"
    pictures.mkdir(parents=True, exist_ok=True)
    assert draw(board, watched.server, watched.span, pictures / f"{path.stem}.png") == []
    assert (pictures / f"{path.stem}.png").stat().st_size > 20_000


async def test_everything_that_serves_metrics_is_scraped(watched: Watched) -> None:
    jobs = ("agent", "anonymizer", "archivist", "ingest", "ledger", "replay", "stitcher", "triton")
    assert watched.jobs_up() == dict.fromkeys(jobs, 1.0)


async def test_the_rules_are_loaded_and_none_that_must_never_fire_does(watched: Watched) -> None:
    groups = watched.server.get("rules")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {rule["health"] for rule in rules.values()} == {"ok"}
    assert rules["PanoveilUnverifiedPublication"]["state"] == "inactive"
    (published,) = watched.server.instant('sum(panoveil_publications_total{job="anonymizer"})')
    assert published.points[0][1] > 0


async def test_the_ledgers_figures_are_the_ledgers(watched: Watched) -> None:
    ledger = watched.pipeline.world.ledger
    states = [one.state async for drive in ledger.drives() async for one in ledger.captures(drive)]
    found = watched.server.instant("sum by (state) (panoveil_ledger_captures)")
    told = {series.labels["state"]: series.points[0][1] for series in found}
    assert told == {state.value: float(states.count(state)) for state in State}


@pytest.mark.skipif(prometheus.find("promtool") is None, reason="no promtool on this machine: `make prometheus`")
async def test_promtool_has_nothing_to_say_about_the_metrics(watched: Watched) -> None:
    promtool = str(prometheus.find("promtool"))
    for url in watched.pipeline.stack.metrics_urls.values():
        text = await asyncio.to_thread(served, url)
        done = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")


def served(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())
