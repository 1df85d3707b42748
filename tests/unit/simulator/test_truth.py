from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.messages import PanoramaBox
from simulator.truth import TrueObject, covered_share, read_truth, score, truth_line

_YAWS = st.floats(-180, 180, allow_nan=False)
_SIZES = st.floats(0.5, 40)


@st.composite
def _objects(draw: st.DrawFn) -> TrueObject:
    west, south = draw(_YAWS), draw(st.floats(-80, 40))
    east = (west + draw(_SIZES) + 180) % 360 - 180
    return TrueObject("face", west, east, south, south + draw(_SIZES), 1.0, draw(st.floats(5, 100)))


@st.composite
def _boxes(draw: st.DrawFn) -> PanoramaBox:
    item = draw(_objects())
    return _box(item.west, item.east, item.south, item.north)


def _box(west: float, east: float, south: float, north: float) -> PanoramaBox:
    return PanoramaBox(kind="plate", score=0.5, west=west, east=east, south=south, north=north)


def _same(item: TrueObject) -> PanoramaBox:
    return _box(item.west, item.east, item.south, item.north)


def _turned(yaw: float, by: float) -> float:
    return (yaw + by + 180) % 360 - 180


@given(_objects())
def test_an_object_is_covered_by_its_own_box_and_by_no_box_not_at_all(item: TrueObject) -> None:
    assert covered_share(item, [_same(item)]) == pytest.approx(1)
    assert covered_share(item, []) == 0


@given(_objects(), st.lists(_boxes(), max_size=4), _boxes())
def test_a_further_box_never_uncovers(item: TrueObject, boxes: list[PanoramaBox], more: PanoramaBox) -> None:
    assert covered_share(item, [*boxes, more]) >= covered_share(item, boxes) - 1e-9


@given(_objects(), st.lists(_boxes(), max_size=4))
def test_saying_a_box_twice_changes_nothing(item: TrueObject, boxes: list[PanoramaBox]) -> None:
    assert covered_share(item, boxes * 2) == pytest.approx(covered_share(item, boxes))


@given(_objects(), st.lists(_boxes(), max_size=4), st.floats(-180, 180))
def test_turning_everything_changes_nothing(item: TrueObject, boxes: list[PanoramaBox], by: float) -> None:
    turned_item = TrueObject("face", _turned(item.west, by), _turned(item.east, by), item.south, item.north, 1, item.height_px)
    turned = [_box(_turned(box.west, by), _turned(box.east, by), box.south, box.north) for box in boxes]
    assert covered_share(turned_item, turned) == pytest.approx(covered_share(item, boxes), abs=1e-6)


@given(_objects(), st.floats(0.05, 0.95))
def test_two_halves_cover_the_whole(item: TrueObject, share: float) -> None:
    cut = item.south + share * (item.north - item.south)
    lower, upper = _box(item.west, item.east, item.south, cut), _box(item.west, item.east, cut, item.north)
    assert covered_share(item, [lower]) == pytest.approx(share)
    assert covered_share(item, [lower, upper]) == pytest.approx(1)


def test_an_object_across_the_wrap_is_covered_by_two_boxes_that_meet_there() -> None:
    item = TrueObject("plate", 178, -178, -5, -3, 1, 20)
    halves = [_box(177, 180, -6, -2), _box(-180, -177, -6, -2)]
    assert covered_share(item, halves) == pytest.approx(1)
    assert covered_share(item, halves[:1]) == pytest.approx(0.5)


def test_nine_tenths_are_enough_and_the_kind_does_not_matter() -> None:
    item = TrueObject("face", 0, 10, 0, 10, 1, 20)
    assert score([item], [_box(0, 9.001, 0, 10)]).covered == 1
    assert score([item], [_box(0, 8.999, 0, 10)]).missed == (item,)


def test_the_score_counts_by_height() -> None:
    near, far = TrueObject("face", 0, 10, 0, 10, 1, 50), TrueObject("face", 40, 42, 0, 2, 1, 9)
    coverage = score([near, far], [_same(near)])
    assert (coverage.objects, coverage.covered, coverage.missed) == (2, 1, (far,))
    assert {name: (bucket.objects, bucket.covered) for name, bucket in coverage.by_height.items()} == {
        "8-10": (1, 0),
        "48+": (1, 1),
    }


def test_what_was_written_is_read(tmp_path: Path) -> None:
    item = TrueObject("face", 178.5, -179.25, -3.5, -1.0, 0.75, 28.4)
    path = tmp_path / "truth.jsonl"
    path.write_text(truth_line("000000", [item]) + "\n" + truth_line("000001", []) + "\n")
    assert read_truth(path) == {"000000": (item,), "000001": ()}
