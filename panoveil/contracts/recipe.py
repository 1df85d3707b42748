"""A recipe: everything that decides an output, hashed to an id that changes whenever the output may."""

import hashlib
import json
from operator import not_
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from panoveil.contracts.review import Review

CODE_VERSION = "10"
"""Raised by hand when a change of code changes pixels; part of every recipe."""

Obfuscator = Literal["inpaint", "fill", "mosaic_noise", "blur"]
"""What hides a region. `inpaint` (colours continued from outside) and `fill` (their mean) hold nothing of what was there.

`mosaic_noise` leaks the coarse colours of what it hides, `blur` its coarse shape: large digits become readable to a trained reader.
"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def recipe_id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON; what is None is left out, as if it had never been thought of."""
        document = {"code": CODE_VERSION, **self.model_dump(mode="json", exclude_none=True)}
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class Model(_Frozen):
    """A detector as Triton serves it, pinned by the hash of its weights."""

    name: str
    version: str
    sha256: str
    threshold: float = Field(ge=0, le=1)
    longest_side: int | None = Field(default=None, description="pixels; larger views are shown in overlapping pieces")


class SecondSource(_Frozen):
    """Looking for faces and plates in the lens frames too, before they are stitched.

    `where`: near the seams of the panorama, where it may show an object mixed or twice, or everywhere. The thresholds are those from
    which a find is carried; the anonymizer applies its own as well.
    """

    face: Model
    plate: Model
    where: Literal["seams", "everywhere"] = "seams"
    view_plan: Literal["fast", "standard", "thorough"] = "standard"


class QualityGate(_Frozen):
    """What a panorama must reach to be published without a person's decision; None lets everything pass.

    Clipped and dirt shares, drift and death are each lens's, the others the panorama's.
    """

    least_score: float | None = Field(default=0.2, ge=0, le=1)
    most_clipped: float | None = Field(default=0.6, ge=0, le=1, description="share of a lens's pixels that are black or white")
    most_overlap_difference: float | None = Field(default=40.0, ge=0, description="mean absolute luma difference, 0-255")
    least_coverage: float | None = Field(default=0.1, ge=0, le=1, description="share of the sphere")
    most_drift: float | None = Field(default=0.15, ge=0, description="degrees, for sure")
    most_dirt: float | None = Field(default=0.01, ge=0, le=1, description="share of what a lens sees")
    dead_lens: Literal[True] | None = Field(default=True, description="hold where a lens shows nothing")
    missing_lenses: int | None = Field(
        default=None, ge=1, description="so many lenses may be missing altogether; unset: hold where one is"
    )


class StitchRecipe(_Frozen):
    """Frames to panorama."""

    width: int = Field(default=8192, ge=512, le=16384, multiple_of=32, description="pixels; the height is half of it")
    mode: Literal["fast", "best"] = Field(
        default="best", description="how near things are treated at seams: blended, or drawn as seen from between the lenses"
    )
    vignetting: bool = Field(default=True, description="undo the fall-off that the rig's calibration says")
    chromatic: bool = Field(default=True, description="lay red and blue over green where the rig's calibration says they are not")
    exposure_match: bool = Field(default=True, description="make the lenses of a capture agree where they overlap")
    steady: bool = Field(default=True, description="take jumps of brightness and colour out of a drive")
    detail: float = Field(
        default=1.0, ge=0, le=1, description="in best mode: raises edges and calms noise in the frames; 0 is off"
    )
    tone: float = Field(default=0.0, ge=0, le=1, description="lifts deep shadows and gives the middle contrast; 0 is off")
    sharpen: float = Field(default=0.0, ge=0, le=1, description="0 is off")
    seam_width: float = Field(default=3.0, gt=0, le=30, description="degrees over which two lenses are blended")
    jpeg_quality: int = Field(default=92, ge=50, le=100)
    proxy_distance: float = Field(default=15.0, gt=0, description="metres to what is not ground")
    level: bool = Field(default=True, description="turn the panorama upright by the pose's pitch and roll")
    north: bool = Field(default=False, description="turn it by the pose's heading too: its middle looks north")
    nadir_cap: float = Field(
        default=0.0, ge=0, le=60, description="degrees round the nadir that are filled over, for the car's roof"
    )
    second_source: SecondSource | None = None
    gate: QualityGate = QualityGate()
    without: tuple[str, ...] | None = Field(
        default=None, description="lenses that are missing; a capture's own, so that it is stitched anew once their frames come"
    )


class AnonymizeRecipe(_Frozen):
    """Panorama to publication; `stitch_recipe_id` ties it to what it was made from, `review` to what a person decided about it."""

    face: Model
    plate: Model
    view_plan: Literal["fast", "standard", "thorough"] = "standard"
    obfuscator: Obfuscator = Field(default="inpaint", description="inpaint and fill hold nothing of what was there; others leak")
    margin: float = Field(default=0.2, ge=0.15, le=1, description="grown on each side, as a share of the box")
    verification_rounds: int = Field(default=3, ge=1, le=5)
    jpeg_quality: int = Field(
        default=90, ge=50, le=100, description="of pictures that cannot be patched; a patch keeps the input's"
    )
    stitch_recipe_id: str = ""
    review: Review | None = Field(
        default=None, exclude_if=not_, description="a capture's own: what is published for its sake has an id of its own"
    )
