"""The notification is one that S3 could have written."""

import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts import examples
from services.agent.notification import object_created

AT = datetime(2026, 5, 11, 8, 14, 3, 412345, tzinfo=UTC)


def _record(key: str = "dk/d1/c1/front.jpg", at: datetime = AT) -> dict[str, object]:
    (record,) = json.loads(object_created("panoveil-raw", key, 7, "abc", at))["Records"]
    return dict(record)


def test_it_has_the_form_of_the_example() -> None:
    (example,) = json.loads(examples.read("uploads.s3_notification.2.1"))["Records"]
    record = _record()
    assert set(record) == set(example) - {"awsRegion"}
    assert {key: set(value) for key, value in record["s3"].items() if isinstance(value, dict)} == {  # type: ignore[attr-defined]
        key: set(value) for key, value in example["s3"].items() if isinstance(value, dict)
    }
    for constant in ("eventVersion", "eventSource", "eventName"):
        assert record[constant] == example[constant]


def test_it_says_what_was_uploaded() -> None:
    assert _record()["s3"]["object"] == {  # type: ignore[index]
        "key": "dk/d1/c1/front.jpg",
        "size": 7,
        "eTag": "abc",
        "sequencer": "0006518654619379",
    }
    assert _record(at=AT.astimezone(timezone(timedelta(hours=2))))["eventTime"] == "2026-05-11T08:14:03.412Z"


@given(st.text(min_size=1, max_size=50))
def test_any_key_is_encoded_as_s3_does(key: str) -> None:
    encoded = json.loads(object_created("b", key, 0, "", AT))["Records"][0]["s3"]["object"]["key"]
    assert unquote_plus(encoded) == key
    assert " " not in encoded
    assert encoded.isascii()


@given(st.integers(0, 2**45), st.integers(1, 2**40))
def test_the_later_sequencer_is_the_greater_text(start: int, more: int) -> None:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    earlier, later = (
        json.loads(object_created("b", "k", 0, "", epoch + timedelta(microseconds=at))) for at in (start, start + more)
    )
    assert earlier["Records"][0]["s3"]["object"]["sequencer"] < later["Records"][0]["s3"]["object"]["sequencer"]
