"""Pictures handed to a server on the same machine through system shared memory: POSIX regions in `/dev/shm`.

A region has a name only while the server takes it up; then it is unlinked, so that nothing is left in `/dev/shm` however either side
ends. What a killed client leaves with the server, its registration, goes when the next one starts.
"""

import mmap
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from panoveil.contracts.errors import Unavailable
from panoveil.detection._port import Images

PREFIX = "panoveil-views-"
_FOLDER = Path("/dev/shm")  # noqa: S108 - where shm_open(3) looks
_GRAIN = 1 << 20


class Registry(Protocol):
    """The server's side: which regions it knows. Either method may raise `Unavailable`."""

    async def registered(self, name: str, size: int) -> None:
        """Have the server take up the region of that name in `/dev/shm`, so many bytes of it."""
        ...

    async def let_go(self, name: str) -> None:
        """Have it forget the region; one that it does not know is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Region:
    """Memory that the server sees too, by its name there."""

    name: str
    memory: mmap.mmap

    def write(self, images: Images) -> None:
        """Copy uint8 [N, H, W, 3] to the start of the region."""
        np.frombuffer(self.memory, np.uint8, images.size).reshape(images.shape)[...] = images


@dataclass(slots=True)
class Regions:
    """As many regions as requests are under way, each as large as what it was last too small for.

    `epoch` says which server they are known to: where it has changed, they are made anew.
    """

    registry: Registry
    epoch: Callable[[], int]
    _free: list[tuple[int, Region]] = field(default_factory=list)

    @asynccontextmanager
    async def holding(self, images: Images) -> AsyncIterator[Region]:
        """Lend a region that holds uint8 [N, H, W, 3]; nobody else has it meanwhile."""
        epoch = self.epoch()
        region = await self._large_enough(images.nbytes, epoch)
        region.write(images)
        try:
            yield region
        finally:
            self._free.append((epoch, region))

    async def close(self) -> None:
        """Let go of every region that nobody holds."""
        while self._free:
            await self.registry.let_go(self._free.pop()[1].name)

    async def _large_enough(self, size: int, epoch: int) -> Region:
        while self._free:
            made, region = self._free.pop()
            if made == epoch and len(region.memory) >= size:
                return region
            await self.registry.let_go(region.name)
        return await self._made(-(-size // _GRAIN) * _GRAIN)

    async def _made(self, size: int) -> Region:
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        path = _FOLDER / name
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            _reserve(descriptor, size)
            region = Region(name, mmap.mmap(descriptor, size))
            await self.registry.registered(name, size)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
        return region


def _reserve(descriptor: int, size: int) -> None:
    """Take the memory now: a full `/dev/shm` would kill us at the first write."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise Unavailable("shared memory", f"{_FOLDER} has no room for {size} bytes: {error.strerror}") from error


def is_orphan(name: str) -> bool:
    """Whether a registration of that name was left by a client that is gone."""
    owner = name.removeprefix(PREFIX).split("-")[0]
    return name.startswith(PREFIX) and not Path("/proc", owner).exists()
