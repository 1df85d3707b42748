"""How far is the survey, when will it be done, and what is stuck, and why?"""

from console.observe.dashboards.parts import (
    COUNT,
    HALF,
    PER_HOUR,
    QUARTER,
    SECONDS,
    THIRD,
    Limit,
    Page,
    Query,
    Section,
    bars,
    lines,
    number,
)

_UNFINISHED = 'sum(panoveil_ledger_captures{state=~"receiving|ready|stitched"})'
_ENDED = 'deriv(sum(panoveil_ledger_captures{state=~"published|held|quarantined"})[$__range:])'
_RATE = "[$__rate_interval]"


def _past(states: str) -> str:
    """Return how many captures an hour come to be in one of these states, from the ledger: each counts once, however often worked on."""
    return f'clamp_min(deriv(sum(panoveil_ledger_captures{{state=~"{states}"}})[$__rate_interval:]), 0) * 3600'


def page() -> Page:
    """Return the page."""
    return Page(
        "survey-progress",
        "Panoveil: survey progress",
        "Drives and captures as the ledger knows them: how many are through, how fast, until when, and what is stuck and why.",
        "now-24h",
        [_now(), _over_time(), _stuck(), _drives()],
    )


def _now() -> Section:
    return (
        "now",
        [
            number("Captures", "All that the ledger knows.", COUNT, Query("sum(panoveil_ledger_captures)")),
            number("Published", "Current publications.", COUNT, Query('sum(panoveil_ledger_captures{state="published"})')),
            number("On their way", "Receiving, ready or stitched.", COUNT, Query(_UNFINISHED)),
            number("Held", "A person must look.", COUNT, Query('sum(panoveil_ledger_captures{state="held"})'), limit=Limit(1)),
            number(
                "Quarantined",
                "`panoveil quarantine list` shows them.",
                COUNT,
                Query('sum(panoveil_ledger_captures{state="quarantined"})'),
                limit=Limit(1),
            ),
            number(
                "Time left",
                "For what is on its way, at the mean rate of the time shown.",
                SECONDS,
                Query(f"{_UNFINISHED} / ({_ENDED} > 0)"),
            ),
        ],
    )


def _over_time() -> Section:
    return (
        "over time",
        [
            lines(
                "Captures by state",
                "As the ledger knows them.",
                COUNT,
                Query("sum by (state) (panoveil_ledger_captures)", "{{state}}"),
                span=HALF,
                stacked=True,
            ),
            lines(
                "Captures an hour",
                "That got past each stage, by the ledger. The lowest line is the stage that keeps the others.",
                PER_HOUR,
                Query(_past("ready|stitched|published|held"), "ingest"),
                Query(_past("stitched|published|held"), "stitcher"),
                Query(_past("published|held"), "anonymizer"),
                span=HALF,
            ),
        ],
    )


def _stuck() -> Section:
    return (
        "what is stuck, and why",
        [
            lines(
                "The oldest of each state",
                "How long the capture that has been in a state for longest is in it. Runbook: PanoveilStuckCaptures.",
                SECONDS,
                Query("max by (state) (panoveil_ledger_oldest_seconds)", "{{state}}"),
                span=THIRD,
                limit=Limit(7200),
            ),
            bars(
                "Held and quarantined captures, by reason",
                "What to do about each reason stands in the README; `panoveil status DRIVE` names the captures.",
                COUNT,
                Query("sum by (state, reason) (panoveil_ledger_captures{reason!=''}) > 0", "{{state}}: {{reason}}"),
                span=THIRD,
            ),
            bars(
                "Waiting in quarantine, by reason",
                "Entries, not captures: `panoveil quarantine list --reason REASON`.",
                COUNT,
                Query("sum by (reason) (panoveil_ledger_quarantine) > 0", "{{reason}}"),
                span=THIRD,
            ),
        ],
    )


def _drives() -> Section:
    return (
        "drives, cars and the archive",
        [
            lines(
                "Drives",
                "working: a capture of theirs has no end yet.",
                COUNT,
                Query("sum by (state) (panoveil_ledger_drives)", "{{state}}"),
                span=QUARTER,
                stacked=True,
            ),
            lines(
                "Uploaded by the cars",
                "Captures an hour.",
                PER_HOUR,
                Query(f'sum(rate(panoveil_agent_captures_total{{outcome="uploaded"}}{_RATE})) * 3600', "uploaded"),
                span=QUARTER,
            ),
            lines(
                "Archived",
                "Captures in the time shown whose originals were put into the archive, and attempts that failed. Runbook: ArchiveFailing.",
                COUNT,
                Query("sum(increase(panoveil_archived_captures_total[$__range]))", "archived"),
                Query("sum(increase(panoveil_archive_failures_total[$__range])) or vector(0)", "failed attempts"),
                span=QUARTER,
            ),
            lines(
                "Age of these figures",
                "Since the ledger was read. Runbook: PanoveilLedgerNotRead.",
                SECONDS,
                Query("time() - max(panoveil_ledger_read_timestamp_seconds > 0)", "age"),
                span=QUARTER,
                limit=Limit(900),
            ),
        ],
    )
