"""The recipe's id covers settings and models; the constants beside them decide the output too, and only CODE_VERSION covers those."""

import hashlib
from types import ModuleType

from panoveil.contracts.recipe import CODE_VERSION
from panoveil.detection import views
from panoveil.pixels import jpeg
from services.anonymizer import anonymize, merge, metadata, obfuscate, regions
from services.stitcher import (
    carry,
    detail,
    development,
    fill,
    finish,
    flow,
    layout,
    level,
    photometry,
    proxy,
    scene,
    steady,
    tables,
    zones,
)

DECISIVE: dict[ModuleType, tuple[str, ...]] = {
    anonymize: ("NEAR", "BLOCK", "MORE", "LARGEST_PLATE", "COVERED", "UNSEEN", "DOUBTFUL", "FEWEST_ROUNDS", "ACCEPTED"),
    carry: ("NEAREST", "SMALLEST", "LARGEST", "_DISTANCES", "_STEPS", "_SLACK", "_SLOPE", "_LEAST_CLEARANCE", "_BORDER"),
    detail: (
        "_CALMED", "_RAISED", "_TURN", "_COLOUR_TURN", "_COLOUR_SHARE", "_MOST", "_BLUR", "_COLOUR_BLUR", "_LEAST_NOISE",
        "_LEAST_COLOUR_NOISE", "_TILE",
    ),
    development: ("_ROWS", "_SOME", "_SPARE"),
    fill: ("_EAGER", "_TALLEST"),
    finish: ("_CONTRAST", "_SHADOWS", "_GATE", "_STRONGEST", "_OVERSHOOT"),
    flow: (
        "FULL_CIRCLE", "_NEAREST", "_ASTRAY", "_WORTH", "_AGREED", "_STEEP", "_ROWS", "_OTHERS", "_AS_GOOD",
    ),
    layout: ("STRIP", "BLOCK"),
    level: ("LEAST", "_SEEN"),
    photometry: (
        "_DARK", "_BRIGHT", "_FEWEST_PIXELS", "_LARGEST_LOG_GAIN", "_EXPECTED", "_ALIKE", "_FLOOR", "_KNEE", "_PEAK", "_LIFTED_FROM",
    ),
    proxy: ("_STEEPEST",),
    scene: (
        "END", "_NEAREST", "_FARTHEST", "RISES", "_LOWEST", "_ASIDE", "_COARSER", "_TEXTURE", "_FEWEST", "_FARTHEST_OFF",
    ),
    steady: (
        "FORGOTTEN", "_FADING", "_OWN", "_OWN_SHARE", "_SCENE", "_MOST", "_MOST_COLOUR", "_LEAST_SEEN", "_SMALL",
        "_MOST_REMEMBERED", "_MOST_DRIVES", "_NEIGHBOURS",
    ),
    tables: ("FORMAT", "OVERVIEW", "_LARGEST_STEP", "_NODES"),
    zones: ("_REACH", "_RAMP", "_STEEPEST", "_FAINT"),
    merge: ("SAME",),
    metadata: ("_XMP", "_XMP_NAMES", "_EXIF_TAGS", "_PHOTO_TAGS", "_GPS_TAGS"),
    jpeg: ("RESTART",),
    obfuscate: ("_GREY", "_FEATHER", "_CELLS", "_SOFT", "_NOISE", "_BLUR"),
    regions: ("LEAST_MARGIN",),
    views: (
        "MULTIPLE", "RIM", "GREY", "REACH", "TILE", "LIMIT", "_FIRST", "_SECOND", "_GRAZING", "_DROP", "_PLATE", "_TALL", "_RING",
        "_RING_PITCH", "_RING_FIELD", "SIZES",
    ),
}  # fmt: skip
KNOWN = ("10", "027cd026e75a59a9")


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
