"""kinesis-local: the one emulator at hand whose shards split and merge as the real ones do. `make kinesis` installs it."""

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.stack.processes import Process, free_port
from tests.streams.worlds import REGION

_ROOT = Path(__file__).parents[2] / ".panoveil"
_NODE = _ROOT / "node" / "bin" / "node"
_MAIN = _ROOT / "kinesis-local" / "node_modules" / "kinesis-local" / "main.js"
_READY_SECONDS = 60.0


@contextlib.contextmanager
def kinesis_local(folder: Path) -> Iterator[str]:
    """Run it on the loopback; yields its URL. Skips the test where it is not installed."""
    if not (_NODE.exists() and _MAIN.exists()):
        pytest.skip("kinesis-local is not installed: run `make kinesis`")
    plain, tls = free_port(), free_port()
    settings = {"KINESIS_MOCK_PLAIN_PORT": str(plain), "KINESIS_MOCK_TLS_PORT": str(tls), "AWS_REGION": REGION}
    # It looks for its certificate in the folder that it runs in.
    (folder / "server.json").symlink_to(_MAIN.with_name("server.json"))
    loopback = Path(__file__).with_name("loopback.cjs")
    process = Process.start("kinesis-local", [str(_NODE), "--require", str(loopback), str(_MAIN)], settings, folder)
    try:
        _wait_for(f"http://127.0.0.1:{plain}", process)
        yield f"http://127.0.0.1:{plain}"
    finally:
        process.stop(10)


def _wait_for(url: str, process: Process) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.running and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/healthcheck", timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"kinesis-local did not become ready; its log ends: {process.tail()}")
