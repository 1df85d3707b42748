"""One world for each module and kind; one running source where tests can share it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.streams.running import Running
from tests.streams.worlds import KclWorld, MemoryWorld, World

BOTH = ["memory", pytest.param("kcl", marks=pytest.mark.servers)]


def build(kind: str, request: pytest.FixtureRequest) -> World:
    """Make a world; the emulator starts only where it is needed."""
    return KclWorld(request.getfixturevalue("emulator")) if kind == "kcl" else MemoryWorld()


@pytest.fixture(params=BOTH)
def world(request: pytest.FixtureRequest) -> World:
    """A world of the test's own."""
    return build(request.param, request)


@pytest_asyncio.fixture(params=BOTH, scope="module", loop_scope="module")
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """A source that runs as long as the module: a JVM takes seconds to start."""
    async with Running(build(request.param, request)) as shared:
        yield shared
