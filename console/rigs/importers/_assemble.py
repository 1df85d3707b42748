"""A draft and a person's wishes to a rig: names, poses, axes, origin, height, checks."""

import hashlib
import re
from dataclasses import dataclass, replace

import numpy as np
from pydantic import ValidationError

from console.rigs import show
from console.rigs.importers import _fit
from console.rigs.importers._draft import Axes, Camera, Draft, Floats, Matrix, PictureSize, Pose, Wish, turned
from console.rigs.importers._text import first
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import Lens, Rig

_EGO_TO_RIG = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Ego (x forward, y left, z up) to rig (x right, y down, z forward)."""

_ORTHONORMAL_WITHIN = 1e-3
_LONGEST_NAME = 32
_HEIGHT = 2.5
_LOWEST = 0.3
_FARTHEST = 20.0


@dataclass(frozen=True, slots=True)
class Imported:
    """A rig, and what was assumed about it: a sentence each."""

    rig: Rig
    notices: tuple[str, ...] = ()


def assembled(draft: Draft, wish: Wish) -> Imported:
    """Return the rig in our frame, its origin amid the lenses, or raise `Misconfigured`."""
    cameras = _named(draft.cameras, wish.names)
    poses, placed = _poses(replace(draft, cameras=cameras), wish)
    centre = np.mean([pose.position for pose in poses], axis=0)
    height, assumed = _height(draft, wish, centre, placed=placed)
    lenses = tuple(_lens(camera, pose, centre) for camera, pose in zip(cameras, poses, strict=True))
    digest = hashlib.sha256(repr([lens.model_dump() for lens in lenses]).encode()).hexdigest()[:8]
    try:
        rig = Rig(rig_id=wish.rig_id or f"{draft.format}-{digest}", height_above_ground=height, lenses=lenses)
    except ValidationError as error:
        raise Misconfigured(f"the calibration makes no rig: {first(error)}") from error
    return Imported(checked(rig), (*draft.notices, *assumed, *_loose(wish)))


def _height(draft: Draft, wish: Wish, centre: Matrix, *, placed: bool) -> tuple[float, tuple[str, ...]]:
    """Return the origin's height over the road in metres, and what had to be assumed for it."""
    over = float(-centre[1])
    if wish.height is not None:
        return wish.height, ()
    if draft.grounded and not placed:
        return over, ()
    if wish.axes is Axes.EGO and not placed and over > _LOWEST:
        return over, (f"the frame's origin was taken to lie on the road: the lenses' middle is {over:.2f} m above it (--height)",)
    return _HEIGHT, (f"the file knows no road: {_HEIGHT} m were taken as height (--height)",)


def _loose(wish: Wish) -> tuple[str, ...]:
    return (
        (f"lenses whose model is not one of ours may be off by {wish.within:g} px (--within)",)
        if wish.within > _fit.WITHIN
        else ()
    )


def checked(rig: Rig) -> Rig:
    """Return the rig, or raise `Misconfigured` where a lens's rotation is none or the lens sees nothing."""
    for lens in rig.lenses:
        check_rotation(lens.name, np.asarray(lens.rotation))
    for lens, seen in zip(rig.lenses, show.seen_by(rig), strict=True):
        if not seen.any():
            raise Misconfigured(
                f"lens {lens.name} sees nothing: its intrinsics do not belong to a {lens.width} x {lens.height} image"
            )
    return rig


def check_rotation(name: str, rotation: Floats) -> None:
    """Say so where a lens's rotation is singular, mirrored or no rotation at all."""
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=_ORTHONORMAL_WITHIN) or np.linalg.det(rotation) < 0:
        raise Misconfigured(f"lens {name}: its rotation is no rotation matrix (orthonormal, determinant +1)")


def check_sizes(rig: Rig, picture_size: PictureSize) -> None:
    """Say so where a lens's picture is not of its size."""
    for lens in rig.lenses:
        size = picture_size(lens.name)
        if size is None:
            raise Misconfigured(f"lens {lens.name} has no picture {lens.name}.jpg or .png in the folder of images")
        if size != (lens.width, lens.height):
            width, height = size
            raise Misconfigured(
                f"lens {lens.name} is calibrated for {lens.width} x {lens.height} pixels, its picture has {width} x {height}"
            )


def _named(cameras: tuple[Camera, ...], names: tuple[str, ...]) -> tuple[Camera, ...]:
    if names and len(names) != len(cameras):
        raise Misconfigured(f"--names gives {len(names)} names, the file has {len(cameras)} lenses")
    wanted = names or tuple(_allowed(camera.name) for camera in cameras)
    return tuple(replace(camera, name=name) for camera, name in zip(cameras, wanted, strict=True))


def _allowed(name: str) -> str:
    """Return a name that a lens and its files may have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[-_LONGEST_NAME:].lstrip("-_") or "lens"


def _poses(draft: Draft, wish: Wish) -> tuple[list[Pose], bool]:
    """Return every lens's pose in the rig's axes, still from the file's origin, and whether these are the person's own."""
    names = {camera.name for camera in draft.cameras}
    if wish.poses:
        if wish.poses.keys() != names:
            raise Misconfigured(f"the layout places {', '.join(sorted(wish.poses))}, the lenses are {', '.join(sorted(names))}")
        return [wish.poses[camera.name] for camera in draft.cameras], True
    found = [camera.pose for camera in draft.cameras if camera.pose is not None]
    if len(found) < len(draft.cameras):
        example = ",".join(f"{camera.name}=DEGREES" for camera in draft.cameras)
        raise Misconfigured(
            f"the calibration does not say where its lenses look: give --yaws {example} (to the right) or --layout FILE"
        )
    axes = wish.axes or draft.axes
    if axes is None:
        raise Misconfigured(
            "the axes of the poses' frame are not known: say --axes ego (x ahead, y left, z up) or rig (right, down, ahead)"
        )
    turn = turned(*wish.turn) @ (_EGO_TO_RIG if axes is Axes.EGO else np.eye(3))
    return [Pose(turn @ pose.rotation, turn @ pose.position) for pose in found], False


def _lens(camera: Camera, pose: Pose, centre: Matrix) -> Lens:
    check_rotation(camera.name, pose.rotation)
    offset = pose.position - centre
    if np.linalg.norm(offset) > _FARTHEST:
        raise Misconfigured(
            f"lens {camera.name} is {np.linalg.norm(offset):.0f} m from the others' middle: are lengths in metres?"
        )
    try:
        return Lens(
            name=camera.name,
            width=camera.size[0],
            height=camera.size[1],
            intrinsics=camera.intrinsics,
            rotation=pose.rotation.tolist(),
            position=offset.tolist(),
            photometry=camera.photometry,
        )
    except ValidationError as error:
        raise Misconfigured(f"camera {camera.name}: {first(error)}") from error
