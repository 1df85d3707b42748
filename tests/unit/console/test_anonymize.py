import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from console.anonymize import Counts, Event, Finished, Started, anonymize_folder
from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.detection import RectangleDetector
from panoveil.pixels import jpeg
from services.anonymizer.metadata import scan
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer.test_anonymize import Blinded, Down, Haunted

RECIPE = scenes.RECIPE


def photo(width: int = 320, height: int = 240, x: int = 40) -> np.ndarray:
    picture = scenes.street(width, height)
    scenes.paint(picture, scenes.FACE, x, 100, 20, 30)
    return picture


def turned(picture: np.ndarray, orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95, exif=tags)
    return out.getvalue()


@pytest.fixture(name="folders")
def the_folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    source = tmp_path / "in"
    source.mkdir()
    return source, tmp_path / "out", tmp_path / "report.jsonl"


def lines(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


async def test_every_picture_of_the_folder_gets_a_line(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "day 1").mkdir()
    (source / "day 1" / "a.JPG").write_bytes(jpeg.encode(photo(), 95))
    (source / "b.png").write_bytes(cv2.imencode(".png", photo()[..., ::-1])[1].tobytes())
    (source / "c.jpg").write_bytes(jpeg.encode(photo(), 95)[:2000])
    (source / "d.jpeg").write_bytes(b"")
    (source / "notes.txt").write_text("not a picture")
    events: list[Event] = []
    counts = await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, events.append)
    assert counts == Counts(published=2, held=0, rejected=2, faces=2, plates=0)
    assert events[0] == Started(4)
    assert [event.outcome for event in events[1:] if isinstance(event, Finished)] == [line["outcome"] for line in lines(report)]
    assert [(line["image"], line["outcome"]) for line in lines(report)] == [
        ("b.png", "published"), ("c.jpg", "rejected:corrupt_frame"), ("d.jpeg", "rejected:empty_object"), ("day 1/a.JPG", "published"),
    ]  # fmt: skip
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*.*")) == ["b.png.jpg", "day 1/a.JPG"]
    assert all(scan(path.read_bytes()) == [] for path in target.rglob("*.*"))


async def test_the_report_gives_the_obfuscated_boxes(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "a.jpg").write_bytes(jpeg.encode(photo(), 95))
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    (line,) = lines(report)
    (x, y, width, height, score) = line["faces"][0]
    assert (x <= 36, y <= 94, x + width >= 64, y + height >= 136) == (True,) * 4
    assert width * height < 3 * 20 * 30
    assert score == 0.9
    assert line["recipe_id"] == RECIPE.recipe_id


async def test_a_box_across_the_edge_of_a_panorama_is_given_as_two(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    picture = scenes.street(2048, 1024)
    scenes.paint(picture, scenes.FACE, 2038, 500, 20, 20)
    (source / "pano.jpg").write_bytes(jpeg.encode(picture, 95))
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    (line,) = lines(report)
    assert sorted(box[0] for box in line["faces"]) == [0, pytest.approx(2034, abs=6)]
    published = (target / "pano.jpg").read_bytes()
    assert b'GPano:FullPanoWidthPixels="2048"' in published
    assert b"Exif" not in published
    assert scan(published) == []


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
async def test_boxes_and_output_are_upright(folders: tuple[Path, Path, Path], orientation: int) -> None:
    source, target, report = folders
    data = turned(photo(), orientation)
    (source / "a.jpg").write_bytes(data)
    upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert upright is not None
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    (line,) = lines(report)
    x, y, width, height, _ = line["faces"][0]
    red = (upright[..., 0] > 200) & (upright[..., 1] < 80)
    assert red[y : y + height, x : x + width].sum() == red.sum()
    assert jpeg.decode((target / "a.jpg").read_bytes()).shape == upright.shape


async def test_what_is_held_is_not_written(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "a.jpg").write_bytes(jpeg.encode(photo(), 95))
    counts = await anonymize_folder(source, target, report, Haunted(), scenes.HASTY, lambda _: None)
    assert counts.held == 1
    assert lines(report)[0]["outcome"] == "held:not_verified"
    assert not target.exists()


async def test_without_a_detector_nothing_is_written(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "a.jpg").write_bytes(jpeg.encode(photo(), 95))
    with pytest.raises(Unavailable):
        await anonymize_folder(source, target, report, Down(), RECIPE, lambda _: None)
    assert not target.exists()


async def test_a_detector_that_went_blind_writes_nothing(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "a.jpg").write_bytes(jpeg.encode(photo(), 95))
    with pytest.raises(Unavailable):
        await anonymize_folder(source, target, report, Blinded(), RECIPE, lambda _: None)
    assert not target.exists()


@pytest.mark.parametrize(("damage", "outcome"), [(None, "held:not_verified"), (b"", "rejected:empty_object")])
async def test_what_an_earlier_run_wrote_goes_when_the_picture_is_refused(
    folders: tuple[Path, Path, Path], damage: bytes | None, outcome: str
) -> None:
    source, target, report = folders
    for name in ("a.jpg", "b.png"):
        (source / name).write_bytes(cv2.imencode(Path(name).suffix, photo()[..., ::-1])[1].tobytes())
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    assert len(list(target.iterdir())) == 2
    if damage is not None:
        (source / "a.jpg").write_bytes(damage)
        (source / "b.png").write_bytes(damage)
    await anonymize_folder(source, target, report, Haunted(), scenes.HASTY, lambda _: None)
    assert [line["outcome"] for line in lines(report)] == [outcome] * 2
    assert list(target.iterdir()) == []


async def test_two_pictures_for_one_name_are_refused_before_the_work(folders: tuple[Path, Path, Path]) -> None:
    source, target, report = folders
    (source / "a.png").write_bytes(cv2.imencode(".png", photo()[..., ::-1])[1].tobytes())
    (source / "a.png.jpg").write_bytes(jpeg.encode(photo(), 95))
    events: list[Event] = []
    with pytest.raises(Misconfigured, match=r"a\.png and a\.png\.jpg would both be written as a\.png\.jpg"):
        await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, events.append)
    assert (events, report.exists(), target.exists()) == ([], False, False)


@pytest.mark.parametrize(
    "failure",
    [
        PermissionError("denied"),
        cv2.error("too large"),
        Image.DecompressionBombError("bomb"),
        Image.DecompressionBombWarning("bomb"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_what_cannot_be_read_is_rejected_and_the_work_goes_on(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails_once(data: bytes) -> int:
        monkeypatch.undo()
        raise failure

    source, target, report = folders
    for name in ("a.jpg", "b.jpg"):
        (source / name).write_bytes(jpeg.encode(photo(), 95))
    monkeypatch.setattr("console.anonymize._orientation", fails_once)
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    assert [line["outcome"] for line in lines(report)] == ["rejected:corrupt_frame", "published"]


async def test_originals_are_never_overwritten(folders: tuple[Path, Path, Path]) -> None:
    source, _, report = folders
    with pytest.raises(Misconfigured):
        await anonymize_folder(source, source, report, RectangleDetector(), RECIPE, lambda _: None)


async def test_a_target_inside_the_source_is_not_read(folders: tuple[Path, Path, Path]) -> None:
    source, _, report = folders
    (source / "a.jpg").write_bytes(jpeg.encode(photo(), 95))
    for _ in range(2):
        counts = await anonymize_folder(source, source / "out", report, RectangleDetector(), RECIPE, lambda _: None)
        assert counts.published == 1


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "GIF"])
async def test_a_picture_of_another_kind_is_given_to_no_library(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source, target, report = folders
    Image.fromarray(photo()).save(source / "a.png", kind)
    monkeypatch.delattr("console.anonymize.Image.open")
    monkeypatch.delattr("console.anonymize.cv2.imdecode")
    await anonymize_folder(source, target, report, RectangleDetector(), RECIPE, lambda _: None)
    assert [line["outcome"] for line in lines(report)] == ["rejected:corrupt_frame"]
