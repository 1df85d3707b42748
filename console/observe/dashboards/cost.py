"""What does a panorama cost, and which stage costs it?"""

from console.observe.dashboards.parts import (
    BYTES,
    DOLLARS,
    HALF,
    QUARTER,
    SECONDS,
    THIRD,
    Page,
    Query,
    Section,
    bars,
    lines,
    number,
)

_RANGE = "[$__range]"
_RATE = "[$__rate_interval]"
_PANORAMAS = f'(sum(increase(panoveil_captures_total{{service="anonymizer"}}{_RANGE})) > 0)'
_A_SECOND = f'(sum(rate(panoveil_captures_total{{service="anonymizer"}}{_RATE})) > 0)'
_TASKS = f"sum by (job) (increase(panoveil_task_cpu_seconds_total{_RANGE}))"
_MODELS = f"sum(increase(nv_inference_compute_infer_duration_us{_RANGE})) / 1e6"
_WRITTEN = f'sum(increase(panoveil_bytes_total{{direction="written", service!="agent"}}{_RANGE}))'
_PRICE = "(0 * count(nv_gpu_utilization) + $accelerator_hour) or vector($vcpu_hour)"
_ON = "/ on () group_left ()"
_COMPUTING = f"sum({_TASKS}) / {_PANORAMAS} * 1000 / 3600 * $vcpu_hour"
_DETECTING = f"{_MODELS} / {_PANORAMAS} * 1000 / 3600 * scalar({_PRICE})"
_REQUESTING = "$puts_per_panorama * $thousand_puts + $gets_per_panorama * $thousand_gets"


def page() -> Page:
    """Return the page. Prices are list prices from memory (benchmarks/season/assumptions.py): change them above the panels."""
    return Page(
        "cost",
        "Panoveil: cost",
        "CPU seconds, bytes and dollars a panorama, by stage. Busy seconds are priced: what idles costs too, and is not in here.",
        "now-24h",
        [_thousand(), _a_panorama(), _over_time()],
        variables=[
            ("vcpu_hour", "$ a vCPU hour, 2 GB", "0.04937"),
            ("accelerator_hour", "$ an accelerator hour", "0.587"),
            ("thousand_puts", "$ a thousand PUTs", "0.005"),
            ("thousand_gets", "$ a thousand GETs", "0.0004"),
            ("puts_per_panorama", "PUTs a panorama", "13"),
            ("gets_per_panorama", "GETs a panorama", "20"),
            ("shard_hour", "$ a shard hour", "0.017"),
            ("gigabyte_month", "$ a GB month", "0.023"),
        ],
    )


def _thousand() -> Section:
    return (
        "1,000 panoramas, at the mean of the time shown",
        [
            number("Computing", "vCPU time of ingest, stitcher and anonymizer.", DOLLARS, Query(_COMPUTING)),
            number(
                "Detecting",
                "Busy time of the models: a GPU's at its price, where Triton runs on the CPU a vCPU's.",
                DOLLARS,
                Query(_DETECTING),
            ),
            number(
                "Requests to S3",
                "As many a panorama as the code makes, at list price.",
                DOLLARS,
                Query(f"vector({_REQUESTING})"),
            ),
            number(
                "Streams",
                "Shard hours that pass meanwhile.",
                DOLLARS,
                Query(f"sum(panoveil_shards) * $shard_hour / 3600 * 1000 / ({_PANORAMAS} / $__range_s)"),
            ),
            number(
                "Storing, a month",
                "Of what stitcher and anonymizer wrote.",
                DOLLARS,
                Query(f"{_WRITTEN} / {_PANORAMAS} * 1000 / 1e9 * $gigabyte_month"),
            ),
            number(
                "Season of 30 million",
                "Computing, detecting and requests.",
                DOLLARS,
                Query(f"({_COMPUTING} + {_DETECTING} + {_REQUESTING}) * 30000"),
            ),
        ],
    )


def _a_panorama() -> Section:
    return (
        "a panorama",
        [
            bars(
                "CPU seconds, by task",
                "The KCL's JVM included; it weighs little once a task is busy.",
                SECONDS,
                Query(f"{_TASKS} {_ON} {_PANORAMAS}", "{{job}}"),
                span=THIRD,
            ),
            bars(
                "CPU seconds, by step",
                "Of the threads that work on pictures.",
                SECONDS,
                Query(
                    f"sum by (service, step) (increase(panoveil_cpu_seconds_total{_RANGE})) {_ON} {_PANORAMAS}",
                    "{{service}} {{step}}",
                ),
                span=THIRD,
            ),
            bars(
                "Bytes, by direction",
                "Out of and into S3.",
                BYTES,
                Query(
                    f"sum by (service, direction) (increase(panoveil_bytes_total{_RANGE})) {_ON} {_PANORAMAS}",
                    "{{service}} {{direction}}",
                ),
                span=THIRD,
            ),
        ],
    )


def _over_time() -> Section:
    return (
        "over time",
        [
            lines(
                "CPU seconds a panorama, by task",
                "A step that grew after a deployment stands out here.",
                SECONDS,
                Query(f"sum by (job) (rate(panoveil_task_cpu_seconds_total{_RATE})) {_ON} {_A_SECOND}", "{{job}}"),
                span=HALF,
            ),
            lines(
                "Busy seconds of the models a panorama",
                "GPU seconds where Triton runs on one, else CPU seconds of an instance.",
                SECONDS,
                Query(
                    f"sum by (model) (rate(nv_inference_compute_infer_duration_us{_RATE})) / 1e6 {_ON} {_A_SECOND}",
                    "{{model}}",
                ),
                span=QUARTER,
            ),
            lines(
                "Bytes in the archive",
                "Written since the tasks began.",
                BYTES,
                Query("sum(panoveil_archived_bytes_total)", "archived"),
                span=QUARTER,
            ),
        ],
    )
