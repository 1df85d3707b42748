"""What a person says about a pose file."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode


def _split(separator: str) -> BeforeValidator:
    """Let a text of the environment be a list."""
    return BeforeValidator(lambda value: value.split(separator) if isinstance(value, str) else value)


Files = Annotated[tuple[Path, ...], NoDecode, _split(os.pathsep)]
LeverArm = Annotated[tuple[float, float, float], NoDecode, _split(",")]


class PoseFormat(StrEnum):
    """What a pose file is."""

    CSV = "csv"
    NMEA = "nmea"
    GPX = "gpx"
    SBET = "sbet"


class PoseOptions(BaseModel):
    """`PANOVEIL_POSE__FILES` and so on: where poses come from, and how they relate to the rig and to its clock.

    `lever_arm` leads from what the file gives the position of (antenna, inertial unit) to the rig's centre: metres forward, right, down.
    """

    model_config = ConfigDict(frozen=True)

    files: Files = Field(default=(), description="the first that knows a capture's pose gives it")
    format: PoseFormat | None = Field(default=None, description="of the files; told by their names where unset")
    time_offset: float = Field(default=0.0, description="seconds added to a capture's time to get the file's clock")
    lever_arm: LeverArm = (0.0, 0.0, 0.0)
    gps_week: int | None = Field(
        default=None, ge=0, description="of the first record; the week nearest to each capture where unset"
    )
    leap_seconds: int = Field(default=18, ge=0, le=60, description="by which GPS time is ahead of UTC")
    longest_gap: float = Field(default=2.0, gt=0, description="seconds between two fixes that may be interpolated over")
    least_speed: float = Field(default=1.5, gt=0, description="m/s above which the course over ground counts as heading")
    geoid_height: float | None = Field(
        default=None, description="metres of the geoid above the ellipsoid, for heights above sea level"
    )
    replace: bool = Field(default=False, description="poses of the files also where a capture has one of its own")
