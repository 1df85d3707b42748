"""Evaluating a folder: reading, staging, drawing, and what goes wrong."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from console.cli import app
from console.evaluate.annotated import BadAnnotations, read_annotations, read_report
from console.evaluate.draw import COVERED, FALSE, MISSED, TRUE, drawn
from console.evaluate.staging import Wanted, stage
from panoveil.contracts.errors import Misconfigured

LINE: dict[str, Any] = {"image": "images/a.png", "width": 200, "height": 100, "plates": [[20, 20, 60, 20], [120, 60, 30, 10]]}


@pytest.fixture(name="folder")
def a_set(tmp_path: Path) -> Path:
    """Two plates in one picture; the report covers one and hides a wall."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "a.png"), np.full((100, 200, 3), 128, np.uint8))
    (folder / "annotations.jsonl").write_text(json.dumps(LINE) + "\n\n")
    report = {"image": "a.png", "plates": [[18, 18, 64, 24, 0.9], [150, 5, 20, 20, 0.4]], "faces": [], "outcome": "published"}
    (tmp_path / "report.jsonl").write_text(json.dumps(report | {"recipe_id": "0123456789abcdef"}) + "\n")
    return folder


def evaluated(folder: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["evaluate", str(folder), "--boxes", str(folder.parent / "report.jsonl"), *options])


def test_a_report_is_scored(folder: Path) -> None:
    answer = evaluated(folder, "--json")
    result = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert (result["pictures"], result["recipe_id"], result["unanswered"], list(result["classes"])) == (
        1, "0123456789abcdef", [], ["plates"],
    )  # fmt: skip
    plates = result["classes"]["plates"]
    assert (plates["objects"], plates["covered"]["share"], plates["found"]["share"], plates["false_boxes"]) == (2, 0.5, 0.5, 1)
    assert {name: row["covered"]["share"] for name, row in plates["by_height"].items()} == {"10-12": 0.0, "16-24": 1.0}
    assert result["area"]["over_blurred_share_of_hidden"] == pytest.approx((64 * 24 - 1200 + 400) / (64 * 24 + 400), abs=1e-4)


def test_a_person_gets_a_table(folder: Path) -> None:
    answer = evaluated(folder)
    assert "plates: 2 in 1 pictures" in answer.stdout
    assert "0.500" in answer.stdout
    assert "1.00 a picture" in answer.stdout


@pytest.mark.parametrize("outcome", ["held:not_verified", "rejected:corrupt_frame"])
def test_a_picture_that_was_not_published_is_told(folder: Path, outcome: str) -> None:
    report = folder.parent / "report.jsonl"
    report.write_text(json.dumps({"image": "a.png", "plates": [], "faces": [], "outcome": outcome}) + "\n")
    answer = evaluated(folder, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["refused"]) == (65, ["images/a.png"])


def test_a_picture_without_an_answer_is_told_and_counts_as_missed(folder: Path) -> None:
    with (folder / "annotations.jsonl").open("a") as file:
        file.write(json.dumps(LINE | {"image": "images/b.png"}) + "\n")
    answer = evaluated(folder, "--json")
    result = json.loads(answer.stdout)
    assert (answer.exit_code, result["unanswered"]) == (65, ["images/b.png"])
    assert result["classes"]["plates"]["covered"]["share"] == 0.25


def test_pictures_are_drawn_outside_of_the_originals(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    out = folder.parent / "looked-at"
    assert evaluated(folder, "--pictures", str(out)).exit_code == 0
    assert [str(path.relative_to(out)) for path in out.rglob("*.*")] == ["images/a.png.jpg"]
    assert sorted(folder.rglob("*")) == before


def test_what_was_missed_is_drawn_otherwise_than_what_was_covered(folder: Path) -> None:
    (picture,), (answer,) = read_annotations(folder), read_report(folder.parent / "report.jsonl").values()
    canvas = drawn(np.full((100, 200, 3), 128, np.uint8), picture, answer)
    colours = {tuple(canvas[row, column].tolist()) for row, column in ((20, 50), (60, 135), (5, 160), (18, 30))}
    assert colours == {COVERED, MISSED, FALSE, TRUE}
    assert (canvas[95] == 128).all()


@pytest.mark.parametrize("inside", ["", "images", "new"])
def test_originals_are_never_drawn_over(folder: Path, inside: str) -> None:
    assert isinstance(evaluated(folder, "--pictures", str(folder / inside)).exception, Misconfigured)


@pytest.mark.parametrize("options", [["--shrink", "16"], ["--enlarge", "20"], ["--plan", "fast"], ["--triton", "h:1"]])
def test_boxes_go_with_nothing_that_asks_for_a_run(folder: Path, options: list[str]) -> None:
    assert evaluated(folder, *options).exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", '{"image": "a.png"}', '{"image": "../a.png", "width": 1, "height": 1}', '{"image": "/a.png", "width": 1, "height": 1}',
        '{"image": "a.png", "width": 0, "height": 1}', '{"image": "a.png", "width": 1, "height": 1, "faces": [[1, 2, 3]]}',
        '{"image": "a.png", "width": 1, "height": 1, "faces": [[1, 2, -3, 4]]}',
        '{"image": "a.png", "width": 1, "height": 1, "faces": [["1", 2, 3, 4]]}',
        '{"image": "a.png", "width": 1, "height": 1, "faces": [[NaN, 2, 3, 4]]}', '{"image": "a.png", "width": 1, "height": 1, "faces": 1}',
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named(folder: Path, line: str) -> None:
    (folder / "annotations.jsonl").write_text(json.dumps(LINE) + "\n" + line + "\n")
    with pytest.raises(BadAnnotations, match="line 2"):
        read_annotations(folder)


def test_a_folder_without_annotations_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadAnnotations, match=r"annotations\.jsonl cannot be read"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "scale"),
    [(Wanted(), 1), (Wanted(shrink=5), 1 / 3), (Wanted(shrink=30), 1), (Wanted(enlarge=30), 2), (Wanted(enlarge=5), 1)],
)
def test_the_median_object_gets_its_height(folder: Path, tmp_path: Path, wanted: Wanted, scale: float) -> None:
    (staged,) = stage(read_annotations(folder), folder, tmp_path / "staged", wanted)
    picture = cv2.imread(str(tmp_path / "staged" / "images" / "a.png"))
    assert picture is not None
    assert picture.shape[1] == pytest.approx(200 * scale, abs=1)
    assert staged.heights == pytest.approx([20 * scale, 10 * scale], rel=0.02)
    assert (staged.width, staged.height) == pytest.approx((picture.shape[1], picture.shape[0]))


def test_a_picture_that_is_annotated_and_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "images" / "a.png").unlink()
    with pytest.raises(BadAnnotations, match=r"images/a\.png is annotated"):
        stage(read_annotations(folder), folder, tmp_path / "staged", Wanted())


def test_boxes_need_no_scores(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"image": "a.jpg", "plates": [[1, 2, 3, 4]]}\n')
    assert read_report(tmp_path / "r.jsonl")["a.jpg"].boxes == {"plates": ((1, 2, 4, 6),), "faces": ()}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["d", "--simulated"],
        ["--simulated", "--boxes", "r"],
        ["--simulated", "--shrink", "9"],
        ["--simulated", "--limit", "1"],
        ["d", "--captures", "9"],
    ],
)
def test_a_folder_or_the_simulator_must_be_named(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["evaluate", *arguments]).exit_code == 2
