"""Stands for a Java that runs the MultiLangDaemon: one shard, speaking the real protocol to the real child.

The folder of this file's copy holds the shard: `records` (names, one a line), `checkpoint`, `starts` (a line a start).
With `mute` in it no child is started; with `stubborn`, SIGTERM is not heeded.
"""

import base64
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SHELF = Path(sys.argv[0]).parent


class Child:
    """The real child, and the daemon's side of its protocol."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, action: str, **more: Any) -> None:
        """Ask, serve checkpoints, and return with the status; exit 1 where the child is gone, as the real one does."""
        self._write({"action": action, **more})
        while True:
            answer = self._read()
            if answer["action"] == "status":
                assert answer["responseFor"] == action
                return
            (SHELF / "checkpoint").write_text(answer["sequenceNumber"])
            self._write({"action": "checkpoint", "sequenceNumber": answer["sequenceNumber"], "error": None})

    def hang_up(self) -> None:
        """End the child, as the real one does."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(1)
        return dict(json.loads(line))


def entry(number: int, name: str) -> dict[str, Any]:
    """One record as the daemon hands it over."""
    data = base64.b64encode(name.encode()).decode()
    return {"data": data, "partitionKey": name, "sequenceNumber": str(number), "approximateArrivalTimestamp": 0}


def position() -> int:
    """Records that are checkpointed."""
    checkpoint = SHELF / "checkpoint"
    return int(checkpoint.read_text()) if checkpoint.exists() else 0


def main() -> None:
    """Deliver what is checkpointed not yet, and then empty batches, until SIGTERM."""
    properties = dict(line.split(" = ", 1) for line in Path(sys.argv[-1]).read_text().splitlines())
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    sys.stdout.write("WARN FakeDaemon: started\n")
    sys.stdout.flush()
    while (SHELF / "stubborn").exists():
        time.sleep(0.01)
    if (SHELF / "mute").exists():
        sys.exit(3)
    child = Child(shlex.split(properties["executableName"]))
    child.ask("initialize", shardId="shardId-0", sequenceNumber="TRIM_HORIZON")
    given = position()
    while not ending:
        names = (SHELF / "records").read_text().splitlines()[given : given + 5]
        child.ask("processRecords", records=[entry(given + n + 1, name) for n, name in enumerate(names)])
        given += len(names)
        time.sleep(0.01)
    child.ask("shutdownRequested")
    child.ask("leaseLost")
    child.hang_up()
    time.sleep(3600)


if sys.argv[1:] == ["-version"]:
    sys.stderr.write('openjdk version "17.0.1" 2021-10-19\n')
    sys.exit()
with (SHELF / "starts").open("a") as starts:
    starts.write("start\n")
main()
