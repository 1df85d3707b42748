"""Whom chaos strikes, and when."""

import random
from collections import Counter
from itertools import islice

import pytest

from benchmarks.chaos.fleet import KINDS
from benchmarks.chaos.run import CUT, schedule


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_struck_as_often_as_any_other(seed: int) -> None:
    rounds = 4
    struck = Counter(islice(schedule(random.Random(seed)), rounds * (len(KINDS) + 1)))
    assert struck == dict.fromkeys((*KINDS, CUT), rounds)


def test_a_seed_strikes_the_same_again() -> None:
    assert list(islice(schedule(random.Random(3)), 50)) == list(islice(schedule(random.Random(3)), 50))
