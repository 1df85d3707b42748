"""What must be so before the daemon is worth starting: its own complaints are stack traces, and it never gives up."""

from panoveil.aws import plain_client, translated
from panoveil.streams._kcl.config import KclConfig


def check_stream(config: KclConfig) -> None:
    """Raise `Misconfigured` where the stream is not there or may not be read, `Unavailable` where Kinesis does not answer."""
    kinesis = plain_client("kinesis", config.region, config.endpoint_url)
    with translated("kinesis", f"stream {config.stream_name}"):
        kinesis.describe_stream_summary(StreamName=config.stream_name)
