"""A data key a drive, wrapped by KMS and in memory, behind one port.

`KmsDriveKeys` and `provision_wrapping_key` need the extra `aws` and are loaded on first use, so that a handler, which needs
only the port, never loads an AWS client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from panoveil.keys._memory import MemoryDriveKeys
from panoveil.keys._port import DataKey, DriveKeys

if TYPE_CHECKING:
    from panoveil.keys._kms import KmsDriveKeys, provision_wrapping_key
else:

    def __getattr__(name: str) -> object:
        if name in {"KmsDriveKeys", "provision_wrapping_key"}:
            return getattr(import_module("panoveil.keys._kms"), name)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


__all__ = ["DataKey", "DriveKeys", "KmsDriveKeys", "MemoryDriveKeys", "provision_wrapping_key"]
