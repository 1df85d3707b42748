import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.detection import Kind
from services.stitcher.lookout import Find, outermost

side = st.floats(0, 30)
finds = st.builds(
    lambda lens, kind, score, x, y, w, h: Find(lens, kind, score, (x, y, x + w, y + h)),
    st.integers(0, 1), st.sampled_from(["face", "plate"]), st.floats(0, 1), side, side, side, side,
)  # fmt: skip


def _inside(inner: Find, outer: Find) -> bool:
    low, high = np.array(inner.box).reshape(2, 2)
    return bool((low >= outer.box[:2]).all() and (high <= outer.box[2:]).all())


@given(st.lists(finds, max_size=12))
def test_every_find_lies_in_one_that_is_kept_and_scores_no_less(given_finds: list[Find]) -> None:
    kept = outermost(given_finds)
    for find in given_finds:
        homes = [other for other in kept if (other.lens, other.kind) == (find.lens, find.kind) and _inside(find, other)]
        assert any(home.score >= find.score for home in homes)


@pytest.mark.parametrize(("kind", "lens", "count"), [("face", 0, 1), ("plate", 0, 2), ("face", 1, 2)])
def test_only_what_is_of_the_same_lens_and_kind_is_one(kind: Kind, lens: int, count: int) -> None:
    outer, inner = Find(0, "face", 0.4, (0, 0, 20, 20)), Find(lens, kind, 0.9, (5, 5, 10, 10))
    assert len(outermost([inner, outer])) == count
