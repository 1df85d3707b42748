"""S3 event notification records, as S3 itself would write them."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def object_created(bucket: str, key: str, size: int, etag: str, at: datetime) -> bytes:
    """Return the notification of one object: `size` in bytes, `at` the time its PUT was acknowledged."""
    moment = at.astimezone(UTC)
    # S3 compares sequencers of one key as hexadecimal text: the later is the greater.
    sequencer = f"{(moment - _EPOCH) // timedelta(microseconds=1):016X}"
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": quote_plus(key, safe="/"), "size": size, "eTag": etag, "sequencer": sequencer},
        },
    }
    return json.dumps({"Records": [record]}, separators=(",", ":")).encode()
