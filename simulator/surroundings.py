"""What stands and lies round the road, drawn as large textures: the ground, the rows of houses, the sky, trees and lamp posts.

Images are uint8, RGB or straight-alpha RGBA; `scale` is texels per metre.
"""

# ruff: noqa: PLR2004 - the numbers of a drawing are its measures

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

ROAD_HALF_WIDTH = 4.6
STREET_HALF_WIDTH = 7.6
CROSSING, CROSSINGS_APART = 31.0, 44.0
"""Metres from the street's beginning to its first zebra crossing, and from one to the next."""

HOUSE_ROOM = 17.0
"""Metres of height that the rows of houses may take."""

_FONT = cv2.FontFace("sans")
_WALLS: tuple[Colour, ...] = (
    (196, 168, 128), (168, 92, 70), (214, 206, 190), (150, 76, 58), (206, 184, 120), (188, 128, 104), (222, 216, 208),
    (142, 150, 148), (176, 104, 82), (204, 176, 160),
)  # fmt: skip
_SHOPS = (
    "BAGERI",
    "Blomster",
    "CAFE NORD",
    "Apotek",
    "BOGHANDEL",
    "Frisør",
    "CYKLER",
    "Købmand",
    "OPTIK 20",
    "Vinbar",
    "TANDLÆGE",
    "Antik",
)


def noise(rng: np.random.Generator, rows: int, columns: int, coarsest: int, finest: int = 1) -> Floats:
    """Return fractal noise float32 [rows, columns] about 0, its waves from `coarsest` to `finest` pixels long."""
    if finest > 1:
        half = noise(rng, rows // 2 + 1, columns // 2 + 1, max(1, coarsest // 2), finest // 2)
        return cv2.resize(half, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    total = np.zeros((rows, columns), np.float32)
    wave, weight = coarsest, 1.0
    while wave >= finest:
        small = rng.standard_normal((rows // wave + 3, columns // wave + 3)).astype(np.float32)
        total += weight * cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC if wave > 1 else cv2.INTER_NEAREST)
        wave, weight = wave // 2, weight * 0.62
    return total * np.float32(0.5)


def ground(rng: np.random.Generator, length: float, scale: float) -> Image:
    """Return the road, kerbs and pavements from above: rows run along the street, columns from its left to its right."""
    rows, columns = round(length * scale), round(2 * STREET_HALF_WIDTH * scale)
    x = ((np.arange(columns) + 0.5) / scale - STREET_HALF_WIDTH).astype(np.float32)
    along = ((np.arange(rows) + 0.5) / scale).astype(np.float32)
    grain = noise(rng, rows, columns, max(2, round(2.5 * scale)), max(1, round(scale / 12)))
    speckle = rng.standard_normal((rows, columns)).astype(np.float32)
    image = np.empty((rows, columns, 3), np.float32)
    image[:] = (98, 99, 101)
    pavement = np.abs(x) > ROAD_HALF_WIDTH
    image[:, pavement] = (158, 154, 148)
    image += (7 * grain + 5 * speckle)[..., None]
    _tiles(image, x, along, pavement, rng)
    _kerbs(image, x)
    _wheel_tracks(image, x)
    _repairs(image, rng, scale)
    _marks(image, x, along, grain)
    return np.clip(image, 0, 255).astype(np.uint8)


def _tiles(image: Floats, x: Floats, along: Floats, pavement: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Danish pavements: two rows of slabs between cobbles."""
    slabs = pavement & (np.abs(np.abs(x) - 6.2) < 0.82)
    columns = np.flatnonzero(slabs)
    shade = rng.normal(1, 0.04, (len(along) // 8 + 1,)).astype(np.float32)
    index = np.minimum((along / 0.625).astype(int), len(shade) - 1)
    image[:, columns] *= (shade[index] * 1.06)[:, None, None]
    joints_along = (along % 0.625 < 0.02)[:, None]
    joints_across = ((np.abs(x[columns]) - 5.38) % 0.82 < 0.02)[None, :]
    image[:, columns] *= np.where(joints_along | joints_across, 0.72, 1.0)[..., None].astype(np.float32)
    cobbles = np.flatnonzero(pavement & ~slabs)
    grid = ((along % 0.11 < 0.018)[:, None]) | (((x[cobbles] % 0.11) < 0.018)[None, :])
    image[:, cobbles] *= np.where(grid, 0.66, 0.9)[..., None].astype(np.float32)


def _kerbs(image: Floats, x: Floats) -> None:
    edge = np.abs(x) - ROAD_HALF_WIDTH
    image[:, (edge > 0) & (edge < 0.14)] = image[:, (edge > 0) & (edge < 0.14)] * 0.3 + 128
    image[:, (edge > -0.05) & (edge <= 0)] *= 0.5
    image[:, (edge > -0.35) & (edge <= -0.05)] *= 0.88


def _wheel_tracks(image: Floats, x: Floats) -> None:
    tracks = sum(np.exp(-(((x - track) / 0.32) ** 2)) for track in (-2.1, -0.75, 0.75, 2.1))
    image *= (1 - 0.09 * np.asarray(tracks, np.float32))[None, :, None]


def _repairs(image: Floats, rng: np.random.Generator, scale: float) -> None:
    """Patches of newer asphalt, cracks, manhole covers."""
    rows, columns = image.shape[:2]
    middle = columns / 2
    for _ in range(rows // round(9 * scale)):
        left, top = middle + rng.uniform(-4, 2) * scale, rng.uniform(0, rows)
        size = rng.uniform(0.7, 2.2, 2) * scale
        part = image[int(top) : int(top + 1.6 * size[1]), int(left) : int(left + size[0])]
        part *= np.float32(rng.uniform(0.74, 0.9))
    for _ in range(rows // round(6 * scale)):
        start = np.array([middle + rng.uniform(-4, 4) * scale, rng.uniform(0, rows)])
        path = start + np.cumsum(rng.normal(0, 0.16 * scale, (12, 2)) + rng.normal(0, 0.1 * scale, 2), axis=0)
        cv2.polylines(image, [path.astype(np.int32)], False, (62, 62, 64), max(1, round(0.012 * scale)), cv2.LINE_AA)  # noqa: FBT003 - OpenCV's
    for _ in range(rows // round(14 * scale)):
        centre = (int(middle + rng.uniform(-3, 3) * scale), int(rng.uniform(0, rows)))
        for radius, colour in ((0.36, 62), (0.31, 82), (0.22, 68), (0.12, 84)):
            cv2.circle(image, centre, max(1, round(radius * scale)), (colour, colour - 3, colour - 6), -1, cv2.LINE_AA)


def _marks(image: Floats, x: Floats, along: Floats, grain: Floats) -> None:
    """A broken middle line, parking bays' edges, and zebra crossings; all worn."""
    dashes = (along % 9 < 3)[:, None] & (np.abs(x) < 0.06)[None, :]
    bays = (along % 5.6 < 0.1)[:, None] & ((np.abs(x) > 2.55) & (np.abs(x) < ROAD_HALF_WIDTH - 0.1))[None, :]
    zebra = (np.abs(along % CROSSINGS_APART - CROSSING) < 1.9)[:, None] & ((x % 1.0 < 0.5) & (np.abs(x) < ROAD_HALF_WIDTH - 0.4))[
        None, :
    ]
    clear = (np.abs(along % CROSSINGS_APART - CROSSING) < 3.2)[:, None]
    painted = np.nonzero(((dashes | bays) & ~clear) | zebra)
    worn = np.clip(0.85 - 0.12 * grain[painted], 0.3, 1)[:, None]
    image[painted] = image[painted] * (1 - worn) + np.float32(226) * worn


@dataclass(frozen=True, slots=True)
class _House:
    left: int
    right: int
    eaves: int
    storeys: int
    wall: Colour
    scale: float
    shop: bool
    mansard: bool


def houses(rng: np.random.Generator, length: float, scale: float) -> Image:
    """Return a row of house fronts, RGBA, `HOUSE_ROOM` metres high; the last row is the pavement."""
    rows, columns = round(HOUSE_ROOM * scale), round(length * scale)
    image = np.zeros((rows, columns, 4), np.float32)
    left = 0.0
    while left < length:
        right = min(left + rng.uniform(7.5, 14), length)
        if length - right < 4:
            right = length
        _house(image, rng, _plan(rng, left, right, rows, scale))
        left = right
    image[..., :3] *= (1 + 0.035 * noise(rng, rows, columns, max(2, round(3 * scale)), max(1, round(scale / 10))))[..., None]
    image[-round(0.5 * scale) :, :, :3] *= np.linspace(1, 0.6, round(0.5 * scale), dtype=np.float32)[:, None, None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _plan(rng: np.random.Generator, left: float, right: float, rows: int, scale: float) -> _House:
    storeys = int(rng.integers(2, 5))
    eaves = rows - round((0.7 + 3.1 * storeys) * scale)
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    return _House(
        round(left * scale),
        round(right * scale),
        eaves,
        storeys,
        wall,
        scale,
        bool(rng.uniform() < 0.5),
        bool(rng.uniform() < 0.6),
    )


def _house(image: Floats, rng: np.random.Generator, house: _House) -> None:
    front = image[house.eaves :, house.left : house.right]
    front[..., :3], front[..., 3] = house.wall, 255
    if house.wall[0] - house.wall[2] > 60:
        _bricks(front, rng, house.scale)
    _roof(image, rng, house)
    plinth = round(0.55 * house.scale)
    front[-plinth:, :, :3] = np.array(house.wall) * 0.45 + 30
    _openings(front, rng, house)
    pipe = max(1, round(0.09 * house.scale))
    front[:, -pipe:, :3] = (86, 90, 92)
    front[:, -2 * pipe : -pipe, :3] *= 0.75


def _bricks(front: Floats, rng: np.random.Generator, scale: float) -> None:
    course, brick = max(2, round(0.075 * scale)), max(3, round(0.24 * scale))
    if course < 4:
        return
    rows, columns = front.shape[:2]
    y, x = np.arange(rows), np.arange(columns)
    row = y // course
    column = (x[None, :] + (row[:, None] % 2) * (brick // 2)) // brick
    shade = rng.normal(1, 0.075, (int(row.max()) + 1, int(column.max()) + 1)).astype(np.float32)
    front[..., :3] *= shade[row[:, None], column][..., None]
    joints = (y % course == 0)[:, None] | ((x[None, :] + (row[:, None] % 2) * (brick // 2)) % brick == 0)
    front[..., :3] += np.where(joints, 26, 0)[..., None].astype(np.float32)


def _roof(image: Floats, rng: np.random.Generator, house: _House) -> None:
    scale = house.scale
    colour = np.array([(150, 74, 52), (72, 74, 80), (120, 62, 48)][int(rng.integers(3))], np.float32)
    height = round((2.3 if house.mansard else 0.5) * scale)
    top = max(0, house.eaves - height)
    roof = image[top : house.eaves, house.left : house.right]
    rows = np.arange(roof.shape[0])
    ribs = 1 - 0.16 * (rows % max(2, round(0.28 * scale)) == 0) - 0.1 * (rows % max(2, round(0.28 * scale)) == 1)
    roof[..., :3] = colour * np.asarray(ribs, np.float32)[:, None, None]
    roof[..., 3] = 255
    if house.mansard:
        _dormers(roof, rng, house)
    for _ in range(int(rng.integers(0, 3))):
        left = int(rng.uniform(house.left, max(house.left + 1, house.right - scale)))
        chimney = image[max(0, top - round(0.9 * scale)) : top, left : left + round(0.6 * scale)]
        chimney[..., :3], chimney[..., 3] = (128, 70, 56), 255
    cornice = image[house.eaves : house.eaves + round(0.28 * scale), house.left : house.right]
    cornice[..., :3] = cornice[..., :3] * 0.35 + 145
    below = image[house.eaves + round(0.28 * scale) : house.eaves + round(0.6 * scale), house.left : house.right, :3]
    below *= np.linspace(0.62, 1, below.shape[0], dtype=np.float32)[:, None, None]


def _dormers(roof: Floats, rng: np.random.Generator, house: _House) -> None:
    scale = house.scale
    for left in np.arange(1.4 * scale, roof.shape[1] - 2.2 * scale, 2.9 * scale):
        _window(roof, rng, (int(left), round(0.55 * scale), round(1.05 * scale), round(1.25 * scale)), scale)


def _openings(front: Floats, rng: np.random.Generator, house: _House) -> None:
    scale, columns = house.scale, front.shape[1]
    count = max(2, int(columns / scale / 2.4))
    pitch = columns / count
    door = int(rng.integers(count))
    for storey in range(house.storeys):
        bottom = front.shape[0] - round((0.7 + 3.1 * storey + 0.75) * scale)
        for index in range(count):
            left = round(index * pitch + pitch / 2 - 0.6 * scale)
            if storey == 0 and index == door:
                _door(front, rng, left, scale)
            elif storey or not house.shop:
                _window(front, rng, (left, bottom - round(1.65 * scale), round(1.2 * scale), round(1.65 * scale)), scale)
    if house.shop:
        _shop(front, rng, (round(door * pitch), round((door + 1) * pitch)), scale)


def _glass(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """A dark room, the sky mirrored, sometimes a curtain."""
    shade = np.linspace(rng.uniform(0.7, 1.5), rng.uniform(0.3, 0.8), rows, dtype=np.float32)[:, None, None]
    glass = np.array([74, 88, 100], np.float32) * shade * np.ones((rows, columns, 1), np.float32)
    glass += np.clip(noise(rng, rows, columns, max(2, columns // 2), 2), -1, 1)[..., None] * 16
    if rng.uniform() < 0.45:
        width = max(1, columns // int(rng.integers(4, 7)))
        glass[:, :width] = glass[:, -width:] = rng.uniform(150, 205)
    return np.asarray(glass, np.float32)


def _window(wall: Floats, rng: np.random.Generator, box: tuple[int, int, int, int], scale: float) -> None:
    left, top, width, height = box
    if top < 0 or left < 0 or top + height > wall.shape[0] or left + width > wall.shape[1]:
        return
    frame, bar = max(1, round(0.07 * scale)), max(1, round(0.045 * scale))
    edge = round(0.1 * scale)
    around = wall[max(0, top - 2 * edge) : top + height + edge, max(0, left - edge) : left + width + edge, :3]
    around[:] = around * 0.6 + 70
    wall[top : top + height, left : left + width, :3] = (226, 226, 222)
    inner = wall[top + frame : top + height - frame, left + frame : left + width - frame, :3]
    inner[:] = _glass(rng, *inner.shape[:2])
    inner[: max(1, edge // 2)] *= 0.5
    inner[:, : max(1, edge // 2)] *= 0.6
    middle, third = inner.shape[1] // 2, inner.shape[0] // 3
    inner[:, middle - bar // 2 : middle + bar - bar // 2] = (222, 222, 218)
    inner[third : third + bar] = (222, 222, 218)
    sill = wall[top + height : top + height + max(1, round(0.09 * scale)), max(0, left - edge) : left + width + edge, :3]
    sill[:] = (176, 172, 166)
    wall[top + height + sill.shape[0] : top + height + sill.shape[0] + edge, left : left + width, :3] *= 0.8


def _door(front: Floats, rng: np.random.Generator, left: int, scale: float) -> None:
    colour = np.array([(46, 78, 62), (92, 44, 36), (38, 52, 84), (70, 60, 52), (120, 92, 60)][int(rng.integers(5))], np.float32)
    top, width = front.shape[0] - round(2.6 * scale), round(1.2 * scale)
    door = front[top:, left : left + width, :3]
    if min(door.shape[:2]) < 4:
        return
    door[:] = (200, 196, 188)
    edge = round(0.1 * scale)
    leaf = door[edge:, edge:-edge] if edge else door
    leaf[:] = colour
    light = leaf[: round(0.45 * scale)]
    light[:] = _glass(rng, *light.shape[:2])
    for row in (0.6, 1.5):
        for column in (0.12, 0.55):
            panel = leaf[round(row * scale) : round((row + 0.7) * scale), round(column * scale) : round((column + 0.33) * scale)]
            panel *= 0.8
    front[-round(0.16 * scale) :, left - edge : left + width + edge, :3] = (150, 148, 144)


def _shop(front: Floats, rng: np.random.Generator, door: tuple[int, int], scale: float) -> None:
    """Display windows on either side of the door, and a sign above them."""
    top, bottom = front.shape[0] - round(2.75 * scale), front.shape[0] - round(0.6 * scale)
    for left, right in ((round(0.5 * scale), door[0]), (door[1], front.shape[1] - round(0.6 * scale))):
        if right - left > 1.5 * scale:
            _window(front, rng, (left, top, right - left, bottom - top), scale)
    colour = np.array([(34, 60, 52), (120, 28, 34), (28, 40, 76), (40, 38, 36), (190, 160, 80)][int(rng.integers(5))], np.float32)
    sign = front[round(-3.5 * scale) : round(-2.9 * scale), round(0.5 * scale) : -round(0.6 * scale), :3]
    if sign.shape[0] < 6 or sign.shape[1] < 4 * scale:
        return
    sign[:] = colour
    _letter(sign, str(rng.choice(_SHOPS)), (240, 232, 210))


def _letter(sign: Floats, text: str, colour: Colour) -> None:
    size = round(sign.shape[0] * 0.72)
    box = cv2.getTextSize((20000, 2000), text, (0, 0), _FONT, size, 600)
    canvas = np.ascontiguousarray(np.clip(sign, 0, 255).astype(np.uint8))
    place = ((canvas.shape[1] - box[2]) // 2, (canvas.shape[0] - box[3]) // 2 - box[1])
    cv2.putText(canvas, text, place, colour, _FONT, size, 600)
    sign[:] = canvas


def sky(rng: np.random.Generator, width: int) -> Image:
    """Return the sky, RGB [width / 4, width, 3]: columns are yaw from -180 to 180 degrees, rows pitch from 90 to 0."""
    rows = width // 4
    pitch = (0.5 - (np.arange(rows) + 0.5) / rows / 2) * np.pi
    yaw = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    blue = np.clip(np.sin(pitch), 0, 1)[:, None, None] ** 0.6
    colour = (1 - blue) * np.array([214, 222, 228]) + blue * np.array([92, 140, 202]) + np.zeros((1, width, 1))
    clouds = _clouds(rng, yaw[None, :], pitch[:, None])
    white = 250 - 46 * np.clip(clouds - 0.35, 0, 1)[..., None] * np.array([1.0, 0.95, 0.85])
    cover = np.clip(clouds * 1.6, 0, 1)[..., None] * np.clip(pitch / 0.12, 0, 1)[:, None, None]
    return np.asarray(np.clip(colour * (1 - cover) + white * cover, 0, 255), np.uint8)


def _clouds(rng: np.random.Generator, yaw: NDArray[Any], pitch: NDArray[Any]) -> Floats:
    """Noise on a flat layer of air, seen from below."""
    field = noise(rng, 1024, 1024, 256, 2)
    reach = 150.0 / np.maximum(np.tan(np.maximum(pitch, 0.03)), 0.12)
    x = (512 + reach * np.sin(yaw)).astype(np.float32)
    y = (512 + reach * np.cos(yaw)).astype(np.float32)
    seen = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(0.75 * seen - 0.12, 0, 1), np.float32)


def tree(rng: np.random.Generator, scale: float) -> Image:
    """Return a street tree, RGBA, 5 m wide and 7.5 m high; the last row is the ground."""
    rows, columns = round(7.5 * scale), round(5 * scale)
    image = np.zeros((rows, columns, 4), np.uint8)
    bark = (92, 80, 66, 255)
    for _ in range(7):
        tip = (round(columns / 2 + rng.uniform(-1.5, 1.5) * scale), round(rng.uniform(1.2, 3.4) * scale))
        cv2.line(image, (columns // 2, round(4.6 * scale)), tip, bark, max(1, round(0.08 * scale)), cv2.LINE_AA)
    cv2.fillConvexPoly(image, _trunk(columns, rows, scale), bark, cv2.LINE_AA)
    image[:, columns // 2 :, :3] = (image[:, columns // 2 :, :3] * 0.72).astype(np.uint8)
    _leaves(image, rng, scale)
    return image


def _trunk(columns: int, rows: int, scale: float) -> NDArray[np.int32]:
    middle = columns / 2
    points = [(-0.16, 0), (-0.09, -3.4), (0.09, -3.4), (0.16, 0)]
    return np.array([[middle + x * scale, rows + y * scale] for x, y in points], np.int32)


def _leaves(image: Image, rng: np.random.Generator, scale: float) -> None:
    """Clumps on a ball; light falls on those above and to the left."""
    hue = np.array([rng.uniform(78, 112), rng.uniform(116, 142), rng.uniform(48, 66)])
    clumps = rng.normal(0, 1, (34, 3))
    clumps = clumps / np.linalg.norm(clumps, axis=1, keepdims=True) * rng.uniform(0.3, 1, (34, 1)) * (1.75, 1.9, 1.6)
    leaves = clumps[rng.integers(0, 34, 5200)] + rng.normal(0, 0.24, (5200, 3))
    for x, y, z in leaves[np.argsort(leaves[:, 2])]:
        light = np.clip(0.66 - 0.16 * y - 0.1 * x + 0.12 * z, 0.3, 1.15) * rng.uniform(0.82, 1.12)
        place = (round(image.shape[1] / 2 + x * scale), round((2.55 + y) * scale))
        axes = (max(1, round(rng.uniform(0.04, 0.08) * scale)), max(1, round(rng.uniform(0.025, 0.05) * scale)))
        red, green, blue = (float(v) for v in np.clip(hue * light, 0, 255))
        cv2.ellipse(image, place, axes, rng.uniform(0, 180), 0, 360, (red, green, blue, 255), -1, cv2.LINE_AA)


def lamp_post(scale: float) -> Image:
    """Return a street lamp, RGBA, 1.4 m wide and 5.4 m high; the last row is the ground."""
    rows, columns = round(5.4 * scale), round(1.4 * scale)
    image = np.zeros((rows, columns, 4), np.uint8)
    x = (np.arange(columns) + 0.5 - columns / 2) / scale
    pole = np.abs(x) < 0.055
    shade = np.clip(96 - 520 * x[pole], 50, 120)
    image[round(0.5 * scale) :, pole, :3] = np.stack([shade, shade + 6, shade + 4], axis=-1).astype(np.uint8)
    image[round(0.5 * scale) :, pole, 3] = 255
    cv2.ellipse(
        image,
        (columns // 2, round(0.5 * scale)),
        (round(0.42 * scale), round(0.2 * scale)),
        0,
        180,
        360,
        (70, 78, 76, 255),
        -1,
        cv2.LINE_AA,
    )
    cv2.ellipse(
        image,
        (columns // 2, round(0.5 * scale)),
        (round(0.34 * scale), round(0.1 * scale)),
        0,
        0,
        180,
        (236, 234, 222, 255),
        -1,
        cv2.LINE_AA,
    )
    return image
