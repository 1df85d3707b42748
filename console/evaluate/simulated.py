"""Evaluates on the simulator's exact truth.

A virtual car photographs faces and plates at known angles, some of them put across the ±180° wrap and the rig's seams on purpose; its
frames are stitched as the stitcher does and anonymised as `panoveil anonymize` does.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from console.evaluate.annotated import Annotated, Answer, read_report
from console.evaluate.draw import draw
from console.evaluate.result import rate_cells, refused_of, show_refused
from console.evaluate.score import Area, Rate, blurred
from console.pictures import Running, anonymize_pictures
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import PanoramaBox, parse_manifest
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels import equirect, jpeg
from panoveil.pixels.rectangles import Rectangle
from services.stitcher import tables
from services.stitcher.level import turn_of
from services.stitcher.seams import border_distance
from services.stitcher.stitch import stitch
from simulator.drive import World, photograph
from simulator.extras import Extras
from simulator.rigs import demo_rig
from simulator.street import Street
from simulator.truth import COVERED_SHARE, HEIGHT_BUCKETS, TrueObject, covered_share, height_bucket, read_truth, unrolled
from simulator.worlds import Photographs, centred

Place = Literal["wrap", "seam", "elsewhere"]

PLACES: tuple[Place, ...] = ("wrap", "seam", "elsewhere")
KINDS = {"face": "faces", "plate": "plates"}

_EXTRAS = 5
"""People, and as many cars, put into every capture."""

_FAR = 2.0
_ROOM = 5.5
"""Metres from the rig's lane to the nearer houses, less somebody's width."""

_GRID = 9


@dataclass(frozen=True)
class Scene:
    """What is photographed: the procedural street, or the panoramas below `world`; `width` in pixels of the panorama."""

    captures: int = 4
    width: int = 4096
    seed: int = 1
    world: Path | None = None

    def prepared(self) -> tuple[World, Rig, int]:
        """Return the world, the rig in it and how many captures there are."""
        rig, extras = demo_rig(self.width), Extras(_EXTRAS, _EXTRAS, self.seed, _FAR)
        if self.world is None:
            return Street(self.seed, self.captures, self.width, replace(extras, room=_ROOM)), rig, self.captures
        photographs = Photographs(self.world, extras)
        if not len(photographs):
            raise Misconfigured(f"{self.world} holds no JPEG: --world wants a folder of equirectangular panoramas.")
        return photographs, centred(rig), min(self.captures, len(photographs))


@dataclass(frozen=True, slots=True)
class Judged:
    """A true object, where in the panorama it stands, and whether it is covered, by boxes of either kind."""

    item: TrueObject
    place: Place
    covered: bool


@dataclass(frozen=True)
class Simulated:
    """Every object of every panorama, judged; `boxes` of all kinds. `area.over` is an upper bound.

    The truth leaves out who is turned away, hidden or tiny, and in photographed worlds everybody who was really there.
    """

    scene: Scene
    panoramas: int
    judged: tuple[Judged, ...]
    boxes: int
    refused: tuple[str, ...]
    area: Area
    plan: str | None

    @property
    def complete(self) -> bool:
        """Whether every panorama was published."""
        return not self.refused

    def rate(self, kind: str, height: str | None = None, place: Place | None = None) -> Rate:
        """Return the recall of a kind, of one height and at one place where they are named."""
        of = [
            one for one in self.judged if one.item.kind == kind and height in {None, _bucket(one)} and place in {None, one.place}
        ]
        return Rate(sum(one.covered for one in of), len(of))

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "scene": {"world": str(self.scene.world) if self.scene.world else "street", "width": self.scene.width, "seed": self.scene.seed},
            "plan": self.plan,
            "panoramas": self.panoramas,
            "refused": list(self.refused),
            "boxes_per_panorama": round(self.boxes / self.panoramas, 2),
            "classes": {name: self._class(kind) for kind, name in KINDS.items()},
            "area": self.area.as_json(),
        }  # fmt: skip

    def _class(self, kind: str) -> dict[str, Any]:
        by_height = {height: _rated(self.rate(kind, height)) for height in HEIGHT_BUCKETS}
        by_place = {place: _rated(self.rate(kind, place=place)) for place in PLACES}
        both = {f"{height} {place}": _rated(self.rate(kind, height, place)) for height, place in product(HEIGHT_BUCKETS, PLACES)}
        return {
            **_rated(self.rate(kind)),
            "by_height": {name: rated for name, rated in by_height.items() if rated["objects"]},
            "by_place": by_place,
            "by_height_and_place": {name: rated for name, rated in both.items() if rated["objects"]},
        }


def _rated(rate: Rate) -> dict[str, Any]:
    return {"objects": rate.of, "covered": rate.as_json()}


def _bucket(judged: Judged) -> str:
    return height_bucket(judged.item.height_px)


async def evaluate_simulated(scene: Scene, running: Running, pictures: Path | None, console: Console) -> Simulated:
    """Photograph, stitch, anonymise, judge; draw the panoramas with boxes into `pictures` where that is asked for."""
    world, rig, captures = scene.prepared()
    with tempfile.TemporaryDirectory(prefix="panoveil-evaluate-") as work:
        drive, source, report = Path(work) / "drive", Path(work) / "panoramas", Path(work) / "report.jsonl"
        console.print(f"The virtual car photographs {captures} captures with {len(rig.lenses)} lenses; they are stitched")
        photograph(world, rig, drive, "evaluate", f"seed-{scene.seed}", captures, scene.seed)
        truth = read_truth(drive / "truth.jsonl")
        stitch_drive(drive, rig, StitchRecipe(width=scene.width), truth, source)
        await anonymize_pictures(source, Path(work) / "out", report, running, console)
        answers = read_report(report)
        pairs = [(shown(name, items, scene.width), answers[f"{name}.jpg"]) for name, items in truth.items()]
        for picture, answer in pairs if pictures else ():
            draw(picture, answer, source, pictures)  # type: ignore[arg-type]
    judged = tuple(one for name, items in truth.items() for one in judge(items, answers[f"{name}.jpg"], rig, scene.width))
    boxes = sum(len(boxes) for _, answer in pairs for boxes in answer.boxes.values())
    return Simulated(scene, len(pairs), judged, boxes, refused_of(pairs), blurred(pairs), running.plan)


def stitch_drive(drive: Path, rig: Rig, recipe: StitchRecipe, captures: Iterable[str], target: Path) -> None:
    """Write the panorama of every capture of a drive folder, as `<capture>.jpg`."""
    target.mkdir(parents=True, exist_ok=True)
    loaded = tables.load(rig, recipe, drive / "tables")
    for capture in captures:
        frames = {lens.name: jpeg.decode((drive / capture / f"{lens.name}.jpg").read_bytes()) for lens in rig.lenses}
        pose = parse_manifest((drive / capture / MANIFEST_NAME).read_bytes()).pose
        panorama = stitch(frames, rig, recipe, loaded, turn=turn_of(pose, recipe))
        (target / f"{capture}.jpg").write_bytes(jpeg.encode(panorama.image, recipe.jpeg_quality))


def judge(items: Iterable[TrueObject], answer: Answer, rig: Rig, width: int) -> list[Judged]:
    """Hold a panorama's objects against what was hidden in it, pixels of a panorama so many pixels wide."""
    boxes = [in_degrees(box, width) for hidden in answer.boxes.values() for box in hidden]
    return [Judged(item, place_of(item, rig), covered_share(item, boxes) >= COVERED_SHARE) for item in items]


def in_degrees(box: Rectangle, width: int) -> PanoramaBox:
    """Return a rectangle of a panorama's pixels, which does not cross its edge, in degrees."""
    west, east = (x / width * 360 - 180 for x in (box[0], box[2]))
    north, south = (90 - y / width * 360 for y in (box[1], box[3]))
    return PanoramaBox(
        kind="face", score=1, west=max(west, -180), east=min(east, 180), south=max(south, -90), north=min(north, 90)
    )


def place_of(item: TrueObject, rig: Rig) -> Place:
    """Say whether an object crosses ±180°, which counts before all else, or a border between what two lenses see best."""
    if item.east < item.west:
        return "wrap"
    return "seam" if len(np.unique(best_lenses(item, rig))) > 1 else "elsewhere"


def best_lenses(item: TrueObject, rig: Rig) -> NDArray[np.intp]:
    """Return which lens sees each point of a grid over the object best, by the stitcher's own measure."""
    west, south, east, north = np.radians(unrolled(item))
    rays = equirect.to_rays(np.linspace(west, east, _GRID)[None, :], np.linspace(south, north, _GRID)[:, None])
    depth = [border_distance(lens, rays @ np.array(lens.rotation, np.float32))[0] for lens in rig.lenses]
    return np.asarray(np.argmax(np.stack(depth), axis=0), np.intp)


def shown(capture: str, items: Sequence[TrueObject], width: int) -> Annotated:
    """Return a panorama's truth in its pixels; what crosses the edge becomes two."""
    objects: Mapping[str, list[Rectangle]] = {name: [] for name in KINDS.values()}
    for item in items:
        west, south, east, north = unrolled(item)
        x0, x1, y0, y1 = (
            (west + 180) / 360 * width,
            (east + 180) / 360 * width,
            (90 - north) / 360 * width,
            (90 - south) / 360 * width,
        )
        objects[KINDS[item.kind]].append((x0, y0, min(x1, width), y1))
        if x1 > width:
            objects[KINDS[item.kind]].append((0.0, y0, x1 - width, y1))
    return Annotated(f"{capture}.jpg", width, width / 2, {name: tuple(boxes) for name, boxes in objects.items()})


def show(result: Simulated, console: Console) -> None:
    """Print the result for a person."""
    for kind, name in KINDS.items():
        console.print(_table(result, kind, f"{name}: {result.rate(kind).of} in {result.panoramas} panoramas, covered ≥ 90 %"))
    over = result.area.over / result.area.pictures
    console.print(
        f"hidden: {result.boxes / result.panoramas:.1f} boxes a panorama; {over:.3%} of the pictures, at most, without need"
    )
    show_refused(result.refused, console)


def _table(result: Simulated, kind: str, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("px", "objects", "covered", "95 %", *PLACES):
        table.add_column(heading, justify="right", no_wrap=True)
    heights = [height for height in HEIGHT_BUCKETS if result.rate(kind, height).of]
    for name, height in (*((height, height) for height in heights), ("all", None)):
        rate = result.rate(kind, height)
        places = (result.rate(kind, height, place) for place in PLACES)
        table.add_row(name, str(rate.of), *rate_cells(rate), *(f"{at.hits} of {at.of}" if at.of else "" for at in places))
    return table
