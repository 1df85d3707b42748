"""Every metric once: its name, unit, labels and meaning. Services import these and set them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from panoveil.contracts.messages import Quality

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)

RECORDS = Counter(
    "panoveil_records", "Records of a stream that ended, by outcome: done, ignored, quarantined.", ["service", "outcome"]
)
RETRIES = Counter("panoveil_retries", "Handler attempts that failed and were repeated, by cause.", ["service", "cause"])
QUARANTINED = Counter("panoveil_quarantined", "Inputs quarantined, by reason.", ["service", "reason"])
IN_FLIGHT = Gauge("panoveil_in_flight", "Records now being worked on.", ["service"])
LAG_SECONDS = Gauge(
    "panoveil_lag_seconds", "Age of the oldest record handed to the service and not finished; 0 when idle.", ["service"]
)
CHECKPOINTS = Counter("panoveil_checkpoints", "Checkpoints the lease owner accepted.", ["service"])
DEPENDENCY_UP = Gauge(
    "panoveil_dependency_up", "1 while the dependency answers, 0 while the service waits for it.", ["service", "dependency"]
)
STAGE_SECONDS = Histogram(
    "panoveil_stage_seconds", "Wall-clock seconds of one step of a handler.", ["service", "step"], buckets=_SECONDS
)
CPU_SECONDS = Counter("panoveil_cpu_seconds", "CPU seconds of the threads that ran a step of a handler.", ["service", "step"])
CAPTURES = Counter("panoveil_captures", "Captures by the state they reached in this service.", ["service", "state"])
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
DETECTIONS = Counter("panoveil_detections", "Objects obfuscated, by class.", ["kind"])
DETECTOR_FAILURES = Counter(
    "panoveil_detector_failures",
    "Requests to a model that gave no valid answer, by cause: busy, unavailable, late, crashed, nonsense, blind.",
    ["model", "cause"],
)
VERIFICATION_ROUNDS = Histogram(
    "panoveil_verification_rounds", "Rounds until verification found nothing.", buckets=(1, 2, 3, 4, 5)
)
OBFUSCATED_SHARE = Histogram(
    "panoveil_obfuscated_share",
    "Share of a panorama's area that was obfuscated.",
    buckets=(0.0001, 0.001, 0.003, 0.01, 0.03, 0.1),
)


def serve(host: str, port: int) -> None:
    """Serve `/metrics` on `host:port` from a daemon thread; port 0 serves nothing."""
    if port:
        start_http_server(port, addr=host)


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
