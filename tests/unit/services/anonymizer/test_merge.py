from hypothesis import given
from hypothesis import strategies as st

from services.anonymizer.merge import merged
from services.anonymizer.regions import Extent, Region, fitted

EXTENT = Extent(400, 200, wraps=True)


def region(x: float, y: float, width: float, height: float, score: float = 0.5, kind: str = "face") -> Region:
    return Region("face" if kind == "face" else "plate", score, x, y, x + width, y + height)


some = st.lists(
    st.builds(
        region, st.floats(0, 399), st.floats(0, 150), st.floats(1, 80), st.floats(1, 50), st.floats(0, 1),
        st.sampled_from(["face", "plate"]),
    ),
    max_size=20,
)  # fmt: skip


def encloses(outer: Region, inner: Region) -> bool:
    return outer.kind == inner.kind and any(
        outer.x0 <= inner.x0 + turn + 1e-6
        and outer.x1 >= inner.x1 + turn - 1e-6
        and outer.y0 <= inner.y0
        and outer.y1 >= inner.y1
        for turn in (-800, -400, 0, 400, 800)
    )


@given(some)
def test_nothing_is_lost_and_nothing_shrinks(regions: list[Region]) -> None:
    results = merged(regions, EXTENT)
    assert len(results) <= len(regions)
    assert all(any(encloses(result, fitted(given, EXTENT)) for result in results) for given in regions)


@given(some)
def test_results_lie_in_the_picture(regions: list[Region]) -> None:
    assert all(
        0 <= result.x0 <= 400 and result.x1 <= result.x0 + 400 + 1e-6 and result.y1 <= 200 for result in merged(regions, EXTENT)
    )


def test_the_same_object_seen_twice_is_one_region_with_the_better_score() -> None:
    (result,) = merged([region(100, 50, 20, 20, 0.4), region(104, 48, 20, 20, 0.7)], EXTENT)
    assert (result.x0, result.y0, result.x1, result.y1, result.score) == (100, 48, 124, 70, 0.7)


def test_halves_on_either_side_of_the_edge_are_one_object() -> None:
    (result,) = merged([region(390, 50, 20, 20), region(-8, 50, 16, 20)], EXTENT)
    assert (result.x0, result.x1) == (390, 410)


def test_neighbours_stay_apart() -> None:
    assert len(merged([region(100, 50, 20, 20), region(118, 50, 20, 20), region(136, 50, 20, 20)], EXTENT)) == 3


def test_a_face_behind_a_plate_is_both() -> None:
    assert {result.kind for result in merged([region(100, 50, 20, 20), region(100, 50, 20, 20, kind="plate")], EXTENT)} == {
        "face",
        "plate",
    }
