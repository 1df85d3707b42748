"""The files the daemon is started with: its properties, its logging, its way to start a child."""

import contextlib
import fcntl
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from panoveil.streams._kcl.config import KclConfig

_PREFIX = "panoveil-kcl-"
_SOCKET_PATH_LIMIT = 100
_MAKING = 60.0
"""Seconds after which a folder that nobody locks is left over, and not just being made."""
_LOGBACK = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%level %logger{0}: %msg%n%ex{short}</pattern></encoder>
  </appender>
  <!-- They warn at every start that is as it should be. -->
  <logger name="software.amazon.kinesis.coordinator.assignment.LeaseAssignmentManager" level="ERROR"/>
  <logger name="software.amazon.kinesis.worker.WorkerMetricsSelector" level="ERROR"/>
  <logger name="software.amazon.kinesis.metrics" level="ERROR"/>
  <logger name="software.amazon.awssdk.http.nio.netty.internal.http2.Http2PingHandler" level="ERROR"/>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Lend a folder only this user can read, whose path has no blanks and is short enough to hold a Unix socket.

    It is removed after the block, or, where this process is killed, by a later one: the lock in it tells whose owner lives.
    """
    parent = _parent()
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a private folder in it
        if len(parent) < _SOCKET_PATH_LIMIT - 40 and not any(map(str.isspace, parent)) and Path(parent).is_dir():
            return Path(parent)
    raise Misconfigured("No folder for temporary files: set TMPDIR to a short path without blanks.")


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*/lock"):
        # A folder of another user, or one that is in use.
        with contextlib.suppress(OSError), path.open("r+") as lock:
            if time.time() - path.stat().st_mtime > _MAKING:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)


def write_files(folder: Path, config: KclConfig) -> None:
    """Write `properties`, `logback.xml` and `child` into `folder`; the socket `link` will lie there too."""
    properties = properties_of(config, child=folder / "child")
    (folder / "properties").write_text("".join(f"{name} = {value}\n" for name, value in properties.items()))
    (folder / "logback.xml").write_text(_LOGBACK)
    (folder / "child").write_text(child_script(folder / "link"))


def child_script(link: Path) -> str:
    """The daemon splits its executable's name at blanks, a path of Python may have some; a script in between has neither."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("child.py")), str(link)]
    return f"exec {shlex.join(command)}\n"


def properties_of(config: KclConfig, child: Path) -> Mapping[str, str]:
    """What the daemon is told, in its own words."""
    failover = round(config.failover_seconds * 1000)
    poll = round(config.poll_seconds * 1000)
    properties = {
        "executableName": f"/bin/sh {child}",
        "streamName": config.stream_name,
        "applicationName": config.application,
        "workerId": config.worker_id,
        "regionName": config.region,
        "AwsCredentialsProvider": "DefaultCredentialsProvider",
        "processingLanguage": "python",
        # The default, LATEST, loses what was sent before the first start.
        "initialPositionInStream": "TRIM_HORIZON",
        # Unset, it registers a consumer with enhanced fan-out, which is billed: only where that was asked for.
        "retrievalMode": config.retrieval.upper(),
        "metricsLevel": "NONE",
        "maxRecords": str(config.batch),
        "idleTimeBetweenReadsInMillis": str(poll),
        # Without it, what completes on an idle stream is never checkpointed.
        "callProcessRecordsEvenForEmptyRecordList": "true",
        "skipShardSyncAtWorkerInitializationIfLeasesExist": "true",
        "shardSyncIntervalMillis": "1000",
        "parentShardPollIntervalMillis": "2000",
        "failoverTimeMillis": str(failover),
        # A first lease is assigned after the first report and the second look.
        "leaseAssignmentIntervalMillis": "2000",
        "workerMetricsReporterFreqInMillis": "2000",
        "inMemoryWorkerMetricsCaptureFrequencyMillis": "2000",
        "shutdownGraceMillis": str(round((config.limits.drain_seconds + 7) * 1000)),
    }
    if config.start is not None:
        del properties["initialPositionInStream"]
        properties["initialPositionInStreamExtended"] = str(int(config.start))
    endpoints = {"kinesisEndpoint": config.endpoint_url, "dynamoDBEndpoint": config.tables_url}
    return properties | {name: url for name, url in endpoints.items() if url}
