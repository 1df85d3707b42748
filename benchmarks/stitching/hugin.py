"""Hugin's nona and enblend on the same frames and the same calibration.

A rig becomes a .pto: Hugin's fisheye has r = F theta (d + c p + b p^2 + a p^3), p being F theta over half the smaller side and
d = 1 - a - b - c. These four are fitted to the rig's Kannala-Brandt lens; how far off they are, pano_trafo says (`deviation`). Vignetting is
Hugin's own polynomial, and the rig's gains go into exposure and white balance. Hugin takes pixels to be bent by a
film-like response; `_LINEAR` are the coefficients that straighten it to half a grey level, so that gains divide as they should.

Neither tool knows where lenses are, only where they look. nona interpolates by its default, bicubically, and writes
uncompressed TIFFs; enblend has its defaults and is told that the panorama wraps. Exposure is not optimised capture by capture
(vig_optimize): that would cost more CPU still.
"""

import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stitching.scenes import Scene
from panoveil.contracts.rig import KannalaBrandt, Lens, Rig
from panoveil.pixels import equirect, lenses

Image = NDArray[np.uint8]

INSTALL = "apt-get install hugin-tools enblend"

_LINEAR = (6.49640896, -0.43064681, 0.26480986, 0.0580176, -0.02635303)
_GRID = 15
_SAMPLES = 400


@dataclass(frozen=True, slots=True)
class Cost:
    """What both programs took for a panorama: seconds, and the larger one's peak of resident memory, MB."""

    nona_cpu_s: float
    enblend_cpu_s: float
    wall_s: float
    peak_mb: float

    @property
    def cpu_s(self) -> float:
        """Both together."""
        return self.nona_cpu_s + self.enblend_cpu_s


@dataclass(frozen=True, slots=True)
class Bent:
    """Hugin's fisheye: focal length in pixels a radian, and its polynomial."""

    focal: float
    a: float
    b: float
    c: float


def missing() -> list[str]:
    """Return which of the programs are not installed."""
    return [name for name in ("nona", "enblend", "pano_trafo") if shutil.which(name) is None]


def run(scene: Scene, width: int, folder: Path) -> tuple[Image, Cost]:
    """Stitch the scene to a panorama of `width` in an empty folder."""
    for name, data in scene.frames.items():
        (folder / f"{name}.jpg").write_bytes(data)
    (folder / "rig.pto").write_text(project(scene.rig, width))
    start = time.perf_counter()
    nona = _cpu_s(["nona", "-o", "part", "rig.pto"], folder)
    parts = sorted(path.name for path in folder.glob("part*.tif"))
    size = f"{width}x{width // 2}+0+0"
    enblend = _cpu_s(["enblend", "--wrap=horizontal", "--compression=none", "-f", size, "-o", "whole.tif", *parts], folder)
    wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return _read(folder / "whole.tif", width), Cost(nona, enblend, wall, peak)


def _cpu_s(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-400:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _read(path: Path, width: int) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape[:2] != (width // 2, width):
        raise RuntimeError(f"enblend gave {None if image is None else image.shape}, not {width} x {width // 2}")
    return np.ascontiguousarray(image[..., 2::-1]).astype(np.uint8, copy=False)


def project(rig: Rig, width: int) -> str:
    """Return the rig as a .pto whose output is a panorama of `width`."""
    head = f'p f2 w{width} h{width // 2} v360 E0 R0 n"TIFF_m c:NONE r:CROP"\nm g1 i0 m2 p0.00784314\n'
    return head + "".join(f'{image_line(lens)} n"{lens.name}.jpg"\n' for lens in rig.lenses)


def image_line(lens: Lens) -> str:
    """Return a lens as an i-line, without the name of its file."""
    bent, model = fitted(lens), lens.intrinsics
    yaw, pitch, roll = angles(lens)
    aside, below = model.cx - (lens.width - 1) / 2, model.cy - (lens.height - 1) / 2
    red, green, blue = lens.photometry.gain
    first, second, third = lens.photometry.vignetting
    response = " ".join(f"R{name}{value}" for name, value in zip("abcde", _LINEAR, strict=True))
    return (
        f"i w{lens.width} h{lens.height} f3 v{np.degrees(lens.width / bent.focal):.10f} {response}"
        f" Eev{-np.log2(green):.8f} Er{red / green:.8f} Eb{blue / green:.8f} r{roll:.8f} p{pitch:.8f} y{yaw:.8f}"
        f" a{bent.a:.12f} b{bent.b:.12f} c{bent.c:.12f} d{aside:.6f} e{below:.6f} g0 t0"
        f" Va1 Vb{first} Vc{second} Vd{third} Vx{aside:.6f} Vy{below:.6f} Vm5"
    )


def fitted(lens: Lens) -> Bent:
    """Return Hugin's fisheye nearest to the lens, over its image to the corners; `ValueError` for what is no such fisheye."""
    model = lens.intrinsics
    if not isinstance(model, KannalaBrandt) or model.fx != model.fy:
        raise ValueError(f"lens {lens.name} is no Kannala-Brandt fisheye of square pixels: it was not worth a .pto of its own")
    far = np.hypot(max(model.cx, lens.width - 1 - model.cx), max(model.cy, lens.height - 1 - model.cy)) / model.fx
    theta = np.linspace(0.01, min(1.03 * far, lenses.edge(model)), _SAMPLES)
    square = theta * theta
    bend = 1 + square * (model.k1 + square * (model.k2 + square * (model.k3 + square * model.k4)))
    powers = np.stack([theta**power for power in range(4)], axis=1)
    terms, *_ = np.linalg.lstsq(powers * theta[:, None], model.fx * bend * theta, rcond=None)
    half = min(lens.width, lens.height) / 2
    scaled = terms * half ** np.arange(4)
    roots = np.roots([1.0, *-scaled])
    focal = float(max(root.real for root in roots if abs(root.imag) < 1e-6))
    a, b, c = (float(scaled[power] / focal ** (power + 1)) for power in (3, 2, 1))
    return Bent(focal, a, b, c)


def angles(lens: Lens) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees as Hugin turns them."""
    rotation = np.asarray(lens.rotation)
    yaw, pitch = np.arctan2(rotation[0, 2], rotation[2, 2]), np.arcsin(np.clip(-rotation[1, 2], -1, 1))
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def deviation(rig: Rig, width: int, folder: Path) -> float:
    """Return the largest distance in lens pixels between where our lens models and Hugin's see the same direction."""
    (folder / "check.pto").write_text(project(rig, width))
    return max(_deviation(index, lens, width, folder) for index, lens in enumerate(rig.lenses))


def _deviation(index: int, lens: Lens, width: int, folder: Path) -> float:
    grid = np.meshgrid(np.linspace(0, lens.width - 1, _GRID), np.linspace(0, lens.height - 1, _GRID))
    pixels = np.stack(grid, axis=-1).reshape(-1, 2)
    rays = lenses.unproject(lens.intrinsics, pixels).astype(np.float64) @ np.asarray(lens.rotation).T
    asked = "".join(f"{u:.6f} {v:.6f}\n" for u, v in equirect.to_pixels(rays, width).tolist())
    command = ["pano_trafo", "-r", "check.pto", str(index)]
    told = subprocess.run(command, cwd=folder, input=asked, check=True, capture_output=True, text=True).stdout
    answers = np.array([line.split() for line in told.splitlines() if line.strip()], np.float64)
    return float(np.linalg.norm(answers - pixels, axis=-1).max())
