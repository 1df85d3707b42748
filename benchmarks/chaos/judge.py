"""What became of every capture, as ledger, audit chain, published bucket and publications stream tell it, each held against the others."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from console.audit import verify
from console.demo.run import Drive
from panoveil.blobs import Blobs
from panoveil.contracts.audit import Publication
from panoveil.contracts.keys import Bucket
from panoveil.contracts.messages import PanoramaHeld, PanoramaPublished, outcome
from panoveil.ledger import ENDS, AuditEntry, Ledger, State

_DECISIONS = frozenset({"publication", "hold"})
_MESSAGE = {State.PUBLISHED: PanoramaPublished, State.HELD: PanoramaHeld}


@dataclass
class Verdict:
    """Names of captures for which a promise is broken, and how all of them ended."""

    captures: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    published_twice: list[str] = field(default_factory=list)
    unverified_published: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    chain_findings: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise is. Every capture was whole, so none belongs into quarantine."""
        broken = (self.lost, self.published_twice, self.unverified_published, self.quarantined, self.chain_findings)
        return not any(broken)


async def judge(drives: Iterable[Drive], ledger: Ledger, blobs: Blobs, told: Sequence[bytes]) -> Verdict:
    """Judge drives whose work is done; `told` is all that the publications stream holds."""
    verdict = Verdict()
    announced = _by_capture(told)
    for drive in drives:
        await _judge_drive(drive, ledger, blobs, announced, verdict)
    return verdict


async def _judge_drive(drive: Drive, ledger: Ledger, blobs: Blobs, announced: Mapping[str, set[bytes]], verdict: Verdict) -> None:
    entries = [entry async for entry in ledger.audit_chain(drive.drive_id)]
    states = {str(state.capture_id): state.state async for state in ledger.captures(drive.drive_id)}
    decided = Counter(str(entry.body["capture_id"]) for entry in entries if entry.body["kind"] in _DECISIONS)
    there = [blob.ref.key async for blob in blobs.list(Bucket.PUBLISHED, f"{drive.drive_id}/")]
    for capture in sorted(f"{drive.drive_id}/{name}" for name in drive.captures):
        state = states.get(capture)
        verdict.captures += 1
        verdict.states[state or "unknown"] += 1
        if state is State.QUARANTINED:
            verdict.quarantined.append(capture)
        elif state not in ENDS or not _is_told(announced[capture], state) or not decided[capture]:
            verdict.lost.append(capture)
        if decided[capture] > 1 or len(announced[capture]) > 1:
            verdict.published_twice.append(capture)
    if entries:
        verdict.chain_findings += (await verify(ledger, blobs, drive.drive_id, noted=None)).findings
    looked = _looked_through(entries)
    verdict.unverified_published += [key for key in there if key.endswith(".jpg") and key not in looked]


def _by_capture(told: Iterable[bytes]) -> defaultdict[str, set[bytes]]:
    """Return what was told of each capture: the same told again counts once."""
    found: defaultdict[str, set[bytes]] = defaultdict(set)
    for data in told:
        message = outcome(data)
        assert message is not None
        found[message.capture_id].add(data)
    return found


def _is_told(messages: Iterable[bytes], state: State) -> bool:
    return any(isinstance(outcome(data), _MESSAGE[state]) for data in messages)


def _looked_through(entries: Iterable[AuditEntry]) -> set[str]:
    """Return the keys of pictures whose last look, after at least one round, found nothing; `verify` compares their bytes."""
    found = [Publication.model_validate(entry.body) for entry in entries if entry.body["kind"] == "publication"]
    clean = [one for one in found if one.verification.rounds > 0 and not one.verification.findings]
    return {output.key for one in clean for output in one.outputs}
