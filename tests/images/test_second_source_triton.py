"""The stitcher against a real Triton: what is in the frames is carried, and without Triton nothing goes on."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.stack import triton
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import CaptureId, Stream, raw_key, rig_key
from panoveil.contracts.messages import CaptureReady, FrameRef, PanoramaStitched, Pose, decode
from panoveil.contracts.recipe import StitchRecipe
from panoveil.detection import TritonDetector
from panoveil.ledger import MemoryLedger
from panoveil.pixels import jpeg
from panoveil.streams import MemoryStreams
from services.stitcher.app import recipe_of
from services.stitcher.handler import Ports, Rigs, handle
from services.stitcher.settings import StitcherSettings
from simulator.gathering import Gathering
from simulator.rigs import demo_rig
from simulator.truth import TrueObject, covered_share

ROOT = Path(__file__).resolve().parents[2]
VENV, MODELS = ROOT / ".venv-triton", ROOT / "triton_models"
WIDTH = 2048
CAPTURE = CaptureId("fyn-2026", "car7-0601", "000001")

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not (MODELS / "face" / "1" / "model.onnx").exists(), reason="the face model is not built: make setup"),
    pytest.mark.skipif(not VENV.exists(), reason="Triton is not installed: make setup"),
]


def _uploaded() -> tuple[MemoryBlobs, CaptureReady, tuple[TrueObject, ...]]:
    """Return a raw bucket with a capture in it, what ingest would say of it, and the truth."""
    rig, world, blobs = demo_rig(WIDTH), Gathering(seed=7, captures=1, panorama_width=WIDTH), MemoryBlobs()
    blobs.objects[rig_key(rig.rig_id)] = rig.model_dump_json().encode()
    frames = []
    for lens in rig.lenses:
        data = jpeg.encode(world.frame(rig, lens, 0), 92)
        ref = raw_key(CAPTURE, f"{lens.name}.jpg")
        blobs.objects[ref] = data
        frames.append(FrameRef(lens=lens.name, key=ref.key, sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    ready = CaptureReady(
        capture_id=str(CAPTURE),
        rig_id=rig.rig_id,
        captured_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
        pose=Pose(latitude=55.4, longitude=10.4),
        frames=tuple(frames),
    )
    return blobs, ready, world.truth(rig, 0, WIDTH)


async def test_faces_on_seams_are_carried_and_a_triton_that_is_gone_stops_the_capture(tmp_path: Path) -> None:
    blobs, ready, truth = _uploaded()
    streams, stitch = MemoryStreams(), StitchRecipe(width=WIDTH)
    async with triton.running(MODELS, VENV, tmp_path / "state") as server:
        settings = StitcherSettings(
            triton_url=server.grpc_url, triton_attempts=1, stitch=stitch, view_plan="fast", second_source="seams"
        )
        detector = TritonDetector.of(settings)
        with ThreadPoolExecutor(2) as workers:
            rigs = Rigs(blobs, stitch, tmp_path / "tables")
            ports = Ports(blobs, MemoryLedger(), streams, recipe_of(settings, detector), rigs, workers, detector)
            await handle(ready, ports)
    (record,) = streams.records(Stream.PANORAMAS)
    message = decode(record.data)
    assert isinstance(message, PanoramaStitched)
    large = [item for item in truth if item.kind == "face" and item.height_px >= 12 and _on_a_seam(item)]
    assert large
    assert [item for item in large if covered_share(item, message.carried) < 0.9] == []
    async with detector:
        with pytest.raises(Unavailable):
            await handle(ready, replace(ports, ledger=MemoryLedger()))
    assert len(streams.records(Stream.PANORAMAS)) == 1


def _on_a_seam(item: TrueObject) -> bool:
    """Whether it stands within two degrees of where two lenses of the demo's rig meet: at odd multiples of 36 degrees."""
    middle = (item.west + item.east) / 2
    return abs((middle - 36) % 72 - 36) > 34
