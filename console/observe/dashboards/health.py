"""Is every stage keeping up, and if not, what keeps it?"""

from console.observe.dashboards.parts import (
    BYTES,
    COUNT,
    HALF,
    PER_SECOND,
    QUARTER,
    SECONDS,
    SHARE,
    Limit,
    Page,
    Query,
    Section,
    lines,
    number,
)

_STAGES = (
    ("ingest", "uploads"),
    ("stitcher", "captures"),
    ("anonymizer", "panoramas"),
    ("archivist", "publications, where it runs"),
)
_RATE = "[$__rate_interval]"


def page() -> Page:
    """Return the page: a row a stage, then what all of them stand on."""
    return Page(
        "pipeline-health",
        "Panoveil: pipeline health",
        "A row a stage: how many records it ends, how far it is behind, what goes wrong, and how full it is. Then what all stand on.",
        "now-1h",
        [*(_stage(*stage) for stage in _STAGES), _agents(), _steps(), _ground()],
    )


def _stage(name: str, stream: str) -> Section:
    of = f'service="{name}"'
    return (
        f"{name}: works off {stream}",
        [
            lines(
                "Records ended",
                "By outcome. Nothing for minutes while lag grows: the stage stands still.",
                PER_SECOND,
                Query(f"sum by (outcome) (rate(panoveil_records_total{{{of}}}{_RATE}))", "{{outcome}}"),
                span=QUARTER,
            ),
            lines(
                "Lag",
                "Age of the oldest record that is not finished. Runbook: PanoveilLag.",
                SECONDS,
                Query(f"max(panoveil_lag_seconds{{{of}}})", "oldest unfinished record"),
                Query(f"max(panoveil_behind_seconds{{{of}}})", "last batch behind its shard"),
                span=QUARTER,
                limit=Limit(900),
            ),
            lines(
                "Errors",
                "Retries by cause: a dependency's name where it does not answer, bug where the handler fails. And what was quarantined.",
                PER_SECOND,
                Query(f"sum by (cause) (rate(panoveil_retries_total{{{of}}}{_RATE})) > 0", "retry: {{cause}}"),
                Query(f"sum(rate(panoveil_quarantined_total{{{of}}}{_RATE}))", "quarantined"),
                span=QUARTER,
            ),
            lines(
                "Saturation",
                "In flight at its bound while records wait: more tasks, at most one a shard.",
                COUNT,
                Query(f"sum(panoveil_in_flight{{{of}}})", "in flight"),
                Query(f"sum(panoveil_waiting{{{of}}})", "waiting"),
                Query(f"sum(panoveil_shards{{{of}}})", "shards"),
                span=QUARTER,
            ),
        ],
    )


def _agents() -> Section:
    return (
        "agents: what the cars send",
        [
            lines(
                "Captures done",
                "By outcome. left_behind: the agent's log and the next panel say why.",
                PER_SECOND,
                Query(f"sum by (outcome) (rate(panoveil_agent_captures_total{_RATE}))", "{{outcome}}"),
                span=QUARTER,
            ),
            lines(
                "Left in the car",
                "Captures and frames, by reason; docs/agent.md says what to do.",
                COUNT,
                Query("sum(panoveil_agent_left_behind_total)", "all"),
                Query("sum by (reason) (panoveil_agent_left_behind_total) > 0", "{{reason}}"),
                span=QUARTER,
            ),
            lines(
                "Bytes sent",
                "Acknowledged by S3.",
                "Bps",
                Query(f'sum(rate(panoveil_bytes_total{{service="agent"}}{_RATE}))', "sent"),
                span=QUARTER,
            ),
            lines(
                "Bytes to send",
                "Of finished captures that still lie in the cars.",
                BYTES,
                Query("sum(panoveil_agent_waiting_bytes)", "to send"),
                span=QUARTER,
            ),
        ],
    )


def _steps() -> Section:
    return (
        "steps: where the time goes",
        [
            lines(
                "A step's time, 9 in 10",
                "Wall-clock seconds within which nine of ten steps of a handler end.",
                SECONDS,
                Query(
                    f"histogram_quantile(0.9, sum by (service, step, le) (rate(panoveil_stage_seconds_bucket{_RATE})))",
                    "{{service}} {{step}}",
                ),
                span=HALF,
            ),
            lines(
                "CPU cores busy, by step",
                "Of the threads that work on pictures.",
                COUNT,
                Query(f"sum by (service, step) (rate(panoveil_cpu_seconds_total{_RATE}))", "{{service}} {{step}}"),
                span=HALF,
                stacked=True,
            ),
        ],
    )


def _ground() -> Section:
    return (
        "what all stand on",
        [
            number(
                "Tasks up",
                "Of all that should be scraped. Runbook: PanoveilTargetDown.",
                SHARE,
                Query('avg(up{job!~"agent|replay"})', "up"),
                limit=Limit(1, low=True),
            ),
            number(
                "Dependencies up",
                "Below 100 %: some stage waits for S3, DynamoDB, Kinesis or Triton; nothing is lost meanwhile.",
                SHARE,
                Query("min(panoveil_dependency_up)", "up"),
                limit=Limit(1, low=True),
            ),
            number(
                "KCL restarts",
                "Daemons that died or lost a child, besides each task's first start.",
                COUNT,
                Query("sum(panoveil_kcl_starts_total) - count(panoveil_kcl_starts_total)", "restarts"),
                limit=Limit(1),
            ),
            number(
                "Slowest stage's lag",
                "Age of the oldest record that is not finished, of any stage.",
                SECONDS,
                Query('max(panoveil_lag_seconds{service!="replay"})'),
                limit=Limit(900),
            ),
            number(
                "Quarantined",
                "Records in the time shown; `panoveil quarantine list` says which and why.",
                COUNT,
                Query('round(sum(increase(panoveil_quarantined_total{service!="replay"}[$__range])))'),
                limit=Limit(1),
            ),
            number(
                "Retries",
                "In the time shown: waits for a dependency, and bugs.",
                COUNT,
                Query("round(sum(increase(panoveil_retries_total[$__range])))"),
            ),
            lines(
                "CPU cores busy, by task",
                "The KCL's JVM and its children included. At the task's cores: more or larger tasks.",
                COUNT,
                Query(f"sum by (job) (rate(panoveil_task_cpu_seconds_total{_RATE}))", "{{job}}"),
                span=QUARTER,
            ),
            lines(
                "Memory",
                "Resident bytes of the largest task's process, without the JVM. At the task's limit it is killed.",
                BYTES,
                Query("max by (job) (process_resident_memory_bytes)", "{{job}}"),
                span=QUARTER,
            ),
            lines(
                "Object bytes moved",
                "Out of and into S3.",
                "Bps",
                Query(f"sum by (service, direction) (rate(panoveil_bytes_total{_RATE}))", "{{service}} {{direction}}"),
                span=QUARTER,
            ),
            lines(
                "Checkpoints",
                "Accepted by the lease's owner. They stand still: leases are lost, or nothing ends.",
                PER_SECOND,
                Query(f"sum by (service) (rate(panoveil_checkpoints_total{_RATE}))", "{{service}}"),
                span=QUARTER,
            ),
        ],
    )
