"""CPU and memory of a service as its parts: the asyncio process, its JVM, its shard children."""

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from console.stack.processes import Process

_MB = 1e6


@dataclass(frozen=True)
class Memory:
    """Megabytes (10⁶ bytes); `children` proportionally (PSS), for they share nearly everything."""

    service: float
    jvm: float
    children: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.service + self.jvm + self.children


def memory(process: Process) -> Memory:
    """Return what the parts hold now."""
    parts = {"service": 0.0, "jvm": 0.0, "children": 0.0}
    for part, member in _family(process):
        try:
            held = member.memory_full_info().pss if part == "children" else member.memory_info().rss
        except psutil.Error:
            continue
        parts[part] += held / _MB
    return Memory(**parts)


def _family(process: Process) -> Iterator[tuple[str, psutil.Process]]:
    try:
        service = psutil.Process(process.popen.pid)
        yield "service", service
        for child in service.children(recursive=True):
            yield ("jvm" if "java" in child.name() else "children"), child
    except psutil.Error:
        return
