"""Which captures are meant: a drive's, or those named."""

from collections.abc import Sequence
from dataclasses import dataclass

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import CaptureState, Ledger, State


@dataclass(frozen=True, slots=True)
class Scope:
    """A whole drive where `captures` is empty, else those captures, all of one drive or of several."""

    drive: str | None
    captures: tuple[CaptureId, ...] = ()

    @classmethod
    def of(cls, drive: str | None, captures: Sequence[str]) -> "Scope":
        """Read what the options say: one of them; `Misconfigured` says what is wrong."""
        if (drive is None) == (not captures):
            raise Misconfigured("Say which: --drive <survey>/<drive>, or --capture <survey>/<drive>/<capture>.")
        try:
            named = tuple(map(CaptureId.parse, captures))
            if drive is not None:
                CaptureId.parse(f"{drive}/x")
        except Rejected as error:
            raise Misconfigured(
                f"{drive or ', '.join(captures)} is no name: write <survey>/<drive> or <survey>/<drive>/<capture>."
            ) from error
        return cls(drive, named)

    @property
    def drives(self) -> list[str]:
        """The drives that are meant or have captures that are, ordered."""
        return [self.drive] if self.drive else sorted({capture.drive_id for capture in self.captures})

    def means(self, capture_id: CaptureId) -> bool:
        """Say whether a capture is meant."""
        return capture_id.drive_id == self.drive or capture_id in self.captures

    async def known(self, ledger: Ledger) -> list[CaptureState]:
        """Return the captures that are meant, ordered; `Misconfigured` where the ledger knows none, or not all of those named."""
        found = [state for drive in self.drives async for state in ledger.captures(drive) if self.means(state.capture_id)]
        if self.drive and not found:
            raise Misconfigured(f"No drive {self.drive!r} is in the ledger; `panoveil status` lists those that are.")
        if unknown := sorted(map(str, set(self.captures) - {state.capture_id for state in found})):
            raise Misconfigured(f"No capture {unknown[0]!r} is in the ledger; `panoveil status DRIVE` lists a drive's.")
        return found

    async def erased(self, ledger: Ledger) -> list[CaptureId]:
        """Return those of the captures that were erased, each by itself or with its drive."""
        drives = {drive for drive in self.drives if await ledger.drive_erased(drive)}
        states = await self.known(ledger)
        return [one.capture_id for one in states if one.state is State.ERASED or one.capture_id.drive_id in drives]
