"""Fetches what a drive published, and holds it against the truth."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from console.demo.summary import Truth
from panoveil.blobs import Blobs
from panoveil.contracts.keys import BlobRef, Bucket, suffix
from panoveil.contracts.messages import CurrentPublication, PanoramaPublished, outcome
from simulator.truth import read_truth, score


async def collect_publications(drive_id: str, blobs: Blobs, folder: Path) -> dict[str, PanoramaPublished]:
    """Save every current publication of the drive as `<capture>.jpg`, `.json` and what was made of it; return the publications by capture name."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, PanoramaPublished] = {}
    async for blob in blobs.list(Bucket.PUBLISHED, f"{drive_id}/"):
        if blob.ref.key.endswith("/current.json"):
            current = CurrentPublication.model_validate_json(await blobs.get(blob.ref))
            data = await blobs.get(BlobRef(Bucket.PUBLISHED, current.publication))
            publication = outcome(data)
            assert isinstance(publication, PanoramaPublished)
            name = publication.capture_id.rsplit("/", 1)[1]
            (folder / f"{name}.json").write_bytes(data)
            for key in (publication.key, *(made.key for made in publication.derivatives)):
                path = folder / f"{name}{suffix(key)}"
                path.write_bytes(await blobs.get(BlobRef(Bucket.PUBLISHED, key)))
            found[name] = publication
    return found


def truth_covered(path: Path, published: Mapping[str, PanoramaPublished]) -> Truth:
    """Score the obfuscated boxes on the objects of the published captures; without a truth file there are none."""
    true = read_truth(path) if path.exists() else {}
    objects, covered = Counter[str](), Counter[str]()
    for name in true.keys() & published.keys():
        for kind in ("face", "plate"):
            scored = score([thing for thing in true[name] if thing.kind == kind], published[name].boxes)
            for height, bucket in scored.by_height.items():
                objects[f"{kind} {height} px"] += bucket.objects
                covered[f"{kind} {height} px"] += bucket.covered
    return Truth(objects, covered)
