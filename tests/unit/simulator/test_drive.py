import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import CaptureManifest, parse_manifest
from panoveil.contracts.rig import Rig
from panoveil.pixels import jpeg
from simulator.drive import photograph
from simulator.mischief import EXPECTED, Defect, spoil
from simulator.rigs import demo_rig
from simulator.street import Street
from simulator.truth import read_truth

_WIDTH = 512


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    photograph(Street(3, 2, _WIDTH), demo_rig(_WIDTH), folder, "odense-2026", "drive-1", 2, 3)
    return folder


def _manifests(folder: Path) -> list[CaptureManifest]:
    return [parse_manifest(path.read_bytes()) for path in sorted(folder.glob("*/capture.json"))]


def test_the_folder_is_what_the_contracts_say(drive: Path) -> None:
    rig = Rig.model_validate_json((drive / "rig.json").read_bytes())
    manifests = _manifests(drive)
    assert [manifest.capture for manifest in manifests] == ["000000", "000001"]
    for manifest in manifests:
        assert (manifest.survey, manifest.drive, manifest.rig_id) == ("odense-2026", "drive-1", rig.rig_id)
        for entry, lens in zip(manifest.frames, rig.lenses, strict=True):
            data = (drive / manifest.capture / entry.file).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry.sha256
            assert jpeg.decode(data).shape == (lens.height, lens.width, 3)
    assert set(read_truth(drive / "truth.jsonl")) == {"000000", "000001"}
    assert not list(drive.rglob("*.part"))


def test_the_pose_is_in_denmark_and_moves_three_to_five_metres_along_the_heading(drive: Path) -> None:
    first, second = _manifests(drive)
    north = (second.pose.latitude - first.pose.latitude) * 111_320
    east = (second.pose.longitude - first.pose.longitude) * 111_320 * np.cos(np.radians(first.pose.latitude))
    assert 54.5 < first.pose.latitude < 57.8
    assert 8 < first.pose.longitude < 13
    assert 3 < np.hypot(north, east) < 5
    assert first.pose.heading is not None
    assert (np.degrees(np.arctan2(east, north)) - first.pose.heading + 180) % 360 - 180 == pytest.approx(0, abs=6)
    assert first.captured_at.utcoffset() == timedelta(hours=2)
    assert timedelta(seconds=0.2) < second.captured_at - first.captured_at < timedelta(seconds=1)


def test_the_same_seed_writes_the_same_bytes(drive: Path, tmp_path: Path) -> None:
    told: list[str] = []
    photograph(
        Street(3, 2, _WIDTH),
        demo_rig(_WIDTH),
        tmp_path,
        "odense-2026",
        "drive-1",
        1,
        3,
        lambda manifest: told.append(manifest.capture),
    )
    assert told == ["000000"]
    for path in sorted((drive / "000000").iterdir()):
        assert (tmp_path / "000000" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("defect", Defect)
def test_mischief_does_what_it_says_to_one_capture_only(drive: Path, tmp_path: Path, defect: Defect) -> None:
    target = tmp_path / "spoilt"
    spoil(drive, target, {"000001": defect})
    changed = {
        str(path.relative_to(drive).parent)
        for path in drive.rglob("*")
        if path.is_file() and _bytes(target / path.relative_to(drive)) != path.read_bytes()
    }
    assert changed == {"000001"}
    assert _complaint(target / "000001") == EXPECTED[defect]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _complaint(capture: Path) -> str:
    """Name the defect by looking, in the words of the quarantine."""
    try:
        return _look(capture)
    except Rejected as error:
        return error.reason


def _look(capture: Path) -> str:
    manifest = parse_manifest((capture / "capture.json").read_bytes())
    first = manifest.frames[0]
    data = _bytes(capture / first.file)
    if not data:
        return "frame_missing" if data is None else "empty_object"
    if manifest.rig_id != demo_rig(_WIDTH).rig_id:
        return "unknown_rig"
    if hashlib.sha256(data).hexdigest() != first.sha256:
        return "hash_mismatch"
    jpeg.decode(data)
    return "nothing"


def test_the_pose_says_how_the_car_leans(drive: Path, tmp_path: Path) -> None:
    street = Street(3, 1, _WIDTH, tilt=2.0)
    photograph(street, demo_rig(_WIDTH), tmp_path, "odense-2026", "drive-1", 1, 3)
    (manifest,), level = _manifests(tmp_path), _manifests(drive)[0]
    station = street.station(0)
    assert (manifest.pose.pitch, manifest.pose.roll) == pytest.approx(np.degrees((station.pitch, station.roll)), abs=1e-3)
    assert abs(manifest.pose.pitch or 0) + abs(manifest.pose.roll or 0) > 0.1
    assert manifest.pose.model_copy(update={"pitch": 0.0, "roll": 0.0}) == level.pose
