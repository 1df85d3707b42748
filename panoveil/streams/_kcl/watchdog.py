"""Removes the lock of a leader that is dead for good: without a leader the KCL assigns no lease, and it may never elect another one.

Some versions of its lock client never take over from a leader that was killed (KCL issue 1803). The known way out is to delete the item
`Leader` of the application's `-CoordinatorState`. This does it, once the lock's own lease has run out and somebody waits for a leader.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from panoveil.aws import Expecting, Refused, plain_client, translated
from panoveil.contracts.errors import PanoveilError
from panoveil.streams._kcl.config import KclConfig

_log = logging.getLogger("panoveil.streams.kcl")
_LOCK = {"key": {"S": "Leader"}}
_VERSION = "recordVersionNumber"
_LOST_RACE = frozenset({"ConditionalCheckFailedException"})
_ENDED = "SHARD_END"
_SUSPECT = 0.5
"""Share of its lease after which a lock makes one look at who waits; a live leader renews it four times a lease."""

Item = Mapping[str, Mapping[str, str]]


class Stillness:
    """For how long a value was seen unchanged: seconds between looks, where a gap counts as `longest_gap` at most.

    A machine that slept has not watched; a leader that slept with it is none that is dead.
    """

    def __init__(self, longest_gap: float) -> None:
        """`longest_gap` is in seconds."""
        self._longest_gap = longest_gap
        self._value: Hashable = None
        self._looked = 0.0
        self._still = 0.0

    def seconds(self, value: Hashable, now: float) -> float:
        """Note a look at `now`, in seconds of any clock that only runs forward."""
        gap = min(now - self._looked, self._longest_gap)
        self._still = self._still + gap if value == self._value else 0.0
        self._value, self._looked = value, now
        return self._still


class Watchdog:
    """Looks every `failover_seconds`. A lock or a lease that anybody renews is never touched."""

    def __init__(self, config: KclConfig, dynamodb: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`dynamodb` is a blocking client, opened where it is None."""
        self._dynamodb = dynamodb or plain_client("dynamodb", config.region, config.tables_url)
        self._table = config.application
        self._states = f"{config.application}-CoordinatorState"
        self._every = config.failover_seconds
        self._clock = clock
        self._lock = self._stillness()
        self._leases: dict[str, Stillness] = {}

    async def run(self) -> None:
        """Look for ever. Where it may not, or is not answered, it says so and looks again."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await asyncio.to_thread(self.look)
            except (PanoveilError, Refused) as error:
                _log.warning("the leader cannot be watched: %s", error)

    def look(self) -> bool:
        """Look once; return whether a dead leader's lock was removed."""
        with translated("dynamodb", f"table {self._states}"):
            lock: Item = self._dynamodb.get_item(TableName=self._states, Key=_LOCK, ConsistentRead=True).get("Item", {})
        leases_long = self._lock.seconds(lock.get(_VERSION, {}).get("S"), self._clock()) / _lease_seconds(lock)
        if leases_long < _SUSPECT:
            self._leases.clear()
            return False
        return self._somebody_waits() and leases_long > 1 and self._remove(lock)

    def _somebody_waits(self) -> bool:
        with translated("dynamodb", f"table {self._table}"):
            pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
            leases: list[Item] = [lease for page in pages for lease in page["Items"]]
        # Every lease is looked at each time, not only up to the first.
        abandoned = [self._is_nobodys(lease) for lease in leases if lease.get("checkpoint", {}).get("S") != _ENDED]
        return any(abandoned)

    def _is_nobodys(self, lease: Item) -> bool:
        stillness = self._leases.setdefault(lease["leaseKey"]["S"], self._stillness())
        renewed = (lease.get("leaseOwner", {}).get("S"), lease.get("leaseCounter", {}).get("N"))
        return stillness.seconds(renewed, self._clock()) > 2 * self._every

    def _remove(self, lock: Item) -> bool:
        removed = False
        with Expecting(_LOST_RACE), translated("dynamodb", f"table {self._states}"):
            self._dynamodb.delete_item(
                TableName=self._states,
                Key=_LOCK,
                ConditionExpression=f"{_VERSION} = :seen",
                ExpressionAttributeValues={":seen": lock[_VERSION]},
            )
            removed = True
        if removed:
            _log.warning("%s: removed the lock of its dead leader %s", self._table, lock.get("ownerName", {}).get("S"))
        return removed

    def _stillness(self) -> Stillness:
        return Stillness(longest_gap=2 * self._every)


def release(config: KclConfig, dynamodb: Any = None) -> None:
    """Remove the leader's lock where this worker holds it: called while its daemon is down, so the holder is dead.

    A daemon that starts anew does not know the lock for its own and would wait for it to run out, two minutes in which no lease is
    assigned. Where it cannot be removed that is said, and waited for.
    """
    table = f"{config.application}-CoordinatorState"
    try:
        with Expecting(_LOST_RACE), translated("dynamodb", f"table {table}"):
            (dynamodb or plain_client("dynamodb", config.region, config.tables_url)).delete_item(
                TableName=table,
                Key=_LOCK,
                ConditionExpression="ownerName = :me",
                ExpressionAttributeValues={":me": {"S": config.worker_id}},
            )
    except (PanoveilError, Refused) as error:
        _log.warning("the lock of this worker's dead daemon stays until it runs out: %s", error)


async def watch(config: KclConfig) -> None:
    """Watch an application's leader for ever."""
    await Watchdog(config).run()


def _lease_seconds(lock: Item) -> float:
    """The lock says in milliseconds how long it holds without being renewed; one that does not, or is not there, is left alone."""
    duration = lock.get("leaseDuration", {})
    text = duration.get("S") or duration.get("N") or ""
    return int(text) / 1000 if text.isdigit() and int(text) else float("inf")
