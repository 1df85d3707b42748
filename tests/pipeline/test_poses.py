"""A drive whose captures have no poses, and a pose file beside it, through real servers: published where a drive with poses is."""

from pathlib import Path

import pytest

from console.demo.collect import collect_publications
from console.demo.drives import existing_drive
from console.demo.run import Drive
from panoveil.contracts.messages import PanoramaPublished
from panoveil.ledger import State
from services.agent.app import connect, upload_drive
from services.agent.events import Event, PosesRead
from services.agent.poses import PoseOptions, open_poses
from services.agent.settings import AgentSettings
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street
from simulator.trajectory import of_drive, seen_from, without_poses, write
from tests.pipeline.conftest import WIDTH, Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800)]

SURVEY = "poses"
ARM = (0.31, -0.22, -1.84)


def _photographed(folder: Path, name: str) -> Drive:
    photograph(Street(5, 2, WIDTH), demo_rig(WIDTH), folder, SURVEY, name, 2, seed=5)
    return existing_drive(folder, WIDTH)


async def _published(pipeline: Pipeline, drive_id: str, folder: Path) -> dict[str, PanoramaPublished]:
    states = await pipeline.until_ended(drive_id, ["000000", "000001"])
    assert {state.state for state in states.values()} == {State.PUBLISHED}
    return await collect_publications(drive_id, pipeline.world.blobs, folder)


async def test_published_poses_are_those_of_a_drive_that_brings_its_own(pipeline: Pipeline, tmp_path: Path) -> None:
    drive = _photographed(tmp_path / "own", "own")
    await pipeline.upload(drive)
    beside = _photographed(tmp_path / "other", "other")
    write(seen_from(of_drive(beside.folder, 200.0), ARM), tmp_path / "day.sbet", "sbet")
    without_poses(beside.folder, tmp_path / "bare")
    events: list[Event] = []
    poses = open_poses(PoseOptions(files=(tmp_path / "day.sbet",), lever_arm=ARM), events.append)
    async with connect(AgentSettings()) as ports:
        done = await upload_drive(tmp_path / "bare", ports, events.append, poses=poses)
    assert (done.uploaded, done.skipped, isinstance(events[0], PosesRead)) == (2, 0, True)

    expected = await _published(pipeline, drive.drive_id, tmp_path / "a")
    found = await _published(pipeline, beside.drive_id, tmp_path / "b")
    for name, own in expected.items():
        mine, theirs = (publication.pose.model_dump(exclude={"accuracy"}) for publication in (found[name], own))
        # An SBET does not say how accurate it is.
        assert found[name].pose.accuracy is None
        # 1 cm on the ground and in height, a hundredth of a degree.
        assert mine == {
            key: pytest.approx(value, abs=1e-7 if key in {"latitude", "longitude"} else 0.01) for key, value in theirs.items()
        }
