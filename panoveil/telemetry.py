"""Every metric once: its name, unit, labels and meaning. Services import these and set them.

Labels are few and bounded: services, streams, steps, reasons, classes, rigs and their lenses. None names a capture, a drive or a person.
`service` is the application that consumes a stream as the KCL knows it, without the namespace: a service, or `replay`.
"""

import os
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.messages import Quality
from panoveil.contracts.reasons import Reason

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_EDGES = (0, 8, 12, 16, 24, 48)
HEIGHTS = (*(f"{low:02}-{high:02}" for low, high in pairwise(_EDGES)), f"{_EDGES[-1]}+")
_recipes: dict[str, str] = {}
_STATES = {"ingest": ("ready",), "stitcher": ("stitched",), "anonymizer": ("published", "held")}
"""To which states a service moves captures."""

_SOON = 0.1
_CAUSES = ("bug", "dynamodb", "kinesis", "kms", "s3", "triton")

RECORDS = Counter(
    "panoveil_records", "Records of a stream that ended, by outcome: done, ignored, quarantined.", ["service", "outcome"]
)
RETRIES = Counter("panoveil_retries", "Handler attempts that failed and were repeated, by cause.", ["service", "cause"])
QUARANTINED = Counter("panoveil_quarantined", "Inputs quarantined, by reason.", ["service", "reason"])
IN_FLIGHT = Gauge("panoveil_in_flight", "Records now being worked on.", ["service"])
WAITING = Gauge("panoveil_waiting", "Records handed to the service that no worker has begun.", ["service", "stream"])
LAG_SECONDS = Gauge(
    "panoveil_lag_seconds",
    "Age of the oldest record handed to the service and not finished; 0 when idle.",
    ["service", "stream"],
)
BEHIND_SECONDS = Gauge(
    "panoveil_behind_seconds",
    "How far the last batch was behind the end of its shard, as the KCL said, of the shard furthest behind.",
    ["service", "stream"],
)
SHARDS = Gauge("panoveil_shards", "Shards of the stream that this task works on.", ["service", "stream"])
KCL_STARTS = Counter(
    "panoveil_kcl_starts", "Starts of the KCL's daemon; more than one a task: it died or lost a child.", ["service"]
)
CHECKPOINTS = Counter("panoveil_checkpoints", "Checkpoints the lease owner accepted.", ["service"])
DEPENDENCY_UP = Gauge(
    "panoveil_dependency_up", "1 while the dependency answers, 0 while the service waits for it.", ["service", "dependency"]
)
STAGE_SECONDS = Histogram(
    "panoveil_stage_seconds", "Wall-clock seconds of one step of a handler.", ["service", "step"], buckets=_SECONDS
)
CPU_SECONDS = Counter("panoveil_cpu_seconds", "CPU seconds of the threads that ran a step of a handler.", ["service", "step"])
CAPTURES = Counter(
    "panoveil_captures",
    "Captures by the state they reached in this service; one that is worked on twice counts twice.",
    ["service", "state"],
)
RECIPE = Gauge("panoveil_recipe_info", "1 for the recipe that the service made its last output by.", ["service", "recipe_id"])
LEDGER = CollectorRegistry()
"""What the ledger says, which one process reads and serves for all; the metrics above and below belong to whoever counts them."""

LEDGER_CAPTURES = Gauge(
    "panoveil_ledger_captures",
    "Captures in the ledger by state, and by reason where they are unhappy.",
    ["state", "reason"],
    registry=LEDGER,
)
LEDGER_DRIVES = Gauge(
    "panoveil_ledger_drives",
    "Drives in the ledger: working while a capture of theirs has no end, else ended.",
    ["state"],
    registry=LEDGER,
)
LEDGER_OLDEST_SECONDS = Gauge(
    "panoveil_ledger_oldest_seconds",
    "How long the capture that has been in an unfinished state for longest is in it; 0: none is.",
    ["state"],
    registry=LEDGER,
)
LEDGER_QUARANTINE = Gauge(
    "panoveil_ledger_quarantine", "Quarantine entries that wait for somebody, by reason.", ["reason"], registry=LEDGER
)
LEDGER_AUDITED = Gauge("panoveil_ledger_audited", "Publications held against the audit chain by now.", registry=LEDGER)
LEDGER_UNVERIFIED = Gauge(
    "panoveil_ledger_unverified",
    "Of them those of which the audit chain knows no verification that found nothing. Must be 0.",
    registry=LEDGER,
)
LEDGER_READ = Gauge(
    "panoveil_ledger_read_timestamp_seconds", "When the ledger was last read for these figures, Unix time.", registry=LEDGER
)
BYTES = Counter("panoveil_bytes", "Object bytes moved, by direction: read or written.", ["service", "direction"])
HELD = Counter("panoveil_held", "Panoramas held until a person decides, by reason.", ["reason"])
QUALITY_SCORE = Histogram(
    "panoveil_quality_score",
    "Score of stitched panoramas, 1 is best.",
    ["rig"],
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
LENS_SCORE = Gauge("panoveil_lens_score", "Score of a lens in the capture stitched last, 1 is best.", ["rig", "lens"])
LENS_DRIFT_DEGREES = Gauge(
    "panoveil_lens_drift_degrees",
    "Degrees by which a lens is turned against its rig at least, by the drive stitched last; 0 where that is not known.",
    ["rig", "lens"],
)
LENS_DIRT_SHARE = Gauge(
    "panoveil_lens_dirt_share",
    "Share of what a lens sees that stays blank over the drive stitched last; 0 where that is not known.",
    ["rig", "lens"],
)
ARCHIVE_FAILURES = Counter(
    "panoveil_archive_failures", "Attempts to archive a capture's originals that failed, by cause.", ["cause"]
)
ARCHIVED_CAPTURES = Counter("panoveil_archived_captures", "Captures whose originals lie in the archive, verified by checksum.")
ARCHIVED_BYTES = Counter("panoveil_archived_bytes", "Bytes of the archive objects that were written and verified.")
DETECTIONS = Counter(
    "panoveil_detections",
    "Objects obfuscated, by class and by the height of their box in pixels of the panorama.",
    ["kind", "height"],
)
# Scrapes read in this order: a publication between the two must not look like one without its verification.
PUBLICATIONS = Counter("panoveil_publications", "Pictures put into the published bucket. Never more than clean verifications.")
VERIFICATIONS = Counter(
    "panoveil_verifications",
    "Pictures after their last verification: clean (nothing that counts), found (objects left), metadata (something else in the file).",
    ["result"],
)
DISMISSED_FINDS = Counter(
    "panoveil_dismissed_finds",
    "Doubtful finds of a last verification that lay in the open, where two looks had found nothing, and so did not hold the picture.",
)
DETECTOR_FAILURES = Counter(
    "panoveil_detector_failures",
    "Requests to a model that gave no valid answer, by cause: busy, unavailable, late, crashed, nonsense, blind.",
    ["model", "cause"],
)
VERIFICATION_ROUNDS = Histogram(
    "panoveil_verification_rounds", "Rounds until verification found nothing that counts.", buckets=(1, 2, 3, 4, 5)
)
OBFUSCATED_SHARE = Histogram(
    "panoveil_obfuscated_share",
    "Share of a panorama's area that was obfuscated.",
    buckets=(0.0001, 0.001, 0.003, 0.01, 0.03, 0.1),
)
AGENT_CAPTURES = Counter(
    "panoveil_agent_captures",
    "Captures the agent is done with: uploaded, uploaded_before, or left_behind in the car.",
    ["outcome"],
)
AGENT_WAITING_BYTES = Gauge("panoveil_agent_waiting_bytes", "Bytes of finished captures that the agent has still to upload.")
AGENT_LEFT = Counter("panoveil_agent_left_behind", "Captures and frames left in the car, by reason.", ["reason"])
REPLAYED = Counter("panoveil_replayed", "Captures replayed, by stage and outcome.", ["stage", "outcome"])
REPLAY_FOUND = Counter("panoveil_replay_found", "Captures that a replay is to redo.", ["stage"])


class TaskCpu(Collector):
    """CPU seconds of this process and all its descendants: the KCL's JVM is most of an idle task."""

    def __init__(self, processes: Path = Path("/proc")) -> None:
        self._processes = processes
        self._most = 0.0
        self.scrapes: deque[float] = deque(maxlen=2)

    def collect(self) -> Iterator[Metric]:
        """Yield the counter; what a child used that ends without being waited for does not make it fall."""
        self.scrapes.append(time.monotonic())
        self._most = max(self._most, self._seconds())
        yield CounterMetricFamily(
            "panoveil_task_cpu_seconds", "CPU seconds of the task: its process, the KCL's JVM, their children.", value=self._most
        )

    def _seconds(self) -> float:
        """Add up the ticks of whoever descends from this process, `man 5 proc`: ended children are in their parents' figures."""
        stats = [fields for fields in map(_stat, self._processes.glob("[0-9]*/stat")) if fields]
        family, size = {os.getpid()}, 0
        while size < len(family):
            size = len(family)
            family |= {pid for pid, parent, _ in stats if parent in family}
        return sum(ticks for pid, _, ticks in stats if pid in family) / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> tuple[int, int, int] | None:
    """Return a process's id, its parent's and its ticks; None where it has just ended."""
    try:
        before, _, after = path.read_text().rpartition(")")
    except OSError:
        return None
    fields = after.split()
    return int(before.split()[0]), int(fields[1]), sum(map(int, fields[11:15]))


_TASK = TaskCpu()
REGISTRY.register(_TASK)


def serve(host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve `/metrics` on `host:port` from a daemon thread; port 0 serves nothing. `Misconfigured` where the port is taken."""
    try:
        if port:
            start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise Misconfigured(
            f"metrics cannot be served on {host}:{port}: {error.strerror}; PANOVEIL_METRICS_PORT chooses"
        ) from error


def linger(longest: float = 60.0) -> None:
    """Wait for one more scrape before a program ends, so that its last figures are not lost: `longest` seconds at most.

    Not at all where nobody scrapes it.
    """
    if len(_TASK.scrapes) == _TASK.scrapes.maxlen:
        before, last = _TASK.scrapes
        patience = time.monotonic() + min(longest, 2 * (last - before))
        while last == _TASK.scrapes[-1] and time.monotonic() < patience:
            time.sleep(_SOON)


def prepare(service: str) -> None:
    """Begin a consumer's counters at 0 for every label that is known beforehand: what begins at its first event has no rate."""
    for outcome in ("done", "quarantined"):
        RECORDS.labels(service, outcome)
    for cause in _CAUSES:
        RETRIES.labels(service, cause)
    for reason in Reason:
        QUARANTINED.labels(service, reason)
    for state in _STATES.get(service, ()):
        CAPTURES.labels(service, state)
        BYTES.labels(service, "read")
        BYTES.labels(service, "written")
    KCL_STARTS.labels(service)
    CHECKPOINTS.labels(service)


def prepare_anonymizer(models: Iterable[str]) -> None:
    """Likewise for what only the anonymizer counts; `models` are its detectors' names."""
    for kind, height in product(("face", "plate"), HEIGHTS):
        DETECTIONS.labels(kind, height)
    for result in ("clean", "found", "metadata"):
        VERIFICATIONS.labels(result)
    for reason in Reason:
        HELD.labels(reason)
    for model, cause in product(models, ("busy", "unavailable", "late", "crashed", "nonsense", "blind")):
        DETECTOR_FAILURES.labels(model, cause)


def prepare_archivist() -> None:
    """Likewise for what only the archivist counts."""
    for cause in ("dynamodb", "kms", "s3", "misconfigured", *Reason):
        ARCHIVE_FAILURES.labels(cause)


def prepare_agent(reasons: Iterable[str]) -> None:
    """Likewise for the agent; `reasons` are those for which it leaves something in the car."""
    for outcome in ("uploaded", "uploaded_before", "left_behind"):
        AGENT_CAPTURES.labels(outcome)
    for reason in reasons:
        AGENT_LEFT.labels(reason)
    for cause in ("kinesis", "s3"):
        RETRIES.labels("agent", cause)
    BYTES.labels("agent", "written")


def prepare_replay(stage: str, outcomes: Iterable[str]) -> None:
    """Likewise for a replay."""
    REPLAY_FOUND.labels(stage)
    for outcome in outcomes:
        REPLAYED.labels(stage, outcome)


def height_name(pixels: float) -> str:
    """Return the label of a height in pixels: `"08-12"`, `"48+"`; in the order of the alphabet they rise."""
    return HEIGHTS[bisect_right(_EDGES, max(0.0, pixels)) - 1]


def recipe_in_use(service: str, recipe_id: str) -> None:
    """Say by which recipe the service works now; what it worked by before is no longer said."""
    if _recipes.get(service) != recipe_id:
        if service in _recipes:
            RECIPE.remove(service, _recipes[service])
        _recipes[service] = recipe_id
        RECIPE.labels(service, recipe_id).set(1)


def grade(rig_id: str, quality: Quality) -> None:
    """Set what the stitcher measured on a panorama of a rig."""
    if quality.score is not None:
        QUALITY_SCORE.labels(rig_id).observe(quality.score)
    for lens in quality.lenses:
        LENS_SCORE.labels(rig_id, lens.lens).set(lens.score)
        LENS_DRIFT_DEGREES.labels(rig_id, lens.lens).set(lens.surely_turned)
        LENS_DIRT_SHARE.labels(rig_id, lens.lens).set(lens.dirt_share or 0.0)


@contextmanager
def measured(service: str, step: str) -> Iterator[None]:
    """Observe the wall-clock and CPU seconds of a step that runs in the calling thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(service, step).observe(time.perf_counter() - wall)
        CPU_SECONDS.labels(service, step).inc(time.thread_time() - cpu)
