"""What the truth says is where the picture shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses
from simulator.rigs import demo_rig
from simulator.scene import Facets, Quad
from simulator.stage import angular_box, draw_things, mounted, remembered_rays, truths
from simulator.textures import Texture
from simulator.things import Mark, across
from simulator.truth import TrueObject, unrolled
from simulator.views import Station, stand
from simulator.worlds import centred

_MAGENTA = (255, 0, 255)
_WIDTH = 2048


@dataclass(frozen=True, eq=False)
class Board:
    """A magenta board that faces the eye, 1 m wide and 0.5 m high, 1.5 m above the ground."""

    place: NDArray[np.float64]
    eye: NDArray[np.float64]

    def _quad(self) -> Quad:
        right = across(self.place, self.eye)
        texture = Texture.of(np.full((64, 128, 3), _MAGENTA, np.uint8))
        return Quad(self.place - right / 2 - np.array([0, 1.5, 0]), right, np.array([0, 0.5, 0]), texture)

    def parts(self, eye: NDArray[np.float64]) -> Sequence[Quad | Facets]:
        return [self._quad()]

    def marks(self, eye: NDArray[np.float64]) -> Sequence[Mark]:
        share = np.linspace(0, 1, 9)
        points = self._quad().points(share[None, :], share[:, None]).reshape(-1, 3)
        return [Mark("plate", points, points)]

    def hides(self, eye: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(np.linalg.norm(points - eye, axis=-1) > np.linalg.norm(self.place - eye) + 1)


def _board(station: Station, yaw: float, distance: float) -> Board:
    angle = np.radians(yaw) + station.yaw
    eye = station.place * (1, 0, 1)
    return Board(eye + distance * np.array([np.sin(angle), 0, np.cos(angle)]), eye)


def _rays_of_magenta(rig: Rig, lens: Lens, board: Board, station: Station) -> NDArray[np.float32]:
    rays = remembered_rays(lens)
    frame = np.zeros((lens.height, lens.width, 3), np.uint8)
    draw_things(frame, stand(lens, rays, station), [board], station)
    hit = (frame[..., 0] > 127) & (frame[..., 1] < 64)
    rows, columns = np.nonzero(hit)
    pixels = np.stack([columns, rows], axis=-1).astype(float)
    return lenses.unproject(lens.intrinsics, pixels) @ np.array(lens.rotation, np.float32).T


@pytest.mark.parametrize("yaw", [-180.0, -108.0, -75.0, 0.0, 36.0, 100.0, 179.5])
def test_the_true_box_is_what_the_lenses_show(yaw: float) -> None:
    rig = centred(demo_rig(_WIDTH))
    station = mounted(rig, Station(1.0, 0.0, 5.0, 0.02))
    board = _board(station, yaw, 6.0)
    (item,) = truths([board], rig, station, _WIDTH)
    west, south, east, north = unrolled(item)
    rays = np.concatenate([_rays_of_magenta(rig, lens, board, station) for lens in rig.lenses])
    seen_yaw, seen_pitch = (np.degrees(angle) for angle in equirect.to_angles(rays))
    middle = (west + east) / 2
    apart = (seen_yaw - middle + 180) % 360 - 180
    pixel = 360 / _WIDTH
    assert [apart.min() + middle, apart.max() + middle] == pytest.approx([west, east], abs=1.2 * pixel)
    assert [seen_pitch.min(), seen_pitch.max()] == pytest.approx([south, north], abs=1.2 * pixel)
    assert middle == pytest.approx(yaw, abs=0.1) or middle == pytest.approx(yaw + 360, abs=0.1)


def test_lenses_off_the_centre_see_parallax() -> None:
    rig = demo_rig(_WIDTH)
    station = mounted(rig, Station(0.0, 0.0, 0.0))
    board = _board(station, 36.0, 3.0)
    means = [np.degrees(equirect.to_angles(_rays_of_magenta(rig, lens, board, station))[0]).mean() for lens in rig.lenses[:2]]
    assert means[0] - means[1] == pytest.approx(np.degrees(2 * 0.06 * np.sin(np.radians(36)) / 3.0), rel=0.1)


def test_a_box_behind_the_car_wraps() -> None:
    station = mounted(demo_rig(512), Station(0.0, 0.0, 0.0))
    west, _, east, _ = angular_box(_board(station, 180.0, 5.0).marks(station.place)[0].outline, station)
    assert (west, east) == pytest.approx((180 - np.degrees(np.arctan(0.1)), -180 + np.degrees(np.arctan(0.1))), abs=0.01)


def test_what_stands_behind_something_else_is_not_in_the_truth() -> None:
    rig = demo_rig(_WIDTH)
    station = mounted(rig, Station(0.0, 0.0, 0.0))
    near, far = _board(station, 0.0, 4.0), _board(station, 0.0, 9.0)
    assert [item.height_px for item in truths([near, far], rig, station, _WIDTH)] == [
        item.height_px for item in truths([near], rig, station, _WIDTH)
    ]


def test_what_is_small_or_below_the_lenses_is_not_in_the_truth() -> None:
    rig = demo_rig(_WIDTH)
    station = mounted(rig, Station(0.0, 0.0, 0.0))
    none: tuple[TrueObject, ...] = ()
    assert truths([_board(station, 0.0, 60.0)], rig, station, _WIDTH) == none
    assert truths([_board(station, 0.0, 0.45)], rig, station, _WIDTH) == none
