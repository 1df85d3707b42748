"""What a replay counts for Prometheus."""

from prometheus_client import REGISTRY

from console.replay.redo import Outcome
from console.replay.report import KINDS, Found, metered


def counted(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"panoveil_{name}_total", {"stage": "stitcher", **labels})


def test_captures_are_counted_by_outcome_and_all_counts_begin_at_0() -> None:
    hear = metered("stitcher", ["face", "plate"])
    before = {kind: counted("replayed", outcome=kind) for kind in KINDS}
    assert None not in before.values()
    found = counted("replay_found") or 0.0
    hear(Found(3))
    hear(Outcome("dk/d/1", "redone"))
    hear(Outcome("dk/d/2", "failed", reason="object_gone"))
    assert counted("replay_found") == found + 3
    grown = {kind: (counted("replayed", outcome=kind) or 0.0) - (before[kind] or 0.0) for kind in KINDS}
    assert grown == {"redone": 1.0, "skipped": 0.0, "held": 0.0, "failed": 1.0}
