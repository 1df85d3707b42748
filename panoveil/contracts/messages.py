"""The messages on the streams and the manifest in a drive folder: frozen, with type and version.

stream        message                         producer     consumers
uploads       S3 event notification records   agent, S3    ingest
captures      capture.ready v1                ingest       stitcher
panoramas     panorama.stitched v1, v2, v3    stitcher,    anonymizer
                                              console: holds
publications  panorama.published v1, v2       anonymizer   archivist; console: catalogue, viewer, replay
publications  panorama.held v1                anonymizer   console: status

An example of every version lies in `panoveil/contracts/examples/`; tests read them.
Messages carry references and facts, never pixels. Angles are degrees here, at the edge.
"""

import json
from collections.abc import Mapping
from operator import not_
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.review import Review

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Key = Annotated[str, Field(pattern=r"^[!-~]{1,1024}$")]
"""An object's: ours are of ASCII, and S3 knows none that are longer."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Pose(_Frozen):
    """Where the rig or a panorama was, and how it was held: WGS84, metres above the ellipsoid, degrees; unknown angles are None.

    `heading` is clockwise from north, `pitch` positive with the nose up, `roll` positive with the right side down. They turn in this
    order, each about the axes that the ones before left: heading about the vertical, pitch about the axis to the right, roll about
    the axis ahead. Of a panorama these are the angles of its middle: GPano's PoseHeading-, PosePitch- and PoseRollDegrees.
    """

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    altitude: float | None = None
    heading: float | None = Field(default=None, ge=0, le=360)
    pitch: float | None = Field(default=None, ge=-90, le=90)
    roll: float | None = Field(default=None, ge=-180, le=180)
    accuracy: float | None = Field(default=None, ge=0, description="metres, one sigma")


class FrameEntry(_Frozen):
    """One lens's image as the manifest promises it."""

    lens: Name
    file: Name
    sha256: Sha256


class CaptureManifest(_Frozen):
    """`capture.json` in a drive folder: what one trigger of the rig produced."""

    type: Literal["capture"] = "capture"
    version: Literal[1] = 1
    survey: Name
    drive: Name
    capture: Name
    rig_id: Name
    captured_at: AwareDatetime
    pose: Pose
    frames: tuple[FrameEntry, ...] = Field(min_length=1, max_length=16)


class FrameRef(_Frozen):
    """A frame in the raw bucket."""

    lens: Name
    key: Key
    sha256: Sha256
    size: int = Field(gt=0, description="bytes")


class CaptureReady(_Frozen):
    """Ingest: every frame of the capture is there and valid, but for those of `missing`: lenses that are not waited for any longer.

    A stitcher that knows nothing of `missing` refuses the message, for a lens has no frame.
    """

    type: Literal["capture.ready"] = "capture.ready"
    version: Literal[1] = 1
    capture_id: str
    rig_id: str
    captured_at: AwareDatetime
    pose: Pose
    frames: tuple[FrameRef, ...]
    missing: tuple[Name, ...] = Field(default=(), exclude_if=not_)


class QualityV1(_Frozen):
    """What the stitcher measured on a panorama before it looked at its lenses one by one."""

    sharpness: float = Field(ge=0, description="variance of the Laplacian of the luma")
    clipped_share: float = Field(ge=0, le=1, description="share of pixels at 0 or 255")
    overlap_difference: float = Field(ge=0, description="mean absolute luma difference of lenses where they overlap, 0-255")
    coverage: float = Field(ge=0, le=1, description="share of the sphere some lens saw")


class Stain(_Frozen):
    """A place of a lens that stays blank over a drive: its box in the lens's pixels, and the share that it covers of what the lens sees."""

    x0: int = Field(ge=0)
    y0: int = Field(ge=0)
    x1: int = Field(ge=0)
    y1: int = Field(ge=0)
    share: float = Field(ge=0, le=1)


class LensQuality(_Frozen):
    """What the stitcher measured on a lens. What takes a drive to know is None until enough of it was seen, and where it cannot be known."""

    lens: Name
    score: float = Field(ge=0, le=1, description="1 is best, 0 shows nothing")
    dead: bool = Field(description="covered or broken: the frame shows nothing at all")
    sharpness: float | None = Field(ge=0, description="fine detail by coarse detail; None where there is none to judge by")
    dark_share: float = Field(ge=0, le=1, description="share of pixels that are black")
    bright_share: float = Field(ge=0, le=1, description="share of pixels with a channel at 255")
    level: float = Field(description="stops of the mean light above middle grey, as the sensor recorded it")
    gain: float = Field(description="stops by which exposure matching made the lens brighter")
    overlap_difference: float | None = Field(ge=0, description="mean absolute luma difference to its neighbours, 0-255")
    drift: float | None = Field(default=None, ge=0, description="degrees by which the lens is turned against the rig")
    drift_bound: float | None = Field(default=None, ge=0, description="degrees, two sigma")
    stains: tuple[Stain, ...] | None = None

    @property
    def dirt_share(self) -> float | None:
        """The share of what the lens sees that stains cover."""
        return None if self.stains is None else min(1.0, sum(stain.share for stain in self.stains))

    @property
    def surely_turned(self) -> float:
        """Degrees by which the lens is turned at least; 0 where that is not known."""
        return max(0.0, (self.drift or 0.0) - (self.drift_bound or 0.0))


class Quality(QualityV1):
    """What the stitcher measured on a panorama and on its lenses.

    `score` is the worst lens's, None where lenses were not looked at; `alarms` are sentences about the rig, for a person.
    """

    score: float | None = Field(default=None, ge=0, le=1)
    lenses: tuple[LensQuality, ...] = ()
    alarms: tuple[str, ...] = ()


class QualityHold(_Frozen):
    """Why a panorama must not be published until a person has decided, before anybody looked for faces and plates in it."""

    reason: Reason
    detail: str


class PanoramaBox(_Frozen):
    """A face or plate, in panorama angles: degrees; yaw grows to the right from the panorama's centre, pitch upwards.

    `west` may be greater than `east`: such a box wraps round ±180°.
    """

    kind: Literal["face", "plate"]
    score: float = Field(ge=0, le=1)
    west: float = Field(ge=-180, le=180)
    east: float = Field(ge=-180, le=180)
    south: float = Field(ge=-90, le=90)
    north: float = Field(ge=-90, le=90)


class _Stitched(_Frozen):
    capture_id: str
    rig_id: str
    recipe_id: str = Field(description="of the stitch recipe")
    captured_at: AwareDatetime
    pose: Pose = Field(description="the panorama's: pitch and roll are 0 once it was levelled, heading once it was turned north")
    key: Key
    sha256: Sha256
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    quality: QualityV1


class CarriedBox(PanoramaBox):
    """What was found in a lens's frame, at the place where the panorama shows it, as the stitcher's recipe looked; not yet obfuscated."""

    lens: str


class CarriedBoxes(_Frozen):
    """Carried boxes too many for a message: a JSON array of `CarriedBox` in the sealed stitched bucket."""

    key: Key
    sha256: Sha256
    count: int = Field(gt=0)


CARRIED: TypeAdapter[tuple[CarriedBox, ...]] = TypeAdapter(tuple[CarriedBox, ...])
"""Reads and writes the array that `CarriedBoxes` refers to."""


class PanoramaStitched(_Stitched):
    """Stitcher: the unblurred panorama lies in the sealed bucket.

    `carried` is what was found in the frames: all of it, or none where `carried_elsewhere` says where all of it lies. Whether the
    frames were looked at is the recipe's; a consumer that cannot use what is carried must refuse the message. `hold` is why the
    recipe's quality gate lets nobody publish it. `missing` are the lenses that had no frame: the whole capture may still follow.
    `review` is what a person decided since it was held; it counts where the ledger has noted that decision. An anonymizer that knows
    nothing of reviews holds the panorama as it did before.
    """

    type: Literal["panorama.stitched"] = "panorama.stitched"
    version: Literal[3] = 3
    quality: Quality
    carried: tuple[CarriedBox, ...]
    carried_elsewhere: CarriedBoxes | None
    hold: QualityHold | None
    missing: tuple[Name, ...] = Field(default=(), exclude_if=not_)
    review: Review | None = Field(default=None, exclude_if=not_)


class PanoramaStitchedV2(_Stitched):
    """As it was before there was a quality gate."""

    type: Literal["panorama.stitched"] = "panorama.stitched"
    version: Literal[2] = 2
    carried: tuple[CarriedBox, ...]
    carried_elsewhere: CarriedBoxes | None

    def upgraded(self) -> PanoramaStitched:
        """Return the same as today's version says it: nobody looked at the lenses, and nothing holds it."""
        return PanoramaStitched(**self.model_dump(exclude={"version"}), hold=None)


class PanoramaStitchedV1(_Stitched):
    """As it was before frames were looked at."""

    type: Literal["panorama.stitched"] = "panorama.stitched"
    version: Literal[1] = 1

    def upgraded(self) -> PanoramaStitched:
        """Return the same as today's version says it: nothing was carried, and nothing holds it."""
        return PanoramaStitched(**self.model_dump(exclude={"version"}), carried=(), carried_elsewhere=None, hold=None)


class Derivative(_Frozen):
    """What was made of the published panorama's pixels, beside it: a small JPEG, or a PMTiles archive of JPEG tiles."""

    kind: Literal["thumbnail", "tiles"]
    key: Key
    sha256: Sha256
    size: int = Field(gt=0, description="bytes")


class _Published(_Frozen):
    capture_id: str
    recipe_id: str
    stitch_recipe_id: str
    captured_at: AwareDatetime
    pose: Pose
    key: Key
    sha256: Sha256
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    boxes: tuple[PanoramaBox, ...]
    verification_rounds: int = Field(ge=1)


class PanoramaPublished(_Published):
    """Anonymizer: obfuscated, verified, published. `boxes` are what was obfuscated, margins included.

    `size` is the panorama's in bytes. It and `derivatives` are unknown and none of what was published before there were any.
    """

    type: Literal["panorama.published"] = "panorama.published"
    version: Literal[2] = 2
    size: int | None = Field(gt=0)
    derivatives: tuple[Derivative, ...]

    def derivative(self, kind: Literal["thumbnail", "tiles"]) -> Derivative | None:
        """Return a derivative, None where there is none of that kind."""
        return next((one for one in self.derivatives if one.kind == kind), None)


class PanoramaPublishedV1(_Published):
    """As it was before anything was made of what is published."""

    type: Literal["panorama.published"] = "panorama.published"
    version: Literal[1] = 1

    def upgraded(self) -> PanoramaPublished:
        """Return the same as today's version says it: nothing was made of it."""
        return PanoramaPublished(**self.model_dump(exclude={"version"}), size=None, derivatives=())


class CurrentPublication(_Frozen):
    """`current.json` in the published bucket: which of a capture's publications is the current one. No message of a stream.

    `key` is the panorama's, `publication` that of the `panorama.published` beside it.
    """

    type: Literal["publication.current"] = "publication.current"
    version: Literal[1] = 1
    capture_id: str
    recipe_id: str
    key: Key
    sha256: Sha256
    publication: str


class PanoramaHeld(_Frozen):
    """Anonymizer: not published; a person must decide. `left` is what was still found in the last round, where that is why."""

    type: Literal["panorama.held"] = "panorama.held"
    version: Literal[1] = 1
    capture_id: str
    recipe_id: str
    reason: Reason
    detail: str
    left: tuple[PanoramaBox, ...] = Field(default=(), exclude_if=not_)


AnyPanoramaStitched = Annotated[PanoramaStitchedV1 | PanoramaStitchedV2 | PanoramaStitched, Field(discriminator="version")]
AnyPanoramaPublished = Annotated[PanoramaPublishedV1 | PanoramaPublished, Field(discriminator="version")]
Message = Annotated[CaptureReady | AnyPanoramaStitched | AnyPanoramaPublished | PanoramaHeld, Field(discriminator="type")]
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Message)


def encode(message: BaseModel) -> bytes:
    """Serialise a message as UTF-8 JSON."""
    return message.model_dump_json().encode()


def decode_json(data: bytes) -> Any:
    """Parse JSON, or raise `Rejected(NOT_JSON)`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError: broken JSON, broken UTF-8, and numbers of thousands of digits
        raise Rejected(Reason.NOT_JSON, str(error)) from error


def decode(data: bytes) -> Message:
    """Parse a message, or raise `Rejected` with `NOT_JSON` or `UNKNOWN_MESSAGE`, which says of a newer one that it is newer."""
    document = decode_json(data)
    try:
        return _ADAPTER.validate_python(document, strict=False)
    except ValidationError as error:
        raise Rejected(
            Reason.UNKNOWN_MESSAGE, _not_known(document, _VERSIONS, Reason.UNKNOWN_MESSAGE) or _first(error)
        ) from error


def outcome(data: bytes) -> PanoramaPublished | PanoramaHeld | None:
    """Parse what the anonymizer said of a panorama, in any version, as today's; None where it is another message."""
    message = decode(data)
    if isinstance(message, PanoramaPublishedV1):
        return message.upgraded()
    return message if isinstance(message, PanoramaPublished | PanoramaHeld) else None


def parse_manifest(data: bytes) -> CaptureManifest:
    """Parse `capture.json`, or raise `Rejected(BAD_MANIFEST)`."""
    try:
        return CaptureManifest.model_validate_json(data)
    except ValidationError as error:
        newer = _newer(_loaded(data), {"capture": frozenset({1})}, Reason.BAD_MANIFEST)
        raise Rejected(Reason.BAD_MANIFEST, newer or _first(error)) from error


_KINDS = (
    CaptureReady, PanoramaStitchedV1, PanoramaStitchedV2, PanoramaStitched, PanoramaPublishedV1, PanoramaPublished, PanoramaHeld,
)  # fmt: skip
_VERSIONS: Mapping[str, frozenset[int]] = {
    kind.model_fields["type"].default: frozenset(
        other.model_fields["version"].default
        for other in _KINDS
        if other.model_fields["type"].default == kind.model_fields["type"].default
    )
    for kind in _KINDS
}
"""Every type of message and the versions of it that this service reads."""

_LONGEST_QUOTE = 80
_LONGEST_NUMBER = 10**9


def _not_known(document: Any, versions: Mapping[str, frozenset[int]], reason: Reason) -> str:
    """Say why a document is no message known here, "" where its type and version are."""
    kind = document.get("type") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        return "it is no message: it names no type"
    if kind not in versions:
        return f"{_quoted(kind)} is no message that this service knows ({', '.join(sorted(versions))}): {_deploy(reason)}"
    return _newer(document, versions, reason)


def _newer(document: Any, versions: Mapping[str, frozenset[int]], reason: Reason) -> str:
    """Say of a version that it is newer than those known here, or none; "" where it is known, or the document something else."""
    kind = document.get("type") if isinstance(document, dict) else None
    known = versions.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    if not known:
        return ""
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        return f"{kind} carries no version"
    if version > max(known):
        return f"{kind} version {_number(version)} is newer than this service knows ({max(known)}): {_deploy(reason)}"
    return (
        ""
        if version in known
        else f"{kind} version {_number(version)} never was: this service knows {', '.join(map(str, sorted(known)))}"
    )


def _deploy(reason: Reason) -> str:
    return f"deploy the newer service, then `panoveil quarantine redrive --reason {reason}`"


def _number(version: int) -> str:
    return f"{version}" if abs(version) < _LONGEST_NUMBER else "of very many digits"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")


def _loaded(data: bytes) -> Any:
    try:
        return decode_json(data)
    except Rejected:
        return None


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{first['loc']}: {first['msg']}"
