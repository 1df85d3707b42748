"""The evaluation's figures, and that they are the yardstick's wherever that is there."""

import json
import math
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evaluate.annotated import CLASSES, Annotated, Answer, answer_to, read_annotations, read_report
from console.evaluate.score import Frequency, Rate, blurred, covered_share, iou, mark, score_class
from panoveil.pixels.rectangles import Rectangle, outside_area, union_area

YARDSTICK = Path(__file__).parents[4] / ".." / "shared" / "eval" / "score.py"
SIDES = st.one_of(st.integers(1, 60), st.floats(1, 60).map(lambda side: round(side, 1)))
PLACES = st.one_of(st.integers(0, 120), st.floats(0, 120).map(lambda place: round(place, 1)))
BOXES = st.lists(st.tuples(PLACES, PLACES, SIDES, SIDES).map(list), max_size=5)
WHOLE = st.integers(0, 12)
CELLS = st.lists(st.tuples(WHOLE, WHOLE, st.integers(0, 8), st.integers(0, 8)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])), max_size=6)  # fmt: skip


def picture(objects: list[Rectangle], ignore: tuple[Rectangle, ...] = ()) -> Annotated:
    return Annotated("a.jpg", 200, 100, {"plates": tuple(objects)}, ignore)


def cells(rectangles: list[Rectangle]) -> set[tuple[int, int]]:
    """The unit squares that whole rectangles cover."""
    return {(x, y) for x0, y0, x1, y1 in rectangles for x in range(int(x0), int(x1)) for y in range(int(y0), int(y1))}


@given(CELLS, CELLS)
def test_areas_are_those_of_the_squares_they_cover(first: list[Rectangle], second: list[Rectangle]) -> None:
    assert union_area(first) == len(cells(first))
    assert outside_area(first, second) == len(cells(first) - cells(second))


@pytest.mark.skipif(not YARDSTICK.exists(), reason="the yardstick score.py is not on this machine")
@given(st.lists(st.tuples(BOXES, BOXES, BOXES), min_size=1, max_size=3), st.sampled_from(CLASSES))
def test_the_yardstick_says_the_same(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], name: str) -> None:
    folder = tmp_path_factory.mktemp("set")
    annotations = [
        {"image": f"images/{number}.jpg", "width": 200, "height": 200, name: objects, "ignore": ignore}
        for number, (objects, ignore, _) in enumerate(rows)
    ]
    report = [{"image": f"{number}.jpg", name: [[*box, 0.5] for box in boxes]} for number, (_, _, boxes) in enumerate(rows)]
    for file, lines in (("annotations.jsonl", annotations), ("report.jsonl", report)):
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    expected = runpy.run_path(str(YARDSTICK))["score"](annotations, report, name)
    answers = read_report(folder / "report.jsonl")
    pairs = [(item, answer) for item in read_annotations(folder) if (answer := answer_to(item, answers))]
    ours = score_class(pairs, name)
    assert (ours.false.pictures, ours.recall.covered.of) == (expected["images"], expected["objects"])
    assert ours.recall.covered.share == pytest.approx(expected["covered"], abs=5e-5)
    assert ours.recall.found.share == pytest.approx(expected["found"], abs=5e-5)
    assert ours.false.mean == pytest.approx(expected["false_per_image"], abs=5e-4)
    theirs = {height.replace("48-10000", "48+"): row for height, row in expected["by_height"].items()}
    assert {height: recall.covered.of for height, recall in ours.by_height.items()} == {
        h: r["objects"] for h, r in theirs.items()
    }
    for height, row in theirs.items():
        assert ours.by_height[height].covered.share == pytest.approx(row["covered"], abs=5e-4)


def test_a_union_covers_what_no_box_does_alone() -> None:
    item, halves = (0, 0, 20, 10), ((-5, -5, 11, 20), (10, 0, 19, 10))
    assert covered_share(item, halves) == pytest.approx(0.95)
    assert covered_share(item, halves[:1]) == pytest.approx(0.55)
    assert [iou(item, box) >= 0.5 for box in halves] == [False, False]


def test_boxes_are_told_apart() -> None:
    known = picture([(0, 0, 20, 10), (50, 0, 70, 10)], ignore=((100, 0, 110, 10),))
    boxes = ((0, 0, 20, 10), (60, 0, 70, 10), (105, 5, 120, 20), (150, 50, 160, 60))
    marks = mark(known, Answer({"plates": boxes}), "plates")
    assert (marks.covered, marks.missed) == (((0, 0, 20, 10),), ((50, 0, 70, 10),))
    assert (marks.true, marks.false) == (boxes[:3], boxes[3:])


def test_a_class_that_was_not_annotated_is_not_judged() -> None:
    known = picture([(0, 0, 20, 10)])
    answer = Answer({"faces": ((0, 0, 50, 50),), "plates": ((0, 0, 20, 10),)})
    assert score_class([(known, answer)], "faces").false.pictures == 0
    area = blurred([(known, answer)])
    assert (area.pictures, area.hidden, area.over) == (20_000, 200, 0)


def test_over_blurred_is_what_lies_on_nothing_annotated() -> None:
    known = picture([(0, 0, 20, 10)], ignore=((30, 0, 40, 10),))
    area = blurred([(known, Answer({"plates": ((-10, 0, 20, 20), (30, 0, 50, 10), (190, 90, 230, 130))}))])
    assert (area.hidden, area.over) == (20 * 20 + 20 * 10 + 10 * 10, 20 * 10 + 10 * 10 + 10 * 10)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (1, 2, 0.0945, 0.9055)],
)
def test_wilsons_bounds(hits: int, of: int, low: float, high: float) -> None:
    assert Rate(hits, of).bounds == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 5000), st.data())
def test_bounds_hold_the_share_and_solve_wilsons_equation(of: int, data: st.DataObject) -> None:
    rate = Rate(data.draw(st.integers(0, of)), of)
    assert rate.bounds is not None
    assert rate.share is not None
    assert rate.bounds[0] <= rate.share + 1e-12
    assert rate.bounds[1] >= rate.share - 1e-12
    for bound in rate.bounds:
        assert abs(rate.share - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / of), abs=1e-6)


def test_nothing_has_no_bounds() -> None:
    assert Rate(0, 0).as_json() == {"share": None, "low": None, "high": None, "hits": 0}
    assert Frequency(0, 0).as_json() == {"mean": None, "low": None, "high": None}


def test_bounds_of_a_frequency() -> None:
    assert Frequency(0, 10).bounds == pytest.approx((0.0, 0.3842), abs=1e-4)
    assert Frequency(12, 10).bounds == pytest.approx((0.6866, 2.0973), abs=1e-3)
