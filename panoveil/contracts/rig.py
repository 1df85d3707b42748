"""A rig: its lenses, where they look, and how they render light. Versioned by `rig_id`.

Frames. Rig frame: x right, y down, z forward (the car's heading), origin at the rig's reference point, metres.
Lens frame: x right, y down, z along the optical axis. `rotation` is the 3x3 matrix R (row-major) with
`ray_rig = R @ ray_lens`; `position` is the lens centre in the rig frame. Pixels: (0, 0) is the centre of the top left pixel.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Vec3 = tuple[float, float, float]
Matrix3 = tuple[Vec3, Vec3, Vec3]
Shift = Annotated[float, Field(ge=-0.05, le=0.05)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BrownConrady(_Frozen):
    """OpenCV's pinhole model: radial `k1 k2 k3`, tangential `p1 p2`."""

    model: Literal["brown_conrady"] = "brown_conrady"
    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0


class KannalaBrandt(_Frozen):
    """OpenCV's fisheye model (Kannala & Brandt 2006): theta_d = theta (1 + k1 theta^2 + k2 theta^4 + ...)."""

    model: Literal["kannala_brandt"] = "kannala_brandt"
    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    max_theta: float = Field(default=1.7, gt=0, le=3.1416, description="radians off axis that the lens still images")


Intrinsics = Annotated[BrownConrady | KannalaBrandt, Field(discriminator="model")]


class Photometry(_Frozen):
    """Gain per channel (RGB), radial fall-off and response: sensed = respond(true * gain * (1 + v1 r^2 + v2 r^4 + v3 r^6)).

    r is the distance from the principal point divided by half the image diagonal. With x = light / 255 and u = 2 x - 1,
    respond(x) = x + x (1 - x) (r1 + r2 u + r3 u^2): 0 and 1 stay, r1 lifts the middle, r2 makes an S, r3 bends both ends.
    """

    gain: Vec3 = (1.0, 1.0, 1.0)
    vignetting: Vec3 = (0.0, 0.0, 0.0)
    response: Vec3 = (0.0, 0.0, 0.0)

    @field_validator("response")
    @classmethod
    def _rises(cls, response: Vec3) -> Vec3:
        slopes = [_slope(response, step / _SLOPES) for step in range(_SLOPES + 1)]
        if min(slopes) < FLATTEST_RESPONSE:
            at = 255 * slopes.index(min(slopes)) / _SLOPES
            message = (
                f"response {response} does not rise by {FLATTEST_RESPONSE} everywhere: its slope at {at:.0f} is {min(slopes):.3f}"
            )
            raise ValueError(message)
        return response


FLATTEST_RESPONSE = 0.05
"""The least slope of a response: what is flatter cannot be undone in 8 bits."""

_SLOPES = 256


def _slope(response: Vec3, x: float) -> float:
    """Return the derivative of the response at x in 0-1."""
    first, second, third = response
    u = 2 * x - 1
    return 1 - u * (first + u * (second + u * third)) + x * (1 - x) * (2 * second + 4 * u * third)


class Chromatic(_Frozen):
    """Lateral chromatic aberration: of a point that green images at r, this channel lies at r (1 + c1 + c2 r^2).

    r is measured from the principal point in half image diagonals; (c1, c2) for red and for blue.
    """

    red: tuple[Shift, Shift] = (0.0, 0.0)
    blue: tuple[Shift, Shift] = (0.0, 0.0)


class Lens(_Frozen):
    """One camera of the rig. Its frames are named `<name>.jpg`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
    width: int = Field(gt=0, le=20_000)
    height: int = Field(gt=0, le=20_000)
    intrinsics: Intrinsics
    rotation: Matrix3
    position: Vec3 = (0.0, 0.0, 0.0)
    photometry: Photometry = Photometry()
    chromatic: Chromatic = Chromatic()


class Rig(_Frozen):
    """A versioned rig; a changed calibration is a new `rig_id`."""

    type: Literal["rig"] = "rig"
    version: Literal[1] = 1
    rig_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    height_above_ground: float = Field(default=2.5, gt=0, description="metres from the road to the rig's origin")
    lenses: tuple[Lens, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [lens.name for lens in self.lenses]
        if len(set(names)) != len(names):
            message = f"two lenses of rig {self.rig_id} share a name: {names}"
            raise ValueError(message)
        return self
