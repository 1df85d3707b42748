"""The processes that are killed, and the supervisor that starts them anew, as ECS would."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import psutil

from console.demo.run import Drive
from console.stack import stack as stacks
from console.stack.processes import Process, free_port
from panoveil.aws import plain_client
from panoveil.contracts.errors import Unavailable

TASKS: Mapping[str, int] = {"ingest": 2, "stitcher": 1, "anonymizer": 1}
"""Tasks a service: two of one, so that leases and the leader's lock pass between tasks."""

_LONGEST_DOWN = 2.0
_DRAIN_SECONDS = 25.0


@dataclass
class Fleet:
    """Everything that runs, by name; what has ended is started anew after a moment."""

    stack: stacks.Stack
    environment: Mapping[str, str]
    chance: random.Random
    running: dict[str, Process] = field(default_factory=dict)
    restarts: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Run all services, and Triton which runs already, while the block does."""
        starts = self._starts()
        supervisors = [asyncio.create_task(self._supervise(name, start)) for name, start in starts.items()]
        try:
            yield
        finally:
            for supervisor in supervisors:
                supervisor.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)
            services = [process for name, process in self.running.items() if name != "triton"]
            await asyncio.gather(*(asyncio.to_thread(process.stop, _DRAIN_SECONDS) for process in services))

    def _starts(self) -> dict[str, Callable[[], Process]]:
        services = {f"{service}-{number}": service for service, tasks in TASKS.items() for number in range(tasks)}
        return {name: self._service(name, service) for name, service in services.items()} | {"triton": self._triton}

    def _service(self, name: str, service: str) -> Callable[[], Process]:
        own = {"PANOVEIL_WORKER_ID": name, "PANOVEIL_METRICS_PORT": str(free_port())}
        return lambda: Process.start(
            name, [sys.executable, "-m", f"services.{service}"], {**self.environment, **own}, self.stack.folder
        )

    def _triton(self) -> Process:
        if "triton" not in self.restarts:
            return self.stack.processes["triton"]
        self.stack.processes["triton"] = stacks.start_triton(self.stack.triton, self.stack.folder)
        return self.stack.processes["triton"]

    async def _supervise(self, name: str, start: Callable[[], Process]) -> None:
        while True:
            self.running[name] = start()
            await _ended(self.running[name])
            self.restarts[name] += 1
            await asyncio.sleep(self.chance.uniform(0, _LONGEST_DOWN))

    async def upload(self, drive: Drive) -> None:
        """Let an agent send the drive; one that ends without having sent all of it is started again."""
        journal = str(self.stack.folder / f"{drive.folder.name}.sqlite3")
        command = [sys.executable, "-m", "services.agent", str(drive.folder), "--json", "--journal", journal]
        while True:
            self.running["agent"] = agent = Process.start("agent", command, self.environment, self.stack.folder)
            if await _ended(agent) == os.EX_OK:
                return
            if agent.popen.returncode == os.EX_DATAERR:
                raise Unavailable("agent", f"it left something behind; {agent.log} ends:\n{agent.tail()}")
            self.restarts["agent"] += 1
            await asyncio.sleep(self.chance.uniform(0, _LONGEST_DOWN))


async def _ended(process: Process) -> int:
    """Return its exit code once it has ended."""
    loop, gone, handle = asyncio.get_running_loop(), asyncio.Event(), os.pidfd_open(process.popen.pid)
    loop.add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.popen.wait()


def kill(fleet: Fleet, target: str) -> bool:
    """Kill (SIGKILL) one process of a kind; say whether there was one."""
    found = _KINDS[target](fleet)
    if not found:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(fleet.chance.choice(found), signal.SIGKILL)
        return True
    return False


def _tasks(service: str) -> Callable[[Fleet], list[int]]:
    return lambda fleet: [pid for name in _names(service) if (pid := _pid(fleet, name))]


def _names(service: str) -> list[str]:
    return [f"{service}-{number}" for number in range(TASKS.get(service, 0))] or [service]


def _pid(fleet: Fleet, name: str) -> int | None:
    process = fleet.running.get(name)
    return process.popen.pid if process is not None and process.running else None


def _below(word: str, *tasks: str) -> Callable[[Fleet], list[int]]:
    """Return what finds the descendants of tasks (all where none is named) that have the word in their command line."""

    def found(fleet: Fleet) -> list[int]:
        names = tasks or [name for service in TASKS for name in _names(service)]
        pids = [pid for name in names if (pid := _pid(fleet, name))]
        return [child.pid for pid in pids for child in _children(pid) if word in _command(child)]

    return found


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _leader(fleet: Fleet) -> list[int]:
    """Return the JVM that holds the lock of ingest's application: the one that assigns leases to both tasks."""
    client = plain_client("dynamodb", fleet.stack.settings.region, fleet.stack.settings.endpoint_url)
    table = f"{fleet.stack.settings.application('ingest')}-CoordinatorState"
    lock = client.get_item(TableName=table, Key={"key": {"S": "Leader"}}).get("Item", {})
    owner = lock.get("ownerName", {}).get("S", "")
    return _below("MultiLangDaemon", owner)(fleet) if owner in fleet.running else []


_KINDS: Mapping[str, Callable[[Fleet], list[int]]] = {
    "ingest": _tasks("ingest"),
    "stitcher": _tasks("stitcher"),
    "anonymizer": _tasks("anonymizer"),
    "jvm": _below("MultiLangDaemon"),
    "leader": _leader,
    "shard_child": _below("_kcl/child"),
    "triton": _tasks("triton"),
    "triton_stub": _below("triton_python_backend_stub", "triton"),
    "agent": _tasks("agent"),
}
KINDS = tuple(_KINDS)
