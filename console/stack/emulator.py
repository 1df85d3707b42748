"""The AWS emulator: S3, DynamoDB and Kinesis in one process on loopback."""

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from console.stack.processes import Process, free_port
from panoveil.contracts.errors import Misconfigured, Unavailable

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-north-1"}
"""The emulator takes any; real ones never reach it, these replace them."""

_READY_SECONDS = 180.0


def start_emulator(folder: Path) -> tuple[Process, str]:
    """Start ministack with its data in memory; return it and its endpoint's URL once it answers."""
    program = Path(sys.executable).with_name("ministack")
    if not program.exists():
        raise Misconfigured("The AWS emulator is not installed: run `make setup`.")
    port = free_port()
    process = Process.start("emulator", [str(program)], emulator_environment(port), folder)
    url = f"http://127.0.0.1:{port}"
    _wait_for(f"{url}/_ministack/health", process)
    return process, url


def emulator_environment(port: int) -> dict[str, str]:
    """What makes ministack listen on 127.0.0.1:port and nowhere else; some of its side doors know no other address than 0.0.0.0."""
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
    }


def _wait_for(url: str, process: Process) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.running and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    process.stop(1)
    raise Unavailable("emulator", f"it did not become ready; its log ends:\n{process.tail()}")
