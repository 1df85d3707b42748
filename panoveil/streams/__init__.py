"""Streams: records to work on, and a place to send.

Sources: `KclSource` (Kinesis through the KCL) and `MemoryStreams(...).source(...)`. Sinks: `kinesis_sink(...)` and `MemoryStreams`.
`Consumer` puts retries, quarantine and metrics around a handler.
"""

from panoveil.streams._circuit import RetryPolicy
from panoveil.streams._kcl.config import KclConfig, Limits
from panoveil.streams._kcl.java import find_java
from panoveil.streams._kcl.source import KclSource
from panoveil.streams._kinesis import KinesisSink, Resend, kinesis_sink
from panoveil.streams._memory import MemorySource, MemoryStreams
from panoveil.streams._port import Outgoing, PartlySent, Record, RecordSink, RecordSource, Work
from panoveil.streams._provision import kept_since, provision_application, provision_streams, retire_application
from panoveil.streams._shared import Shared
from panoveil.streams.consumer import Consumer, Handler, Quarantine

__all__ = [
    "Consumer",
    "Handler",
    "KclConfig",
    "KclSource",
    "KinesisSink",
    "Limits",
    "MemorySource",
    "MemoryStreams",
    "Outgoing",
    "PartlySent",
    "Quarantine",
    "Record",
    "RecordSink",
    "RecordSource",
    "Resend",
    "RetryPolicy",
    "Shared",
    "Work",
    "find_java",
    "kept_since",
    "kinesis_sink",
    "provision_application",
    "provision_streams",
    "retire_application",
]
