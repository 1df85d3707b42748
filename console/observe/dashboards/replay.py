"""How far is a replay, and does it harm live traffic?"""

from console.observe.dashboards.parts import COUNT, HALF, PER_HOUR, SECONDS, THIRD, Limit, Page, Query, Section, lines, number

_FOUND = "round(sum(increase(panoveil_replay_found_total[$__range])))"
_DONE = "round(sum(increase(panoveil_replayed_total[$__range])))"


def page() -> Page:
    """Return the page."""
    return Page(
        "replay",
        "Panoveil: replay",
        "A replay serves metrics while it runs (PANOVEIL_METRICS_PORT): what it is to redo, what came of it, and live traffic beside it.",
        "now-6h",
        [_in_the_time_shown(), _the_replay(), _live()],
    )


def _in_the_time_shown() -> Section:
    return (
        "in the time shown",
        [
            number("To redo", "Captures that were meant.", COUNT, Query(_FOUND)),
            number("Done", "Redone, skipped, held or failed.", COUNT, Query(_DONE)),
            number(
                "Redone",
                "Published under the new recipe.",
                COUNT,
                Query('round(sum(increase(panoveil_replayed_total{outcome="redone"}[$__range])))'),
            ),
            number(
                "Held",
                "Their old publication stays.",
                COUNT,
                Query('round(sum(increase(panoveil_replayed_total{outcome="held"}[$__range])))'),
                limit=Limit(1),
            ),
            number(
                "Failed",
                "The replay's own report says why, and what to do.",
                COUNT,
                Query('round(sum(increase(panoveil_replayed_total{outcome="failed"}[$__range])))'),
                limit=Limit(1),
            ),
            number(
                "Time left",
                "At the mean rate of the time shown.",
                SECONDS,
                Query(f"clamp_min({_FOUND} - {_DONE}, 0) / ({_DONE} > 0) * ($__range_s)"),
            ),
        ],
    )


def _the_replay() -> Section:
    return (
        "the replay",
        [
            lines(
                "Captures an hour",
                "By stage and outcome.",
                PER_HOUR,
                Query(
                    "sum by (stage, outcome) (rate(panoveil_replayed_total[$__rate_interval])) * 3600",
                    "{{stage}}: {{outcome}}",
                ),
                span=HALF,
            ),
            lines(
                "To redo, and done",
                "As the processes that run now count them.",
                COUNT,
                Query("sum(panoveil_replay_found_total)", "to redo"),
                Query("sum(panoveil_replayed_total)", "done"),
                span=HALF,
            ),
        ],
    )


def _live() -> Section:
    return (
        "live traffic beside it",
        [
            lines(
                "Lag of live traffic",
                "It must not grow with the replay: slow it down with --rate.",
                SECONDS,
                Query('max by (service) (panoveil_lag_seconds{service!="replay"})', "{{service}}"),
                span=THIRD,
            ),
            lines(
                "Time in Triton's queue",
                "Mean of a request: live traffic and replay ask the same server.",
                SECONDS,
                Query(
                    "sum(rate(nv_inference_queue_duration_us[$__rate_interval]))"
                    " / (sum(rate(nv_inference_request_success[$__rate_interval])) > 0) / 1e6",
                    "queue",
                ),
                span=THIRD,
            ),
            lines(
                "CPU cores busy",
                "The replay's, which gives way to everything else on its machine, and the tasks'.",
                COUNT,
                Query("sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{job}}"),
                span=THIRD,
            ),
        ],
    )
