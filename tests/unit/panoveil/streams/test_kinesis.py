from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.contracts.keys import Stream
from panoveil.streams import KinesisSink, Outgoing, Resend
from panoveil.streams._kinesis import MAX_BYTES, MAX_RECORDS, batches
from panoveil.streams._port import MAX_RECORD_BYTES, check_sizes


class FakeKinesis:
    """Takes every record but those whose turn in `refusals` says no; `refusals` holds a set of indices a call."""

    def __init__(self, *refusals: set[int], error: Exception | None = None) -> None:
        self.refusals = list(refusals)
        self.error = error
        self.taken: list[bytes] = []
        self.calls: list[int] = []

    async def put_records(self, *, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        if self.error:
            raise self.error
        self.calls.append(len(Records))
        refused = self.refusals.pop(0) if self.refusals else set[int]()
        self.taken += [record["Data"] for index, record in enumerate(Records) if index not in refused]
        results = [{"ErrorCode": "ProvisionedThroughputExceededException"} if i in refused else {} for i in range(len(Records))]
        return {"FailedRecordCount": len(refused), "Records": results}


async def no_sleep(seconds: float) -> None:
    assert seconds > 0


def sink(client: FakeKinesis, attempts: int = 4) -> KinesisSink:
    return KinesisSink(client, {Stream.CAPTURES: "real-captures"}, Resend(attempts=attempts), no_sleep)


def outgoing(count: int) -> list[Outgoing]:
    return [Outgoing(f"key-{n}", b"%d" % n) for n in range(count)]


async def test_everything_is_sent() -> None:
    client = FakeKinesis()
    await sink(client).send(Stream.CAPTURES, outgoing(3))
    assert client.taken == [b"0", b"1", b"2"]


async def test_nothing_is_no_call() -> None:
    client = FakeKinesis()
    await sink(client).send(Stream.CAPTURES, [])
    assert client.calls == []


async def test_only_what_failed_is_sent_again() -> None:
    client = FakeKinesis({1, 2}, {0})
    await sink(client).send(Stream.CAPTURES, outgoing(4))
    assert client.calls == [4, 2, 1]
    assert sorted(client.taken) == [b"0", b"1", b"2", b"3"]


async def test_it_gives_up_after_so_many_attempts() -> None:
    client = FakeKinesis(*[{0}] * 9)
    with pytest.raises(Unavailable, match="kinesis"):
        await sink(client, attempts=4).send(Stream.CAPTURES, outgoing(1))
    assert len(client.calls) == 4


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EndpointConnectionError(endpoint_url="http://x"), Unavailable),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "PutRecords"), Unavailable),
        (ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutRecords"), Misconfigured),
    ],
)
async def test_failures_are_judged(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="real-captures"):
        await sink(FakeKinesis(error=error)).send(Stream.CAPTURES, outgoing(1))


def test_a_record_may_have_a_mebibyte_key_included() -> None:
    check_sizes([Outgoing("kø", bytes(MAX_RECORD_BYTES - 3))])
    with pytest.raises(ValueError, match="a record of 1048577 bytes; Kinesis takes 1048576"):
        check_sizes([Outgoing("kø", bytes(MAX_RECORD_BYTES - 2))])


@given(st.lists(st.one_of(st.integers(0, 50), st.integers(MAX_RECORD_BYTES - 2000, MAX_RECORD_BYTES - 10)), max_size=30))
def test_batches_keep_all_records_in_order_within_the_limits(sizes: list[int]) -> None:
    records = [Outgoing("ké", bytes(size)) for size in sizes]
    cut = list(batches(records))
    assert [record for batch in cut for record in batch] == records
    assert all(batch for batch in cut)
    assert all(sum(len(record.data) + 3 for record in batch) <= MAX_BYTES for batch in cut)


def test_batches_are_no_longer_than_kinesis_takes() -> None:
    assert [len(batch) for batch in batches(outgoing(2 * MAX_RECORDS + 1))] == [MAX_RECORDS, MAX_RECORDS, 1]
