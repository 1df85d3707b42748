"""One pipeline of real servers for the whole folder: emulator, KCL, Triton, three services as processes."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from panoveil.contracts.keys import Bucket, CaptureId, Stream
from panoveil.contracts.reasons import Reason
from panoveil.ledger import ENDS, CaptureState, State
from panoveil.runtime import Connections, connect
from panoveil.streams import Outgoing
from services.agent.app import connect as agent_connect
from services.agent.app import upload_drive
from services.agent.events import DriveDone
from services.agent.settings import AgentSettings

WIDTH = 1024
_PATIENCE = 600.0


@dataclass(frozen=True)
class Pipeline:
    """The running pipeline and its servers, connected."""

    stack: stacks.Stack
    world: Connections

    async def upload(self, drive: Drive) -> DriveDone:
        """Send a drive as the car would."""
        await import_rig(drive.folder, self.world)
        async with agent_connect(AgentSettings()) as ports:
            return await upload_drive(drive.folder, ports, lambda _event: None)

    async def send_raw(self, key: str, *records: bytes) -> None:
        """Put records on the uploads stream as they are."""
        await self.world.sink.send(Stream.UPLOADS, [Outgoing(key, data) for data in records])

    async def states(self, drive_id: str) -> dict[str, CaptureState]:
        """The drive's captures by name."""
        return {state.capture_id.capture: state async for state in self.world.ledger.captures(drive_id)}

    async def until(self, what: str, look: Callable[[], Any]) -> Any:
        """Await `look` again and again until it returns something true; fail with `what` when patience ends."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self.stack.require_running()
            if found := await look():
                return found
            await asyncio.sleep(0.2)
        return pytest.fail(f"{what} did not happen in {_PATIENCE:.0f} s")

    async def until_ended(
        self, drive_id: str, captures: Iterable[str], incomplete: Iterable[str] = ()
    ) -> dict[str, CaptureState]:
        """Return the drive's states once all these captures have ended.

        Of those not `incomplete`, a busy machine may be so slow that they are given up for want of a frame: no end, the frame comes.
        """
        names, lasting = set(captures), set(incomplete)

        async def look() -> dict[str, CaptureState] | None:
            states = await self.states(drive_id)
            ended = {name for name, state in states.items() if state.state in ENDS}
            late = {name for name, state in states.items() if state.reason == Reason.FRAME_MISSING} - lasting
            return states if names <= ended - late else None

        found: dict[str, CaptureState] = await self.until(f"the end of {sorted(names)} of {drive_id}", look)
        return found

    async def until_state(self, capture_id: CaptureId, state: State) -> CaptureState:
        """Return the capture's state once it is the wanted one."""

        async def look() -> CaptureState | None:
            found = await self.world.ledger.state(capture_id)
            return found if found is not None and found.state is state else None

        found: CaptureState = await self.until(f"{capture_id} {state}", look)
        return found

    async def published(self, capture_id: CaptureId) -> list[str]:
        """Keys of everything of the capture in the published bucket."""
        return [blob.ref.key async for blob in self.world.blobs.list(Bucket.PUBLISHED, f"{capture_id}/")]

    async def quarantined(self) -> list[dict[str, Any]]:
        """Every entry of the quarantine bucket."""
        refs = [blob.ref async for blob in self.world.blobs.list(Bucket.QUARANTINE)]
        return [json.loads(await self.world.blobs.get(ref)) for ref in refs]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pipeline]:
    logs = tmp_path_factory.mktemp("pipeline")
    extra = {"PANOVEIL_STITCH__WIDTH": str(WIDTH), "PANOVEIL_INCOMPLETE_AFTER": "20", "PANOVEIL_SWEEP_EVERY": "2"}
    async with AsyncExitStack() as closing:
        stack = await closing.enter_async_context(stacks.running(logs, extra))
        yield Pipeline(stack, await closing.enter_async_context(connect(stack.settings)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real imagery beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("PANOVEIL_EVAL", Path(__file__).resolve().parents[3] / "shared" / "eval"))
    if not folder.is_dir():
        pytest.skip(f"no real imagery: {folder} is absent")
    return folder
