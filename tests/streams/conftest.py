"""One emulator for the whole run; one world for each module and kind; one running source where tests can share it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from console.stack.emulator import emulator_environment
from tests.streams.running import Running
from tests.streams.worlds import KclWorld, MemoryWorld, World

BOTH = ["memory", pytest.param("kcl", marks=pytest.mark.servers)]


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    """Give every AWS client, the JVM's included, keys that open nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def emulator(credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run ministack on a free port of the loopback; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, **emulator_environment(port), "LOG_LEVEL": "WARNING"}
    log = (tmp_path_factory.mktemp("emulator") / "log").open("wb")
    program = Path(sys.executable).with_name("ministack")
    with log, subprocess.Popen([program], env=environment, stdout=log, stderr=log) as server:
        try:
            wait_for_port(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens."""
    for _ in range(300):
        assert server.poll() is None, "the emulator ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the emulator never listened")


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
