"""Hugin's project files (.pto): its `i` lines. The panorama's middle is ahead.

An image's ideal radius (r_ideal pixels at an angle off axis, by projection `f` and horizontal field of view `v`) becomes the real one by
r = r_ideal (a q^3 + b q^2 + c q + 1 - a - b - c), q being r_ideal divided by half the shorter side; `d` and `e` shift the centre
right and down from the image's middle. https://hugin.sourceforge.io/docs/manual/Lens_correction_model.html
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from console.rigs.importers import _fit, _models
from console.rigs.importers._draft import Axes, Camera, Draft, Floats, Format, Pose, Wish, turned
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Photometry

_KEYS = "Tr[XYZ]|Tpy|Tpp|Te[0-3]|Eev|E[rb]|R[a-e]|V[abcdxymf]|[whfvrpyjabcdegtXYZ]"
_TOKEN = re.compile(rf"({_KEYS})(=?)([^\s,]+)")
_CROP = re.compile(r"[SC](-?\d+),(-?\d+),(-?\d+),(-?\d+)")
_FILE = re.compile(r'\bn"([^"]*)"')
_IMAGE = re.compile(r"^i\s.*\bw\d+.*\bh\d+", re.MULTILINE)
_THOBY = 1.47, 0.713

_RADIUS: dict[int, Callable[[Floats], Floats]] = {
    0: np.tan,
    2: lambda theta: theta,
    3: lambda theta: theta,
    8: np.sin,
    10: lambda theta: 2 * np.tan(theta / 2),
    20: lambda theta: _THOBY[0] * np.sin(_THOBY[1] * theta),
    21: lambda theta: 2 * np.sin(theta / 2),
}
"""Radius over focal length at an angle off axis, in radians, by Hugin's number of the projection."""

_REACH = {0: math.radians(88), 8: math.radians(89), 20: math.pi / 2 / _THOBY[1]}
_SUPPORTED = "0 rectilinear, 2 and 3 fisheye, 8 orthographic, 10 stereographic, 20 thoby, 21 equisolid"
_CIRCULAR = 2
_EXACT = {2, 3}
_OFF_CENTRE = 0.01
_WIDEST = 170.0


@dataclass(frozen=True, slots=True)
class _Image:
    """An `i` line, its back references resolved."""

    name: str
    values: dict[str, float]
    crop: tuple[int, int, int, int] | None
    file: str

    def of(self, *keys: str) -> list[float]:
        return [self.values.get(key, 0.0) for key in keys]

    @property
    def size(self) -> tuple[int, int]:
        return int(self.values["w"]), int(self.values["h"])


def recognised(text: str) -> bool:
    """Say whether a text has Hugin's image lines."""
    return _IMAGE.search(text) is not None


def draft(text: str, wish: Wish) -> Draft:
    """Read the images of a project that are not switched off; Hugin knows directions only, so all stand at one point."""
    images = _images(text)
    brightest = np.mean([image.values.get("Eev", 0.0) for image in images])
    cameras = tuple(_camera(image, float(brightest), wish) for image in images)
    return Draft(Format.HUGIN, cameras, Axes.RIG, notices=tuple(_notices(images)))


def _notices(images: list[_Image]) -> list[str]:
    notices = ["Hugin knows no lens positions: all lenses stand at the rig's origin (--layout gives them places)"]
    if any(any(image.of("Vb", "Vc", "Vd")) for image in images):
        notices.append("Hugin's vignetting holds in linear light, before its response curve (Ra to Re), which is not read")
    if any(image.crop and image.values["f"] != _CIRCULAR for image in images):
        notices.append("crops of images that are no circular fisheyes were not read")
    files = Counter(image.file for image in images)
    if shared := [image.name for image in images if files[image.file] > 1]:
        notices.append(f"{', '.join(shared)} lie on one picture: each lens needs a copy of it under its own name")
    if any(_vignette_is_elsewhere(image) for image in images):
        notices.append("a vignetting centre (Vx, Vy) lies off the optical centre (d, e): ours is taken around the optical centre")
    return notices


def _vignette_is_elsewhere(image: _Image) -> bool:
    x, y, d, e, *falls = image.of("Vx", "Vy", "d", "e", "Vb", "Vc", "Vd")
    return any(falls) and math.hypot(x - d, y - e) > _OFF_CENTRE * math.hypot(*image.size) / 2


def _images(text: str) -> list[_Image]:
    lines = [
        (line, before) for before, line in zip(["", *text.splitlines()], text.splitlines(), strict=False) if line.startswith("i ")
    ]
    raw = [dict(_tokens(number, line)) for number, (line, _) in enumerate(lines)]
    files = [match[1] if (match := _FILE.search(line)) else f"image{number}" for number, (line, _) in enumerate(lines)]
    images = [
        _Image(name, {key: _resolved(number, key, raw) for key in raw[number]}, _crop(line), file)
        for number, (name, file, (line, before)) in enumerate(zip(_names(files), files, lines, strict=True))
        if not (before.startswith("#-hugin") and before.rstrip().endswith("disabled"))
    ]
    if not images:
        raise Misconfigured("the project has no images that are switched on")
    return images


def _tokens(number: int, line: str) -> list[tuple[str, tuple[bool, float]]]:
    found = [_TOKEN.fullmatch(part) for part in _FILE.sub("", line).split()[1:]]
    try:
        return [(match[1], (bool(match[2]), float(match[3]))) for match in found if match]
    except ValueError as error:
        raise Misconfigured(f"image {number}: a value is no number ({error})") from error


def _resolved(number: int, key: str, raw: list[dict[str, tuple[bool, float]]]) -> float:
    """Follow `=N` to the image that has the value itself."""
    at = number
    for _ in raw:
        refers, value = raw[at].get(key, (False, 0.0))
        if not refers:
            break
        at = int(value)
        if not 0 <= at < len(raw):
            raise Misconfigured(f"image {number}: {key}={at} refers to no image")
    else:
        raise Misconfigured(f"image {number}: {key} refers to itself")
    if not math.isfinite(value):
        raise Misconfigured(f"image {number}: {key} is not a finite number")
    return value


def _names(files: list[str]) -> list[str]:
    """Return the stem of every image's file, with the image's number where two share one."""
    stems = [PurePosixPath(file.replace("\\", "/")).stem for file in files]
    shared = Counter(stems)
    return [stem if shared[stem] == 1 else f"{stem}-{number}" for number, stem in enumerate(stems)]


def _crop(line: str) -> tuple[int, int, int, int] | None:
    match = next(filter(None, map(_CROP.fullmatch, _FILE.sub("", line).split())), None)
    return (int(match[1]), int(match[2]), int(match[3]), int(match[4])) if match else None


def _camera(image: _Image, exposure: float, wish: Wish) -> Camera:
    where = f"image {image.name}"
    if any(image.of("TrX", "TrY", "TrZ", "Tpy", "Tpp")):
        raise Misconfigured(f"{where}: TrX to Tpp move it on a mosaic's plane, in no unit that a rig could use: set them to 0")
    if any(image.of("g", "t")):
        raise Misconfigured(f"{where}: shear (g, t) is in neither of our lens models")
    yaw, pitch, roll = image.of("y", "p", "r")
    lens = _intrinsics(where, image, wish)
    return Camera(image.name, image.size, lens, Pose(turned(yaw, pitch, roll)), _photometry(where, image, exposure))


def _intrinsics(where: str, image: _Image, wish: Wish) -> BrownConrady | KannalaBrandt:
    if min(image.size) < 1:
        raise Misconfigured(f"{where}: {image.size[0]} x {image.size[1]} is no image size")
    kind, view = int(image.values.get("f", -1)), image.values.get("v", 0.0)
    if kind not in _RADIUS:
        raise Misconfigured(f"{where}: Hugin's projection f{kind} cannot be imported (these can: {_SUPPORTED})")
    if view <= 0 or (kind == 0 and view > _WIDEST):
        raise Misconfigured(f"{where}: a field of view of {view:g} degrees is none")
    matrix = _matrix(image, kind, view)
    source = _models.Source(where, image.size, wish)
    _models.check_matrix(source, matrix)
    circle = _circle(image, matrix)
    if kind in _EXACT | {0} and not any(image.of("a", "b", "c")):
        return _undistorted(source, kind, matrix, circle)
    reach = _REACH[kind] if kind == 0 else min(_REACH.get(kind, math.pi), source.reach)
    return source.fitted(_projection(image, kind, matrix, circle), 1.0, reach)


def _undistorted(source: _models.Source, kind: int, matrix: _models.Camera4, circle: float) -> BrownConrady | KannalaBrandt:
    if kind == 0:
        return _models.pinhole(source, matrix)
    lens = _models.fisheye(source, matrix)
    return lens.model_copy(update={"max_theta": min(lens.max_theta, circle / matrix[0])})


def _matrix(image: _Image, kind: int, view: float) -> _models.Camera4:
    half = float(_RADIUS[kind](np.array(math.radians(view) / 2)))
    focal = image.size[0] / 2 / half if half > 0 else math.nan
    right, down = image.of("d", "e")
    return focal, focal, (image.size[0] - 1) / 2 + right, (image.size[1] - 1) / 2 + down


def _circle(image: _Image, matrix: _models.Camera4) -> float:
    """Return how many pixels around the optical centre a circular fisheye's crop leaves; infinite where there is none."""
    if image.crop is None or image.values["f"] != _CIRCULAR:
        return math.inf
    left, right, top, bottom = image.crop
    off = math.hypot((left + right - 1) / 2 - matrix[2], (top + bottom - 1) / 2 - matrix[3])
    return max(1.0, min(right - left, bottom - top) / 2 - off)


def _projection(image: _Image, kind: int, matrix: _models.Camera4, circle: float) -> _fit.Project:
    a, b, c = image.of("a", "b", "c")
    focal, _, cx, cy = matrix
    norm = min(image.size) / 2

    def project(rays: Floats) -> Floats:
        across = np.hypot(rays[..., 0], rays[..., 1])
        ideal = focal * _RADIUS[kind](np.arctan2(across, rays[..., 2]))
        q = ideal / norm
        real = ideal * (a * q**3 + b * q**2 + c * q + 1 - a - b - c)
        real = np.where(real <= circle, real, np.nan)
        return rays[..., :2] * (real / np.maximum(across, 1e-12))[..., None] + (cx, cy)

    return project


def _photometry(where: str, image: _Image, exposure: float) -> Photometry:
    """Return gain and fall-off; Hugin's radius is in half diagonals too, its exposure in stops and relative to the others'."""
    scale = image.values.get("Va", 1.0)
    falls = np.array(image.of("Vb", "Vc", "Vd"))
    if scale <= 0:
        raise Misconfigured(f"{where}: a vignetting of {scale:g} in the image's middle is none")
    common = scale * 2 ** (exposure - image.values.get("Eev", 0.0))
    red, blue = image.values.get("Er", 1.0), image.values.get("Eb", 1.0)
    first, second, third = (falls / scale).tolist()
    return Photometry(gain=(common * red, common, common * blue), vignetting=(first, second, third))
