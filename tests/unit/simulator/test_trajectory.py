"""The virtual car's pose files, read by the agent: two implementations, of which neither knows the other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose, parse_manifest
from services.agent.poses import PoseOptions, Poses, open_poses
from simulator.trajectory import Format, of_drive, seen_from, without_poses, write

FORMATS: tuple[Format, ...] = ("csv", "nmea", "gpx", "sbet")
MIDWEEK = datetime(2026, 5, 13, 8, 14, 3, 412000, tzinfo=UTC)
SATURDAY = datetime(2026, 5, 9, 23, 59, 40, 250000, tzinfo=UTC)
"""A drive that begins here goes on over UTC's midnight, and over the end of the GPS week 18 s before."""

ARM = (0.31, -0.22, -1.84)


def _drive(folder: Path, begin: datetime = MIDWEEK, longitude: float = 10.2, count: int = 60) -> Path:
    """Captures half a second apart on a bend that turns through north, up and down."""
    for index in range(count):
        pose = Pose(
            latitude=55.1 + 4e-5 * index,
            longitude=(longitude - 1e-5 * index + 180) % 360 - 180,
            altitude=42 + 0.1 * index,
            heading=(359.7 + 0.02 * index) % 360,
            pitch=round(2 * np.sin(index / 9), 4),
            roll=round(1.5 * np.cos(index / 7), 4),
        )
        manifest = CaptureManifest(
            survey="dk",
            drive="d1",
            capture=f"{index:06d}",
            rig_id="r",
            captured_at=begin + timedelta(seconds=0.5 * index),
            pose=pose,
            frames=(FrameEntry(lens="front", file="front.jpg", sha256="0" * 64),),
        )
        place = folder / "drive" / manifest.capture
        place.mkdir(parents=True)
        (place / "capture.json").write_text(manifest.model_dump_json())
    return folder / "drive"


def _poses(folder: Path, form: Format, options: PoseOptions, rate: float, drive: Path) -> Poses:
    path = folder / f"poses.{form}"
    write(seen_from(of_drive(drive, rate), options.lever_arm), path, form)
    return open_poses(options.model_copy(update={"files": (path,)}), lambda _event: None)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("begin", "longitude"), [(MIDWEEK, 10.2), (SATURDAY, -179.9998)], ids=["midweek", "Saturday at the date line"]
)
def test_a_drive_gets_its_poses_back(tmp_path: Path, form: Format, begin: datetime, longitude: float) -> None:
    """Within what the file's digits and going straight between its lines cost: 1 cm and 0.02°."""
    drive = _drive(tmp_path, begin, longitude)
    # NMEA and GPX do not know how the car leans, so that an antenna on the roof would be taken for one above its middle.
    options = PoseOptions(lever_arm=ARM if form in {"csv", "sbet"} else (0.0, 0.0, 0.0))
    poses = _poses(tmp_path, form, options, 50, drive)
    without_poses(drive, tmp_path / "bare")
    for path in sorted(drive.rglob("capture.json")):
        true = parse_manifest(path.read_bytes()).pose
        found = parse_manifest(poses.complete((tmp_path / "bare" / path.parent.name / "capture.json").read_bytes())).pose
        _assert_alike(found, true)
        leans = (found.pitch, found.roll)
        assert leans == ((None, None) if form in {"nmea", "gpx"} else pytest.approx((true.pitch, true.roll), abs=0.02))


def _assert_alike(found: Pose, true: Pose) -> None:
    north = (found.latitude - true.latitude) * 111_320
    east = ((found.longitude - true.longitude + 180) % 360 - 180) * 63_700
    assert np.hypot(north, east) < 0.01
    assert found.altitude == pytest.approx(true.altitude, abs=0.01)
    assert found.heading is not None
    assert true.heading is not None
    assert (found.heading - true.heading + 180) % 360 - 180 == pytest.approx(0, abs=0.02)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_a_lever_arm_there_and_back(tmp_path_factory: pytest.TempPathFactory, forward: float, right: float, down: float) -> None:
    """There by way of the Earth's centre, back by the radii of curvature: to 0.1 mm and 1 mm, as manifests are rounded."""
    folder = tmp_path_factory.mktemp("arm")
    drive = _drive(folder, count=3)
    options = PoseOptions(lever_arm=(forward, right, down))
    path = drive / "000001" / "capture.json"
    true = parse_manifest(path.read_bytes())
    whole = true.model_copy(update={"captured_at": MIDWEEK.replace(microsecond=500_000)})
    found = parse_manifest(
        _poses(folder, "sbet", options.model_copy(update={"replace": True}), 10, drive).complete(whole.model_dump_json().encode())
    ).pose
    bare = parse_manifest(
        _poses(folder, "sbet", PoseOptions(replace=True), 10, drive).complete(whole.model_dump_json().encode())
    ).pose
    assert (found.latitude - bare.latitude) * 111_320 == pytest.approx(0, abs=3e-4)
    assert (found.longitude - bare.longitude) * 63_700 == pytest.approx(0, abs=3e-4)
    assert found.altitude == pytest.approx(bare.altitude, abs=1.1e-3)


def test_nmea_and_gpx_without_a_heading_have_the_course(tmp_path: Path) -> None:
    drive = _drive(tmp_path)
    poses = _poses(tmp_path, "nmea", PoseOptions(), 10, drive)
    path = tmp_path / "poses.nmea"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "HDT" not in line))
    poses = open_poses(PoseOptions(files=(path,), replace=True), lambda _event: None)
    found = parse_manifest(poses.complete((drive / "000030" / "capture.json").read_bytes())).pose
    # Two degrees of longitude are not a degree of latitude there.
    assert found.heading == pytest.approx(np.degrees(np.arctan2(-1e-5 * 63_900, 4e-5 * 111_340)) % 360, abs=0.2)


def test_a_single_capture_stands_still(tmp_path: Path) -> None:
    trajectory = of_drive(_drive(tmp_path, count=1), 10)
    assert set(trajectory.latitude.tolist()) == {55.1}
    for form in FORMATS:
        write(trajectory, tmp_path / f"one.{form}", form)
        assert (tmp_path / f"one.{form}").stat().st_size > 0
