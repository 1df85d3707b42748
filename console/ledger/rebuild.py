"""Writes what the ledger would say of a drive, read from the buckets, where it says nothing yet.

Every write holds only where nothing stands, so a ledger that lives is never overwritten, and whoever is stopped runs the same again.
What is published decides: its JSON is the message that the anonymizer finished with. What is not is worked on again from its originals:
its capture is receiving once more, and the sweep announces it. What was stitched is not taken back into the ledger: the bucket does not
say what was found in the frames, and a message without that would let something be published that was found.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from console.ledger import inventory
from console.ledger.evidence import Evidence, follows, write_chain
from console.ledger.inventory import Inventory
from console.side_by_side import each
from panoveil import publication, quarantine
from panoveil.contracts.audit import Hold
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, CaptureId, current_key, publication_key, raw_key
from panoveil.contracts.limits import LONGEST_MANIFEST
from panoveil.contracts.messages import CurrentPublication, PanoramaHeld, PanoramaPublished, encode, outcome, parse_manifest
from panoveil.ledger import ENDS, Fate, Pointer, QuarantineEntry, SeenObject, State
from panoveil.runtime import Connections
from services.anonymizer.handler import REVIEW
from services.anonymizer.handler import STAGE as ANONYMIZER
from services.ingest import handler as ingest

_BEFORE_STITCHED = frozenset({"ingest", "stitcher"})
_NOTHING: frozenset[State] = frozenset()
_BEGUN = frozenset({State.RECEIVING})
"""An event came again before the ledger was rebuilt: nobody has decided anything since."""


@dataclass
class Rebuilt:
    """What came of a drive: its captures by state, what was written (or would be), and what a person has to see to."""

    drive_id: str
    states: Counter[str] = field(default_factory=Counter)
    wrote: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What is known of a capture: its publications by recipe, as they are written, and its waiting quarantine entry, if there is one."""

    capture_id: CaptureId
    publications: dict[str, bytes]
    holds: Sequence[Hold]
    waiting: QuarantineEntry | None


async def rebuild(
    drives: Iterable[str], evidence: dict[str, Evidence], world: Connections, *, dry_run: bool
) -> AsyncIterator[Rebuilt]:
    """Rebuild drive by drive; with `dry_run` only say what would be written. May be repeated, and stopped."""
    for drive_id in drives:
        found = await inventory.of_drive(drive_id, world.blobs)
        yield await _Drive(found, evidence.get(drive_id, Evidence(drive_id)), world, dry_run).rebuilt()


@dataclass
class _Drive:
    found: Inventory
    evidence: Evidence
    world: Connections
    dry_run: bool

    def __post_init__(self) -> None:
        self.result = Rebuilt(self.found.drive_id, problems=[f"{odd} is of no capture" for odd in self.found.odd])

    async def rebuilt(self) -> Rebuilt:
        await self._chain()
        if self.found.destroyed or self.evidence.drive_erased:
            await self._erased_drive()
            return self.result
        entries = [entry async for entry in self._entries()]
        waiting = {entry.capture_id: entry for entry in entries if entry.capture_id is not None}
        await each(self._captures(), lambda capture_id: self._capture(capture_id, waiting.get(capture_id)))
        for entry in entries:
            await self._keep(entry)
        await self._tell_archived()
        return self.result

    def _captures(self) -> list[CaptureId]:
        told = map(CaptureId.parse, {*self.evidence.erased, *self.evidence.holds})
        return sorted({*self.found.captures, *told}, key=str)

    async def _chain(self) -> None:
        """Bring back the chain, unless the ledger has another: then nothing is appended to it."""
        ledger, entries = self.world.ledger, self.evidence.entries
        if entries and not await follows(self.evidence, ledger):
            self.result.problems.append(f"{self.found.drive_id}: its audit chain was begun anew; the exported one stays a file")
            return
        head = await ledger.audit_head(self.found.drive_id)
        if self.found.publications and not entries and head is None:
            give = "give the file of `panoveil audit export` by --audit before a service works again, or its chain begins anew"
            self.result.problems.append(f"{self.found.drive_id} has no audit chain: {give}")
        self.result.wrote["audit entries"] = max(0, len(entries) - (head.sequence if head else 0))
        if not self.dry_run:
            await write_chain(self.evidence, ledger)

    async def _erased_drive(self) -> None:
        drive_id = self.found.drive_id
        if self.found.captures:
            again = f"`panoveil erase --drive {drive_id}`"
            self.result.problems.append(
                f"{drive_id} was erased, but {len(self.found.captures)} captures are there: {again} removes them"
            )
        if not await self.world.ledger.drive_erased(drive_id):
            self.result.wrote["erased drives"] += 1
            if not self.dry_run:
                await self.world.ledger.end_drive(drive_id)
        self.result.states[State.ERASED] += len(self.found.captures)

    async def _capture(self, capture_id: CaptureId, waiting: QuarantineEntry | None) -> None:
        there = await self.world.ledger.state(capture_id)
        if str(capture_id) in self.evidence.erased:
            await self._state(capture_id, State.ERASED)
        elif there is None or there.state in {State.PUBLISHED, State.RECEIVING}:
            facts = Facts(capture_id, await self._publications(capture_id), self.evidence.holds.get(str(capture_id), ()), waiting)
            await self._known(facts)
        else:  # it lives: whoever works on it knows more
            self.result.states[there.state] += 1

    async def _known(self, facts: Facts) -> None:
        """Write what is known of a capture, its state last but one: whoever dies before it begins anew."""
        for recipe_id, text in facts.publications.items():
            await self._finish(facts.capture_id, ANONYMIZER, recipe_id, text, "publications")
        for hold in facts.holds:
            await self._finish(facts.capture_id, ANONYMIZER, hold.recipe_id, encode(_held(hold)), "holds")
        for release in self.evidence.releases.get(str(facts.capture_id), ()):
            await self._finish(facts.capture_id, REVIEW, release.recipe_id or "", encode(release), "releases")
        if facts.publications:
            await self._announced(facts.capture_id)
            await self._pointer(facts)
        state, reason, detail = self._verdict(facts)
        await self._state(facts.capture_id, state, reason, detail)
        await self._objects(facts.capture_id)

    def _verdict(self, facts: Facts) -> tuple[State, str, str]:
        if facts.publications:
            return State.PUBLISHED, "", ""
        if facts.holds:
            return State.HELD, facts.holds[-1].reason, facts.holds[-1].verification.findings
        if facts.waiting is not None and self._is_waiting(facts.waiting):
            return State.QUARANTINED, facts.waiting.reason, facts.waiting.detail
        if facts.capture_id in self.found.raw:
            return State.RECEIVING, "", ""
        self.result.problems.append(
            f"{facts.capture_id} is stitched, not published, and its originals are gone: restore or upload them"
        )
        return State.STITCHED, "", ""

    def _is_waiting(self, entry: QuarantineEntry) -> bool:
        """Say whether nothing came of its capture since it was put away."""
        capture_id = entry.capture_id
        if capture_id is None:
            return True
        stitched_since = entry.service in _BEFORE_STITCHED and self.found.stitched.get(capture_id, 0.0) > entry.since
        return not stitched_since and not self.found.publications.get(capture_id)

    async def _publications(self, capture_id: CaptureId) -> dict[str, bytes]:
        """Return what is published, whole, by recipe."""
        found: dict[str, bytes] = {}
        for recipe_id in self.found.publications.get(capture_id, ()):
            ref = publication_key(str(capture_id), recipe_id)
            try:
                text = await self.world.blobs.get(ref)
                message = outcome(text)
            except Rejected as error:
                self.result.problems.append(f"{ref} cannot be read: {error}")
                continue
            if isinstance(message, PanoramaPublished) and await self._is_there(message, capture_id, recipe_id):
                found[recipe_id] = text
            else:
                self.result.problems.append(f"{ref} vouches for nothing that is there: the capture is worked on again")
        return found

    async def _is_there(self, message: PanoramaPublished, capture_id: CaptureId, recipe_id: str) -> bool:
        ours = (message.capture_id, message.recipe_id) == (str(capture_id), recipe_id)
        bucket = publication_key(str(capture_id), recipe_id).bucket
        return ours and await self.world.blobs.head(BlobRef(bucket, message.key)) is not None

    async def _announced(self, capture_id: CaptureId) -> None:
        """Note what ingest announced of a published capture, for replays under another recipe, where all its originals are there."""
        raw = self.found.raw.get(capture_id, {})
        if MANIFEST_NAME not in raw:
            return
        seen = {name: SeenObject(name, blob.etag, blob.size) for name, blob in raw.items()}
        try:
            manifest = parse_manifest(await self.world.blobs.get(raw_key(capture_id, MANIFEST_NAME), LONGEST_MANIFEST))
        except Rejected:
            return
        if all(frame.file in seen for frame in manifest.frames):
            message = encode(ingest.ready(capture_id, manifest, seen))
            await self._finish(capture_id, ingest.STAGE, ingest.RECIPE, message, "announcements")

    async def _pointer(self, facts: Facts) -> None:
        """Let the pointer stand where `current.json` says, or at the only publication; as often moved as the chain says."""
        ledger, capture_id = self.world.ledger, facts.capture_id
        if await ledger.current(capture_id) is not None:
            return
        recipe_id = await self._told(facts)
        if recipe_id is None:
            flip = f"`panoveil recipes flip --to RECIPE --drive {capture_id.drive_id}`"
            self.result.problems.append(f"{capture_id} has several publications and no current.json: decide by {flip}")
            return
        self.result.wrote["pointers"] += 1
        if not self.dry_run:
            await self._point(facts, recipe_id)
            await publication.tell(capture_id, ledger, self.world.blobs)

    async def _point(self, facts: Facts, recipe_id: str) -> None:
        """Move the pointer to where it was, in as many steps as it took: an entry of the chain names its place by their number."""
        flip = self.evidence.flips.get(str(facts.capture_id))
        places, before = (flip.place, flip.instead_of) if flip else (1, None)
        past = before if before in facts.publications else recipe_id
        there: Pointer | None = None
        for place in range(1, places + 1):
            if not await self.world.ledger.point(
                facts.capture_id, recipe_id if place == places else past or recipe_id, expected=there
            ):
                return  # somebody else decided
            there = await self.world.ledger.current(facts.capture_id)

    async def _told(self, facts: Facts) -> str | None:
        if facts.capture_id in self.found.pointed:
            ref = current_key(str(facts.capture_id))
            try:
                recipe_id = CurrentPublication.model_validate_json(await self.world.blobs.get(ref)).recipe_id
            except (ValidationError, Rejected):
                self.result.problems.append(f"{ref} cannot be read")
            else:
                if recipe_id in facts.publications:
                    return recipe_id
        return next(iter(facts.publications)) if len(facts.publications) == 1 else None

    async def _objects(self, capture_id: CaptureId) -> None:
        ledger = self.world.ledger
        seen = await ledger.seen(capture_id)
        for name, blob in self.found.raw.get(capture_id, {}).items():
            if name not in seen:
                self.result.wrote["objects"] += 1
                if not self.dry_run:
                    await ledger.saw(capture_id, SeenObject(name, blob.etag, blob.size))

    async def _finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes, what: str) -> None:
        if await self.world.ledger.finished(capture_id, stage, recipe_id) is None:
            self.result.wrote[what] += 1
            if not self.dry_run:
                await self.world.ledger.finish(capture_id, stage, recipe_id, message)

    async def _state(self, capture_id: CaptureId, state: State, reason: str = "", detail: str = "") -> None:
        there = await self.world.ledger.state(capture_id)
        after = _BEGUN if state in ENDS else _NOTHING
        if there is not None and there.state not in after:
            self.result.states[there.state] += 1
            return
        self.result.states[state] += 1
        self.result.wrote["states"] += 1
        if not self.dry_run:
            await self.world.ledger.move(capture_id, state, reason, detail, after=after)

    async def _entries(self) -> AsyncIterator[QuarantineEntry]:
        for ref in self.found.entries:
            try:
                yield quarantine.read_back(ref, await self.world.blobs.get(ref))
            except Rejected as error:
                self.result.problems.append(f"{ref} cannot be read: {error.detail}")

    async def _keep(self, entry: QuarantineEntry) -> None:
        """List an entry, as settled where its capture came further since. What a person decided about it is not known."""
        if await self.world.ledger.kept(entry.drive_id, entry.name) is None:
            self.result.wrote["quarantine entries"] += 1
            kept = entry if self._is_waiting(entry) else quarantine.settled(entry)
            assert kept.fate in {Fate.WAITING, Fate.SETTLED}
            if not self.dry_run:
                await self.world.ledger.keep(kept)

    async def _tell_archived(self) -> None:
        noted = {one.capture_id async for one in self.world.ledger.messages(self.found.drive_id, "archivist")}
        if unknown := self.found.archived - noted:
            again = f"`panoveil replay --stage stitcher --drive {self.found.drive_id}` has those archived again whose originals are there"
            self.result.problems.append(f"{self.found.drive_id}: what {len(unknown)} archive objects hold is not known; {again}")


def _held(hold: Hold) -> PanoramaHeld:
    return PanoramaHeld(
        capture_id=hold.capture_id,
        recipe_id=hold.recipe_id,
        reason=hold.reason,
        detail=hold.verification.findings,
        left=hold.left,
    )


def document_of(result: Rebuilt, *, dry_run: bool) -> str:
    """Return a drive's result as one JSON line."""
    wrote = {what: count for what, count in result.wrote.items() if count}
    fields = {"drive": result.drive_id, "states": dict(result.states), "wrote": wrote, "problems": result.problems}
    return json.dumps({**fields, "dry_run": dry_run})
