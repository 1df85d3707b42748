"""The key store in memory: same behaviour as KMS and S3, for tests and for trying things."""

import hashlib
import secrets

from panoveil.contracts.errors import Unavailable
from panoveil.keys._port import DataKey, key_gone


class MemoryDriveKeys:
    """Keeps keys in a dictionary; while `down` is true it answers as a store that cannot be reached."""

    def __init__(self) -> None:
        """Begin empty."""
        self._keys: dict[str, DataKey] = {}
        self._destroyed: set[str] = set()
        self.down = False

    async def obtain(self, drive_id: str) -> DataKey:
        """See `DriveKeys`."""
        self._answer()
        if drive_id in self._destroyed:
            raise key_gone(drive_id)
        secret = secrets.token_bytes(32)
        return self._keys.setdefault(drive_id, DataKey(secret, hashlib.sha256(secret[::-1]).hexdigest()))

    async def existing(self, drive_id: str) -> DataKey:
        """See `DriveKeys`."""
        self._answer()
        if drive_id not in self._keys:
            raise key_gone(drive_id)
        return self._keys[drive_id]

    async def fingerprint(self, drive_id: str) -> str | None:
        """See `DriveKeys`."""
        self._answer()
        return self._keys[drive_id].fingerprint if drive_id in self._keys else None

    async def destroy(self, drive_id: str) -> bool:
        """See `DriveKeys`."""
        self._answer()
        self._destroyed.add(drive_id)
        return self._keys.pop(drive_id, None) is not None

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("kms", "switched off")
