"""What to do about a capture that could not be replayed."""

from panoveil.contracts.reasons import ADVICE, Reason

_NOTHING = "nothing_known"


def advice(stage: str, capture_id: str, reason: str, detail: str) -> str:
    """Return one sentence."""
    if reason == _NOTHING:
        return "Look what became of it: `panoveil status`, `panoveil quarantine list`."
    again = f"`panoveil replay --stage stitcher --capture {capture_id}`"
    if stage == "anonymizer" and reason in {Reason.OBJECT_GONE, Reason.HASH_MISMATCH, Reason.CORRUPT_PANORAMA}:
        return f"The stitched panorama is no longer kept, or damaged: {again} makes it anew from the sealed originals."
    if reason == Reason.NOT_RESTORED:
        return f"Bring them back, then run this command again: `panoveil restore --capture {capture_id}`."
    if reason == Reason.OBJECT_GONE:
        restore = "restore the archived originals" if "archived" in detail else "upload the capture's originals again"
        return f"The sealed originals are not there: {restore}, then run this command again."
    if reason == Reason.HASH_MISMATCH and "lens" not in detail:
        return "Stitched again it came out otherwise than it was: replay the capture under a recipe of its own (--recipe)."
    return ADVICE[Reason(reason)] if reason in set(Reason) else ""


def nothing_known(stage: str) -> tuple[str, str]:
    """Return reason and detail where the ledger holds nothing that the stage could work on."""
    before = {"stitcher": "ingest announced nothing of it", "anonymizer": "nothing was stitched of it"}[stage]
    return _NOTHING, before
