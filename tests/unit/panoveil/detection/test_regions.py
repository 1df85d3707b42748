import errno
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from panoveil.contracts.errors import Unavailable
from panoveil.detection._regions import PREFIX, Regions, is_orphan

SHM = Path("/dev/shm")  # noqa: S108 - what is tested


@dataclass
class Server:
    """Maps what it is told of, as Triton does."""

    down: bool = False
    known: dict[str, mmap.mmap] = field(default_factory=dict)

    async def registered(self, name: str, size: int) -> None:
        if self.down:
            raise Unavailable("triton", "down")
        with (SHM / name).open("rb") as region:
            self.known[name] = mmap.mmap(region.fileno(), size, prot=mmap.PROT_READ)

    async def let_go(self, name: str) -> None:
        self.known.pop(name, None)


def images(value: int, width: int = 64) -> np.ndarray:
    return np.full((1, 32, width, 3), value, np.uint8)


def ours() -> list[Path]:
    return list(SHM.glob(f"{PREFIX}{os.getpid()}-*"))


async def test_the_server_sees_what_is_written_and_no_name_is_left() -> None:
    server, shown = Server(), images(7)
    async with Regions(server, lambda: 0).holding(shown) as region:
        assert server.known[region.name][: shown.nbytes] == shown.tobytes()
        assert ours() == []


async def test_no_name_is_left_where_the_server_does_not_take_it() -> None:
    with pytest.raises(Unavailable):
        async with Regions(Server(down=True), lambda: 0).holding(images(7)):
            pass
    assert ours() == []


async def test_where_there_is_no_room_the_picture_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Unavailable, match="no room"):
        async with Regions(Server(), lambda: 0).holding(images(7)):
            pass
    assert ours() == []


async def test_two_pictures_under_way_lie_in_two_regions_that_are_used_again() -> None:
    server = Server()
    regions = Regions(server, lambda: 0)
    for _ in range(3):
        async with regions.holding(images(1)) as first, regions.holding(images(2)) as second:
            assert server.known[first.name][0] == 1
            assert server.known[second.name][0] == 2
    assert len(server.known) == 2


async def test_a_larger_picture_gets_a_larger_region_in_place_of_the_old_one() -> None:
    server = Server()
    regions = Regions(server, lambda: 0)
    for width in (64, 64 * 1024):
        async with regions.holding(images(3, width)) as region:
            assert server.known[region.name][: images(3, width).nbytes] == images(3, width).tobytes()
    assert list(server.known) == [region.name]


async def test_a_new_server_gets_regions_of_its_own() -> None:
    server, epoch = Server(), 0
    regions = Regions(server, lambda: epoch)
    async with regions.holding(images(1)) as old:
        pass
    epoch = 1
    async with regions.holding(images(2)) as new:
        assert server.known[new.name][0] == 2
    assert old.name != new.name


async def test_the_end_leaves_nothing_with_the_server() -> None:
    server = Server()
    regions = Regions(server, lambda: 0)
    async with regions.holding(images(1)):
        pass
    await regions.close()
    assert server.known == {}


def test_only_what_a_client_left_that_is_gone_is_an_orphan() -> None:
    nobody = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    assert is_orphan(f"{PREFIX}{nobody}-0a1b2c")
    assert not is_orphan(f"{PREFIX}{os.getpid()}-0a1b2c")
    assert not is_orphan(f"somebody-elses-{nobody}-region")
