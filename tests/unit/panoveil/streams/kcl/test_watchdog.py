"""When a leader's lock is removed, and when it must not be; tests/streams has the real table."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from panoveil.streams import KclConfig
from panoveil.streams._kcl.watchdog import Stillness, Watchdog, release

LEASE, FAILOVER = 120.0, 6.0
CONFIG = KclConfig("app", "cars", "eu-north-1", "me", "test", failover_seconds=FAILOVER)


class World:
    """The two tables, with a clock; renewals are writes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lock: dict[str, dict[str, str]] | None = {
            "key": {"S": "Leader"},
            "ownerName": {"S": "them"},
            "leaseDuration": {"S": str(round(LEASE * 1000))},
            "recordVersionNumber": {"S": "0"},
        }
        self.leases = {"shard-1": {"leaseKey": {"S": "shard-1"}, "leaseOwner": {"S": "them"}, "leaseCounter": {"N": "0"}}}
        self.writes = 0
        self.just_before_the_delete: Any = lambda: None
        self.watchdog = Watchdog(CONFIG, self, clock=lambda: self.now)

    def renew_lock(self) -> None:
        assert self.lock is not None
        self.writes += 1
        self.lock["recordVersionNumber"] = {"S": str(self.writes)}

    def renew_lease(self, shard: str = "shard-1") -> None:
        self.writes += 1
        self.leases[shard]["leaseCounter"] = {"N": str(self.writes)}

    def looks(self, seconds: float, every: float = FAILOVER, **renewing: Any) -> bool:
        """Look for so long; return whether the lock was removed."""
        end = self.now + seconds
        while self.now < end:
            self.now += every
            for renew in renewing.values():
                renew()
            if self.watchdog.look():
                return True
        return False

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert (TableName, ConsistentRead) == ("app-CoordinatorState", True)
        return {"Item": dict(self.lock)} if self.lock else {}

    def get_paginator(self, call: str) -> "World":
        return self

    def paginate(self, *, TableName: str, ConsistentRead: bool) -> Iterator[Mapping[str, Any]]:  # noqa: N803
        assert (TableName, ConsistentRead) == ("app", True)
        for lease in self.leases.values():
            yield {"Items": [dict(lease)]}

    def delete_item(self, *, TableName: str, Key: Any, ConditionExpression: str, ExpressionAttributeValues: Any) -> None:  # noqa: N803
        assert (TableName, ConditionExpression) == ("app-CoordinatorState", "recordVersionNumber = :seen")
        self.just_before_the_delete()
        if self.lock is None or self.lock["recordVersionNumber"] != ExpressionAttributeValues[":seen"]:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "DeleteItem")
        self.lock = None


class Lock:
    """The one item, deleted by whoever says its owner's name."""

    def __init__(self, owner: str) -> None:
        self.owner: str | None = owner

    def delete_item(self, *, TableName: str, Key: Any, ConditionExpression: str, ExpressionAttributeValues: Any) -> None:  # noqa: N803
        assert (TableName, Key) == ("app-CoordinatorState", {"key": {"S": "Leader"}})
        assert ConditionExpression == "ownerName = :me"
        if ExpressionAttributeValues[":me"] != {"S": self.owner}:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "DeleteItem")
        self.owner = None


@pytest.mark.parametrize(("owner", "left"), [("me", None), ("them", "them")])
def test_a_worker_releases_the_lock_of_its_own_dead_daemon_and_no_other(owner: str, left: str | None) -> None:
    lock = Lock(owner)
    release(CONFIG, lock)
    assert lock.owner == left


def test_a_lock_that_cannot_be_released_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        def delete_item(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DeleteItem")

    release(CONFIG, Down())
    assert "until it runs out" in caplog.text


@pytest.fixture
def world() -> World:
    return World()


def test_the_lock_of_a_dead_leader_is_removed_once_its_lease_has_run_out_and_a_shard_waits(world: World) -> None:
    assert not world.looks(LEASE)
    assert world.looks(5 * FAILOVER)
    assert world.lock is None


def test_a_lock_that_is_renewed_is_left(world: World) -> None:
    for _ in range(20):
        assert not world.looks(LEASE - FAILOVER)
        world.renew_lock()
    assert world.lock is not None


def test_a_lock_is_left_while_every_lease_is_renewed(world: World) -> None:
    assert not world.looks(5 * LEASE, renewing=world.renew_lease)
    assert world.lock is not None


def test_a_lease_without_an_owner_waits(world: World) -> None:
    world.leases["shard-2"] = {"leaseKey": {"S": "shard-2"}, "leaseCounter": {"N": "0"}}
    assert world.looks(LEASE + 6 * FAILOVER, renewing=world.renew_lease)


def test_a_shard_that_is_finished_waits_for_nobody(world: World) -> None:
    world.leases["shard-1"]["checkpoint"] = {"S": "SHARD_END"}
    assert not world.looks(5 * LEASE)


def test_a_leader_that_renews_at_the_last_moment_keeps_its_lock(world: World) -> None:
    world.just_before_the_delete = world.renew_lock
    assert not world.looks(2 * LEASE)
    assert world.lock is not None


def test_no_lock_is_nothing_to_remove(world: World) -> None:
    world.lock = None
    assert not world.looks(5 * LEASE)


def test_a_lock_that_does_not_say_how_long_it_holds_is_left(world: World) -> None:
    assert world.lock is not None
    del world.lock["leaseDuration"]
    assert not world.looks(50 * LEASE)


def test_a_machine_that_slept_has_not_watched(world: World) -> None:
    # Both slept: the leader has had no chance to renew.
    assert not world.looks(FAILOVER)
    world.now += 10 * LEASE
    assert not world.looks(LEASE - 3 * FAILOVER)


async def test_one_that_may_not_look_says_so_and_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    twice = asyncio.Event()

    class Forbidden:
        def get_item(self, **_: Any) -> None:
            nonlocal looks
            looks += 1
            if looks == 2:
                loop.call_soon_threadsafe(twice.set)
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")

    loop = asyncio.get_running_loop()
    config = KclConfig("app", "cars", "eu-north-1", "me", "test", failover_seconds=0.0)
    running = asyncio.create_task(Watchdog(config, Forbidden()).run())
    await asyncio.wait_for(twice.wait(), 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert looks >= 2


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.1, 1000)), min_size=1))
def test_stillness_never_claims_more_than_was_watched(looks: list[tuple[int, float]]) -> None:
    stillness, now, since, before = Stillness(longest_gap=10.0), 0.0, 0.0, None
    for value, pause in looks:
        now += pause
        since = now if value != before else since
        before = value
        assert stillness.seconds(value, now) <= now - since
