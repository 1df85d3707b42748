"""The flags about poses; what they leave unsaid, the settings say."""

import argparse
from pathlib import Path

from pydantic import ValidationError

from panoveil.contracts.errors import Misconfigured
from services.agent.poses import PoseFormat, PoseOptions

_LEVER_ARM = ("FORWARD", "RIGHT", "DOWN")


def add_pose_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser a group of its own for poses; each flag is None where it is not given."""
    group = parser.add_argument_group("poses", "where captures without a pose get it from; see docs/poses.md")
    add = group.add_argument
    add("--poses", action="append", type=Path, dest="files", metavar="FILE", help="CSV, NMEA, GPX or SBET; again for more files")
    add("--pose-format", choices=[*PoseFormat], type=PoseFormat, dest="format", help="where the file's name does not tell")
    add("--time-offset", type=float, metavar="S", help="seconds added to a capture's time to get the file's clock (0)")
    add("--lever-arm", nargs=3, type=float, metavar=_LEVER_ARM, help="metres from the file's point to the rig's centre (0 0 0)")
    add("--gps-week", type=int, metavar="N", help="of an SBET's first record (default: the nearest to each capture)")
    add("--leap-seconds", type=int, metavar="N", help="by which GPS time is ahead of UTC (18)")
    add("--longest-gap", type=float, metavar="S", help="between two fixes, to be interpolated over (2)")
    add("--least-speed", type=float, metavar="M/S", help="above which the course counts as heading where there is none (1.5)")
    add("--geoid-height", type=float, metavar="M", help="of the geoid above the ellipsoid, for heights above sea level")
    add("--replace-poses", action="store_const", const=True, dest="replace", help="also of captures that have a pose")


def pose_options(flags: argparse.Namespace, settings: PoseOptions) -> PoseOptions:
    """Return the settings, overruled by the flags that were given; `Misconfigured` names a flag that is wrong."""
    given = {name: value for name in PoseOptions.model_fields if (value := getattr(flags, name)) is not None}
    try:
        return PoseOptions.model_validate(settings.model_dump() | given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Misconfigured(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from error
