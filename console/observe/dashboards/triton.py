"""Does the detector answer, how fast, and rightly?"""

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
    number,
)

_RATE = "[$__rate_interval]"
_MOST_WAIT = 1.0


def page() -> Page:
    """Return the page."""
    return Page(
        "triton",
        "Panoveil: Triton",
        "The models as the server counts them, and as the anonymizer finds them.",
        "now-1h",
        [_now(), _requests(), _server()],
    )


def _now() -> Section:
    return (
        "now",
        [
            number(
                "Servers up",
                "Of all that should be scraped.",
                SHARE,
                Query('avg(up{job="triton"})'),
                limit=Limit(1, low=True),
            ),
            number(
                "Blind or talking nonsense",
                "Answers in the time shown that a look at the golden picture, or their form, proved wrong. Runbook: TritonAnswersWrongly.",
                COUNT,
                Query('round(sum(increase(panoveil_detector_failures_total{cause=~"blind|nonsense"}[$__range])))'),
                limit=Limit(1),
            ),
            number(
                "Crashed",
                "Models that were loaded anew in the time shown.",
                COUNT,
                Query('round(sum(increase(panoveil_detector_failures_total{cause="crashed"}[$__range])))'),
                limit=Limit(1),
            ),
            number("Images seen", "In the time shown.", COUNT, Query("round(sum(increase(nv_inference_count[$__range])))")),
            number(
                "Images a batch",
                "In the time shown. On a GPU more is cheaper, on a CPU it gains nothing.",
                COUNT,
                Query("sum(increase(nv_inference_count[$__range])) / sum(increase(nv_inference_exec_count[$__range]))"),
            ),
            number(
                "Longest queue",
                "Requests that wait now.",
                COUNT,
                Query("max(nv_inference_pending_request_count)"),
            ),
        ],
    )


def _requests() -> Section:
    return (
        "requests",
        [
            lines(
                "Requests",
                "By model. Rejections for a full queue are not among the failures: the anonymizer counts those as busy.",
                PER_SECOND,
                Query(f"sum by (model) (rate(nv_inference_request_success{_RATE}))", "{{model}}"),
                Query(f"sum by (model) (rate(nv_inference_request_failure{_RATE})) > 0", "{{model}}, failed"),
                span=THIRD,
            ),
            lines(
                "Time in the queue",
                "Mean of a request. Above a second for minutes: more servers. Scale Triton on this.",
                SECONDS,
                Query(
                    f"sum by (model) (rate(nv_inference_queue_duration_us{_RATE}))"
                    f" / (sum by (model) (rate(nv_inference_request_success{_RATE})) > 0) / 1e6",
                    "{{model}}",
                ),
                span=THIRD,
                limit=Limit(_MOST_WAIT),
            ),
            lines(
                "Time of an execution",
                "Mean of a batch in the model itself.",
                SECONDS,
                Query(
                    f"sum by (model) (rate(nv_inference_compute_infer_duration_us{_RATE}))"
                    f" / (sum by (model) (rate(nv_inference_exec_count{_RATE})) > 0) / 1e6",
                    "{{model}}",
                ),
                span=THIRD,
            ),
        ],
    )


def _server() -> Section:
    return (
        "the server, and what the anonymizer makes of it",
        [
            lines(
                "Utilisation",
                "Of the GPUs where there are some, else of the CPU.",
                SHARE,
                Query("avg by (gpu_uuid) (nv_gpu_utilization) or on () avg(nv_cpu_utilization)", "busy"),
                span=THIRD,
            ),
            lines(
                "Memory",
                "Of the GPUs where there are some, else of the machine.",
                BYTES,
                Query("sum(nv_gpu_memory_used_bytes) or on () sum(nv_cpu_memory_used_bytes)", "used"),
                span=THIRD,
            ),
            lines(
                "Requests without a valid answer",
                "As the anonymizer and the stitcher count them, by cause. They wait and ask again.",
                PER_SECOND,
                Query(f"sum by (cause) (rate(panoveil_detector_failures_total{_RATE}))", "{{cause}}"),
                span=THIRD,
            ),
        ],
    )
