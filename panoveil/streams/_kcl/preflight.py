"""What must be so before the daemon is worth starting: its own complaints are stack traces, and it never gives up."""

from panoveil.aws import plain_client, translated
from panoveil.streams._kcl.config import KclConfig
from panoveil.streams._provision import shard_ids


def shards_of(config: KclConfig) -> frozenset[str]:
    """Return the ids of every shard that the stream still has; raise as `check_stream` does."""
    return shard_ids(config.stream_name, config.region, config.endpoint_url)


def check_stream(config: KclConfig) -> None:
    """Raise `Misconfigured` where the stream is not there or may not be read, `Unavailable` where Kinesis does not answer."""
    kinesis = plain_client("kinesis", config.region, config.endpoint_url)
    with translated("kinesis", f"stream {config.stream_name}"):
        kinesis.describe_stream_summary(StreamName=config.stream_name)
