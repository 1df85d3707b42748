"""Publications to make a catalogue of."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from panoveil.blobs import Blobs
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, current_key, published_key, thumbnail_key, tiles_key
from panoveil.contracts.messages import Derivative, PanoramaBox, PanoramaPublished, Pose, encode
from panoveil.ledger import Ledger, State

DRIVE = "fyn-2026/car7-0601"
BEGAN = datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HELD = bytes(range(100))
RECIPE = "0a1b2c3d4e5f6071"
FACE = PanoramaBox(kind="face", score=0.9, west=1, east=2, south=-1, north=1)


def published(number: int, pose: Pose | None = None, recipe_id: str = RECIPE, *, derived: bool = True) -> PanoramaPublished:
    """The publication of one of a drive's captures."""
    capture_id = f"{DRIVE}/{number:06d}"
    made = (
        Derivative(kind="thumbnail", key=thumbnail_key(capture_id, recipe_id).key, sha256="b" * 64, size=7),
        Derivative(kind="tiles", key=tiles_key(capture_id, recipe_id).key, sha256="c" * 64, size=8),
    )
    at = Pose(latitude=55.4 + number / 1e4, longitude=10.4, altitude=47.25, heading=30.0, pitch=-2.0, roll=1.0, accuracy=0.04)
    return PanoramaPublished(
        capture_id=capture_id, recipe_id=recipe_id, stitch_recipe_id="5f1c0a9be37d2468", captured_at=BEGAN + timedelta(seconds=number),
        pose=pose or at, key=published_key(capture_id, recipe_id).key, sha256="a" * 64, width=8192, height=4096, boxes=(FACE, FACE),
        verification_rounds=2, size=9 if derived else None, derivatives=made if derived else (),
    )  # fmt: skip


async def publish(ledger: Ledger, blobs: Blobs, found: Iterable[PanoramaPublished]) -> None:
    """Let a ledger know of publications, each its capture's current one, and put something under every key that they name."""
    for one in found:
        for key in (one.key, *(made.key for made in one.derivatives)):
            await blobs.put(BlobRef(Bucket.PUBLISHED, key), HELD)
        await blobs.put(current_key(one.capture_id), b"{}")
        capture_id = CaptureId.parse(one.capture_id)
        await ledger.move(capture_id, State.PUBLISHED)
        await ledger.finish(capture_id, "anonymizer", one.recipe_id, encode(one))
        await ledger.point(capture_id, one.recipe_id, expected=None)


def save(folder: Path, found: Iterable[PanoramaPublished]) -> None:
    """Write publications into a folder as the demo leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        name = one.capture_id.rsplit("/", 1)[1]
        (folder / f"{name}.json").write_bytes(encode(one))
        for suffix in (".jpg", ".thumbnail.jpg", ".pmtiles"):
            (folder / f"{name}{suffix}").write_bytes(HELD)
