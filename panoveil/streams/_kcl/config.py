"""What a KCL source is told."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is worked on and held at once, and how often it is checkpointed.

    `hold_seconds` bounds how long a batch may keep the daemon waiting: a child that waits cannot hear that its lease moves.
    `max_held_per_shard` bounds what piles up when batches are then accepted with nothing finished. A daemon that says nothing of a
    shard for `stall_seconds` is started again.
    """

    max_in_flight: int = 8
    max_in_flight_per_shard: int = 8
    max_held_per_shard: int = 100
    hold_seconds: float = 5.0
    checkpoint_seconds: float = 1.0
    drain_seconds: float = 12.0
    stall_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class KclConfig:
    """One consumer application on one stream.

    `application` names the lease table; tasks of one application share its shards. `worker_id` is stable on a laptop (a restart
    is then quick) and unique to the task on ECS (two alive with the same one do the work twice). `endpoint_url` is the
    emulator that serves Kinesis, and DynamoDB too unless `dynamodb_endpoint_url` names another; None means AWS. `java` is a path, or None to search. A shard is read every
    `poll_seconds`, `max_records` at most; None means six times what may be in flight: quick work is not to wait for the next read.
    `start` and `end` are for an application that reads a part of a stream, epoch seconds: it begins with what arrived then, where its
    leases were provisioned `from_time`, and stops by itself once every shard has passed the end.
    With `retrieval` "fanout" Kinesis pushes instead: the application registers a consumer of its own name, which is billed by the hour and shard.
    """

    application: str
    stream_name: str
    region: str
    worker_id: str
    service: str
    endpoint_url: str | None = None
    dynamodb_endpoint_url: str | None = None
    java: str | None = None
    max_records: int | None = None
    poll_seconds: float = 1.0
    failover_seconds: float = 6.0
    start: float | None = None
    end: float | None = None
    retrieval: Literal["polling", "fanout"] = "polling"
    limits: Limits = Limits()

    @property
    def tables_url(self) -> str | None:
        """The emulator that serves DynamoDB."""
        return self.dynamodb_endpoint_url or self.endpoint_url

    @property
    def batch(self) -> int:
        """Records to fetch at once."""
        return self.max_records or max(10, 6 * self.limits.max_in_flight)
