import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.deploy.policy import Policy, Seen, desired

POLICY = Policy()


def _seen(behind_s: float = 0, quiet_s: float = 0, calm_s: float = 1e6, unchanged_s: float = 1e6) -> Seen:
    return Seen(behind_s, quiet_s, calm_s if behind_s < POLICY.low_s else 0, unchanged_s)


@pytest.mark.parametrize(("behind_s", "tasks"), [(30, 10), (45, 12), (120, 15), (600, 20), (7200, 20)])
def test_each_step_of_lag_adds_its_share(behind_s: float, tasks: int) -> None:
    assert desired(POLICY, 10, _seen(behind_s), most=100) == tasks


def test_a_single_task_gets_company_whatever_the_step() -> None:
    assert desired(POLICY, 1, _seen(45), most=100) == 2


def test_nothing_grows_again_within_the_cooldown() -> None:
    assert desired(POLICY, 10, _seen(7200, unchanged_s=60), most=100) == 10


def test_low_lag_takes_tasks_away_after_the_longer_cooldown_only() -> None:
    assert desired(POLICY, 10, _seen(unchanged_s=300), most=100) == 10
    assert desired(POLICY, 10, _seen(unchanged_s=600), most=100) == 9
    assert desired(POLICY, 20, _seen(unchanged_s=600), most=100) == 17


def test_low_lag_takes_nothing_away_before_it_was_low_for_long() -> None:
    assert desired(POLICY, 10, _seen(calm_s=599), most=100) == 10


def test_the_last_task_stays_while_something_comes_and_goes_when_nothing_does() -> None:
    assert desired(POLICY, 1, _seen(quiet_s=600), most=100) == 1
    assert desired(POLICY, 1, _seen(quiet_s=900), most=100) == 0


def test_records_wake_a_stage_that_sleeps() -> None:
    assert desired(POLICY, 0, _seen(quiet_s=30), most=100) == 0
    assert desired(POLICY, 0, _seen(quiet_s=0, unchanged_s=0), most=100) == 1


@given(st.integers(0, 500), st.integers(0, 200), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_there_are_never_more_tasks_than_shards(tasks: int, most: int, behind: float, quiet: float, unchanged: float) -> None:
    assert 0 <= desired(POLICY, tasks, _seen(behind, quiet, unchanged_s=unchanged), most) <= most


@given(st.integers(1, 200), st.floats(0, 1e5), st.floats(0, 1e5))
def test_more_lag_never_means_fewer_tasks(tasks: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert desired(POLICY, tasks, _seen(less), 1000) <= desired(POLICY, tasks, _seen(more), 1000)
