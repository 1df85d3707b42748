"""Where lenses look, said by a person: for calibrations that do not know it."""

from typing import Any

import numpy as np

from console.rigs.importers._draft import Pose, turned
from console.rigs.importers._text import numbers
from panoveil.contracts.errors import Misconfigured

_KNOWN = {"yaw", "pitch", "roll", "position"}


def poses(document: Any) -> dict[str, Pose]:
    """Read a layout: lens name to `yaw` (right), `pitch` (up), `roll` (clockwise), degrees, and `position` [x, y, z], metres, rig frame."""
    if not isinstance(document, dict) or not document or not all(isinstance(value, dict) for value in document.values()):
        raise Misconfigured("a layout maps lens names to yaw, pitch, roll and position")
    return {str(name): _pose(str(name), value) for name, value in document.items()}


def poses_of_yaws(text: str) -> dict[str, Pose]:
    """Read `front=0,right=90`: level lenses at one point, degrees to the right."""
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): _pose(name.strip(), {"yaw": yaw}) for name, _, yaw in pairs}


def _pose(name: str, entry: dict[str, Any]) -> Pose:
    where = f"layout of {name}"
    if unknown := entry.keys() - _KNOWN:
        raise Misconfigured(f"{where}: {', '.join(sorted(unknown))} is not known (these are: {', '.join(sorted(_KNOWN))})")
    yaw, pitch, roll = (float(numbers(where, key, entry.get(key, 0), (1,))[0]) for key in ("yaw", "pitch", "roll"))
    position = numbers(where, "position", entry.get("position", np.zeros(3)), (3,))
    return Pose(turned(yaw, pitch, roll), position)
