"""Is everything hidden that must be, is no more hidden than that, and how good are the pictures?"""

from console.observe.dashboards.parts import (
    COUNT,
    DEGREES,
    HALF,
    PER_SECOND,
    QUARTER,
    SHARE,
    THIRD,
    Limit,
    Page,
    Query,
    Section,
    bars,
    lines,
    number,
)

_RATE = "[$__rate_interval]"
_RANGE = "[$__range]"
_HOLDS = "not_verified|poor_quality|rig_drifted|lens_.*"


def page() -> Page:
    """Return the page."""
    return Page(
        "anonymisation-quality",
        "Panoveil: anonymisation quality",
        "The promise (nothing unverified is published), what is found and hidden, what is held and why, how good panoramas and rigs are.",
        "now-24h",
        [_promise(), _found(), _verified(), _pictures()],
    )


def _promise() -> Section:
    return (
        "the promise: nothing unverified is published",
        [
            number("Published", "In the time shown.", COUNT, Query(f"round(sum(increase(panoveil_publications_total{_RANGE})))")),
            number(
                "Clean verifications",
                "In the time shown; there are never fewer of them than publications.",
                COUNT,
                Query(f'round(sum(increase(panoveil_verifications_total{{result="clean"}}{_RANGE})))'),
            ),
            number(
                "Published unverified",
                "Publications beyond clean verifications, of any task. Must be 0. Runbook: PanoveilUnverifiedPublication.",
                COUNT,
                Query(
                    "sum(clamp_min(sum by (instance) (panoveil_publications_total)"
                    ' - sum by (instance) (panoveil_verifications_total{result="clean"}), 0))'
                ),
                limit=Limit(1),
            ),
            number(
                "Held against the audit",
                "Publications of which the audit chain was read, one drive after the other.",
                COUNT,
                Query("max(panoveil_ledger_audited)"),
            ),
            number(
                "Unverified by the audit",
                "Of them those of which the chain knows no verification that found nothing. Must be 0.",
                COUNT,
                Query("max(panoveil_ledger_unverified)"),
                limit=Limit(1),
            ),
            number(
                "Recipes in use",
                "More than one a stage: a deployment is under way, or was left half done.",
                COUNT,
                Query("count(count by (service, recipe_id) (panoveil_recipe_info)) by (service)", "{{service}}"),
                limit=Limit(2),
            ),
        ],
    )


def _found() -> Section:
    return (
        "what is found and hidden",
        [
            lines(
                "Objects a panorama",
                "A fall to 0 of one class in town: look at the model. Runbook: TritonAnswersWrongly.",
                COUNT,
                Query(
                    f"sum by (kind) (rate(panoveil_detections_total{_RATE}))"
                    f" / on () group_left () (sum(rate(panoveil_obfuscated_share_count{_RATE})) > 0)",
                    "{{kind}}",
                ),
                span=THIRD,
            ),
            bars(
                "Objects by height, pixels of the panorama",
                "In the time shown. Many of the smallest: false boxes, or a recipe with too low a threshold.",
                COUNT,
                Query(f"round(sum by (kind, height) (increase(panoveil_detections_total{_RANGE})))", "{{kind}} {{height}}"),
                span=THIRD,
            ),
            lines(
                "Share of the area that is obfuscated",
                "Of a panorama: the mean, and what nine of ten stay below.",
                SHARE,
                Query(
                    f"sum(rate(panoveil_obfuscated_share_sum{_RATE})) / (sum(rate(panoveil_obfuscated_share_count{_RATE})) > 0)",
                    "mean",
                ),
                Query(f"histogram_quantile(0.9, sum by (le) (rate(panoveil_obfuscated_share_bucket{_RATE})))", "9 in 10"),
                span=THIRD,
            ),
        ],
    )


def _verified() -> Section:
    return (
        "what verification says",
        [
            lines(
                "Verifications by result",
                "found: objects were left after the last round, so it is held. metadata: something else in the file. Dismissed: doubtful "
                "finds of a last round, in the open, where two looks had found nothing.",
                PER_SECOND,
                Query(f"sum by (result) (rate(panoveil_verifications_total{_RATE}))", "{{result}}"),
                Query(f"sum(rate(panoveil_dismissed_finds_total{_RATE}))", "finds dismissed"),
                span=QUARTER,
            ),
            bars(
                "Rounds until nothing was found",
                "Clean panoramas in the time shown, by at most so many rounds.",
                COUNT,
                Query(
                    f"round(sum by (le) (increase(panoveil_verification_rounds_bucket{{le!='+Inf'}}{_RANGE})))", "up to {{le}}"
                ),
                span=QUARTER,
            ),
            bars(
                "Held, by reason",
                "In the time shown. Runbook: PanoveilHolds.",
                COUNT,
                Query(
                    f"round(sum by (reason) (increase(panoveil_held_total{{reason=~'{_HOLDS}'}}{_RANGE})))",
                    "{{reason}}",
                ),
                span=QUARTER,
            ),
            bars(
                "No valid answer, by cause",
                "blind: a model does not see the golden picture. busy is only backpressure. Nothing is published meanwhile.",
                COUNT,
                Query(f"round(sum by (cause) (increase(panoveil_detector_failures_total{_RANGE})))", "{{cause}}"),
                span=QUARTER,
            ),
        ],
    )


def _pictures() -> Section:
    return (
        "how good the pictures and the rigs are",
        [
            lines(
                "Panoramas' scores",
                "1 is best: the median, and what one of ten falls below.",
                SHARE,
                Query(
                    f"histogram_quantile(0.5, sum by (rig, le) (rate(panoveil_quality_score_bucket{_RATE})))", "{{rig}}, median"
                ),
                Query(
                    f"histogram_quantile(0.1, sum by (rig, le) (rate(panoveil_quality_score_bucket{_RATE})))",
                    "{{rig}}, 1 in 10 below",
                ),
                span=HALF,
            ),
            lines(
                "Lenses' scores",
                "The lowest of all tasks, of the capture stitched last.",
                SHARE,
                Query("min by (rig, lens) (panoveil_lens_score)", "{{rig}} {{lens}}"),
                span=HALF,
            ),
            lines(
                "Lenses turned against their rig",
                "Degrees at least. Runbook: RigDrift.",
                DEGREES,
                Query("max by (rig, lens) (panoveil_lens_drift_degrees)", "{{rig}} {{lens}}"),
                span=HALF,
                limit=Limit(0.5),
            ),
            lines(
                "Dirt on lenses",
                "Share of what a lens sees that stays blank over a drive: clean it.",
                SHARE,
                Query("max by (rig, lens) (panoveil_lens_dirt_share)", "{{rig}} {{lens}}"),
                span=HALF,
            ),
        ],
    )
