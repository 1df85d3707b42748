"""A rig: its lenses, where they look, and how they render light. Versioned by `rig_id`.

Frames. Rig frame: x right, y down, z forward (the car's heading), origin at the rig's reference point, metres.
Lens frame: x right, y down, z along the optical axis. `rotation` is the 3x3 matrix R (row-major) with
`ray_rig = R @ ray_lens`; `position` is the lens centre in the rig frame. Pixels: (0, 0) is the centre of the top left pixel.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Vec3 = tuple[float, float, float]
Matrix3 = tuple[Vec3, Vec3, Vec3]


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
    """Gain per channel (RGB) and radial fall-off: sensed = true * gain * (1 + v1 r^2 + v2 r^4 + v3 r^6).

    r is the distance from the principal point divided by half the image diagonal.
    """

    gain: Vec3 = (1.0, 1.0, 1.0)
    vignetting: Vec3 = (0.0, 0.0, 0.0)


class Lens(_Frozen):
    """One camera of the rig. Its frames are named `<name>.jpg`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
    width: int = Field(gt=0, le=20_000)
    height: int = Field(gt=0, le=20_000)
    intrinsics: Intrinsics
    rotation: Matrix3
    position: Vec3 = (0.0, 0.0, 0.0)
    photometry: Photometry = Photometry()


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
