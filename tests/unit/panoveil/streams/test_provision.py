from typing import Any

import pytest

from panoveil.streams._provision import _is_fresh, root_shards


def shard(name: str, *parents: str) -> dict[str, Any]:
    return {"ShardId": name, **dict(zip(("ParentShardId", "AdjacentParentShardId"), parents, strict=False))}


@pytest.mark.parametrize(
    ("shards", "roots"),
    [
        ([shard("a"), shard("b")], ["a", "b"]),
        ([shard("a"), shard("b", "a"), shard("c", "a")], ["a"]),
        ([shard("a"), shard("b"), shard("c", "a", "b")], ["a", "b"]),
        # The parent has aged out of the stream: nobody else will make its child's lease.
        ([shard("b", "gone"), shard("c", "b")], ["b"]),
    ],
)
def test_only_shards_without_a_living_parent_get_a_lease(shards: list[dict[str, Any]], roots: list[str]) -> None:
    assert [one["ShardId"] for one in root_shards(shards)] == roots


@pytest.mark.parametrize(
    ("lease", "fresh"),
    [
        ({"checkpoint": {"S": "TRIM_HORIZON"}}, True),
        ({"checkpoint": {"S": "TRIM_HORIZON"}, "leaseOwner": {"S": "me"}}, False),
        ({"checkpoint": {"S": "SHARD_END"}}, False),
        ({"checkpoint": {"S": "4955"}}, False),
        ({}, False),
    ],
)
def test_a_lease_somebody_touched_is_known(lease: dict[str, Any], fresh: bool) -> None:  # noqa: FBT001
    assert _is_fresh(lease) is fresh
