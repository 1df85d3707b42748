from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.streams._watermark import Watermark


def test_nothing_may_be_checkpointed_at_first() -> None:
    watermark = Watermark()
    watermark.delivered("7")
    assert watermark.mark is None


def test_the_mark_waits_for_the_gap_and_then_jumps() -> None:
    watermark = Watermark()
    for number in "123":
        watermark.delivered(number)
    watermark.completed("3")
    watermark.completed("2")
    assert watermark.mark is None
    watermark.completed("1")
    assert watermark.mark == "3"


def test_the_streams_spelling_is_kept() -> None:
    watermark = Watermark()
    watermark.delivered("0009")
    watermark.delivered("0010")
    watermark.completed("0010")
    watermark.completed("0009")
    assert watermark.mark == "0010"


def test_a_record_delivered_twice_must_finish_twice() -> None:
    watermark = Watermark()
    watermark.delivered("5")
    watermark.delivered("5")
    watermark.completed("5")
    assert (watermark.mark, watermark.unfinished) == (None, 1)
    watermark.completed("5")
    assert (watermark.mark, watermark.unfinished) == ("5", 0)


def test_a_redelivered_old_record_does_not_lower_the_mark() -> None:
    watermark = Watermark()
    for number in ("4", "9", "4"):
        watermark.delivered(number)
        watermark.completed(number)
    assert watermark.mark == "9"


def test_what_was_not_delivered_cannot_complete() -> None:
    with pytest.raises(KeyError):
        Watermark().completed("1")


@given(st.lists(st.integers(0, 30)), st.randoms(use_true_random=False))
def test_the_mark_is_the_highest_number_below_all_unfinished_ones(numbers: list[int], chance: Random) -> None:
    """Whatever is delivered, redelivered and completed in whatever order."""
    watermark, unfinished, seen, highest = Watermark(), Counter[int](), set[int](), -1
    todo = list(numbers)
    while todo or unfinished:
        if todo and (not unfinished or chance.random() < 0.5):
            number = todo.pop(0)
            watermark.delivered(str(number))
            unfinished[number] += 1
            seen.add(number)
        else:
            number = chance.choice(sorted(unfinished))
            watermark.completed(str(number))
            unfinished -= Counter([number])
        reachable = [n for n in seen if not unfinished or n < min(unfinished)]
        highest = max([highest, *reachable])
        assert watermark.mark == (str(highest) if highest >= 0 else None)
        assert watermark.unfinished == unfinished.total()


@given(st.permutations(range(1, 12)))
def test_a_checkpoint_never_passes_an_unfinished_record(order: list[int]) -> None:
    watermark = Watermark()
    for number in range(1, 12):
        watermark.delivered(str(number))
    unfinished = set(range(1, 12))
    for number in order:
        watermark.completed(str(number))
        unfinished.remove(number)
        assert int(watermark.mark or 0) < min(unfinished, default=12)
    assert watermark.mark == "11"
