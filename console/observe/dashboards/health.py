"""Is every stage keeping up, and if not, what keeps it?"""

from console.observe.dashboards.parts import (
    BYTES,
    COUNT,
    PER_SECOND,
    SECONDS,
    SHARE,
    THIRD,
    Limit,
    Page,
    Query,
    Section,
    lines,
)

_STAGES = (("ingest", "uploads"), ("stitcher", "captures"), ("anonymizer", "panoramas"))


def page() -> Page:
    """Return the page, a row a stage."""
    return Page(
        "pipeline-health",
        "Panoveil: pipeline health",
        "A row a stage: how many records it ends, how far it is behind, what goes wrong, and what it is short of.",
        "now-1h",
        [_stage(*stage) for stage in _STAGES],
    )


def _stage(name: str, stream: str) -> Section:
    of = f'service="{name}"'
    job = f'job="{name}"'
    rate = "[$__rate_interval]"
    return (
        f"{name}: works off {stream}",
        [
            lines(
                "Records ended",
                "By outcome. Nothing for minutes while lag grows: the stage stands still.",
                PER_SECOND,
                Query(f"sum by (outcome) (rate(panoveil_records_total{{{of}}}{rate}))", "{{outcome}}"),
                span=THIRD,
            ),
            lines(
                "Lag",
                "Age of the oldest record that is not finished. Runbook: PanoveilLag.",
                SECONDS,
                Query(f"max(panoveil_lag_seconds{{{of}}})", "oldest unfinished record"),
                Query(f"max(panoveil_behind_seconds{{{of}}})", "last batch behind the stream's end"),
                span=THIRD,
                limit=Limit(900),
            ),
            lines(
                "Errors",
                "Retries by cause, quarantined by reason: only what happens. A dependency by name: it does not answer.",
                PER_SECOND,
                Query(f"sum by (cause) (rate(panoveil_retries_total{{{of}}}{rate}))", "retry: {{cause}}"),
                Query(f"sum by (reason) (rate(panoveil_quarantined_total{{{of}}}{rate})) > 0", "quarantined: {{reason}}"),
                span=THIRD,
            ),
            lines(
                "Saturation",
                "In flight at its bound and records waiting: more tasks. CPU at its cores: larger or more tasks.",
                COUNT,
                Query(f"sum(panoveil_in_flight{{{of}}})", "in flight"),
                Query(f"sum(panoveil_waiting{{{of}}})", "waiting"),
                Query(f"sum(panoveil_shards{{{of}}})", "shards"),
                Query(f"sum(rate(process_cpu_seconds_total{{{job}}}{rate}))", "CPU cores busy, without the KCL"),
                span=THIRD,
            ),
            lines(
                "A step's time, 9 in 10",
                "Wall-clock seconds within which nine of ten steps of a handler end.",
                SECONDS,
                Query(
                    f"histogram_quantile(0.9, sum by (step, le) (rate(panoveil_stage_seconds_bucket{{{of}}}{rate})))", "{{step}}"
                ),
                span=THIRD,
            ),
            lines(
                "Memory",
                "Resident bytes of a task's process, without the KCL's JVM. At the task's limit it is killed.",
                BYTES,
                Query(f"max(process_resident_memory_bytes{{{job}}})", "largest task"),
                span=THIRD,
            ),
            lines(
                "Dependencies",
                "1: answers; 0: the stage waits for it, and nothing is lost meanwhile.",
                SHARE,
                Query(f"min by (dependency) (panoveil_dependency_up{{{of}}})", "{{dependency}}"),
                span=THIRD,
                limit=Limit(1, low=True),
            ),
            lines(
                "Checkpoints and starts of the KCL",
                "Checkpoints stand still: leases are lost or nothing ends. Starts beyond the first: the KCL's daemon died.",
                PER_SECOND,
                Query(f"sum(rate(panoveil_checkpoints_total{{{of}}}{rate}))", "checkpoints"),
                Query(f"sum(rate(panoveil_kcl_starts_total{{{of}}}{rate}))", "starts of the daemon"),
                span=THIRD,
            ),
        ],
    )
