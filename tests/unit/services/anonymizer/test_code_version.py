"""The recipe's id covers settings and models; the constants beside them decide the output too, and only CODE_VERSION covers those."""

import hashlib
from types import ModuleType

from panoveil.contracts.recipe import CODE_VERSION
from panoveil.detection import views
from panoveil.pixels import jpeg
from services.anonymizer import anonymize, merge, metadata, obfuscate, regions
from services.stitcher import carry

DECISIVE: dict[ModuleType, tuple[str, ...]] = {
    anonymize: ("NEAR", "BLOCK", "MORE", "LARGEST_PLATE", "COVERED"),
    carry: ("NEAREST", "SMALLEST", "LARGEST", "_DISTANCES", "_STEPS", "_SLACK", "_SLOPE", "_LEAST_CLEARANCE", "_BORDER"),
    merge: ("SAME",),
    metadata: ("_XMP", "_XMP_NAMES", "_EXIF_TAGS", "_PHOTO_TAGS", "_GPS_TAGS"),
    jpeg: ("RESTART",),
    obfuscate: ("_GREY", "_FEATHER", "_CELLS", "_SOFT", "_NOISE", "_BLUR"),
    regions: ("LEAST_MARGIN",),
    views: (
        "MULTIPLE", "RIM", "GREY", "REACH", "TILE", "LIMIT", "_FIRST", "_SECOND", "_GRAZING", "_DROP", "_PLATE", "_TALL", "_RING",
        "_RING_PITCH", "_RING_FIELD",
    ),
}  # fmt: skip
KNOWN = ("6", "cc849e0a4caf323e")


def fingerprint() -> str:
    values = [
        f"{module.__name__}.{name} = {_written(getattr(module, name))}" for module, names in DECISIVE.items() for name in names
    ]
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:16]


def _written(value: object) -> str:
    return repr(sorted(value)) if isinstance(value, set) else repr(value)


def test_whoever_changes_a_decisive_constant_raises_the_code_version() -> None:
    assert (CODE_VERSION, fingerprint()) == KNOWN, (
        "A constant that decides what is published has changed: raise CODE_VERSION in panoveil/contracts/recipe.py, "
        f"so that the recipe's id changes as well, and set KNOWN here to the new version and {fingerprint()!r}."
    )
