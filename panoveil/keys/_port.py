"""What the archive asks of a key store: one data key a drive, which can be destroyed."""

from dataclasses import dataclass, field
from typing import Protocol

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class DataKey:
    """32 bytes that seal what is archived of a drive; `fingerprint` is the SHA-256, in hex, of the key as it is kept, wrapped."""

    secret: bytes = field(repr=False)
    fingerprint: str


class DriveKeys(Protocol):
    """One data key a drive.

    Every method raises `Unavailable` while the store, or who wraps its keys, does not answer.
    """

    async def obtain(self, drive_id: str) -> DataKey:
        """Return the drive's key; make it where there never was one. Of several at once all get the same.

        `Rejected(KEY_GONE)` where it was destroyed: it is never made anew.
        """
        ...

    async def existing(self, drive_id: str) -> DataKey:
        """Return the drive's key, or raise `Rejected(KEY_GONE)`."""
        ...

    async def fingerprint(self, drive_id: str) -> str | None:
        """Return the SHA-256, in hex, of the drive's wrapped key, or None where there is none; unwraps nothing."""
        ...

    async def destroy(self, drive_id: str) -> bool:
        """Remove the drive's key for good, in every version; False where there was none. May be repeated."""
        ...


def key_gone(drive_id: str) -> Rejected:
    """Return what to raise where a drive has no key."""
    return Rejected(Reason.KEY_GONE, f"there is no key of drive {drive_id}: it was destroyed, or nothing was ever archived")
