"""AES-256-GCM over a whole bundle.

Each object has a key of its own: HKDF-SHA256 of the drive's data key, for the capture and the SHA-256 of its index. An index names its
files by SHA-256, so a key never seals two different contents, and the nonce may stay zero. Sealing the same again makes the same bytes: two
workers at once cannot spoil each other's object. The capture id and the index's SHA-256 are the associated data as well.

An object is `MAGIC`, then the ciphertext, then the tag of 16 bytes.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason

MAGIC = b"PANOVEIL\x00\x01"
_NONCE = bytes(12)


def seal(tar: bytes, secret: bytes, capture_id: str, index_sha256: str) -> bytes:
    """Encrypt a bundle under a drive's data key of 32 bytes; `index_sha256` in hex."""
    about = _about(capture_id, index_sha256)
    return MAGIC + AESGCM(_key(secret, about)).encrypt(_NONCE, tar, about)


def unseal(data: bytes, secret: bytes, capture_id: str, index_sha256: str) -> bytes:
    """Decrypt, or raise `Rejected(CORRUPT_ARCHIVE)` where the object was altered, or sealed for another capture or under another key."""
    about = _about(capture_id, index_sha256)
    if not data.startswith(MAGIC):
        raise Rejected(Reason.CORRUPT_ARCHIVE, f"the archive object of {capture_id} is none, or of a newer format")
    try:
        return AESGCM(_key(secret, about)).decrypt(_NONCE, data[len(MAGIC) :], about)
    except InvalidTag as error:
        told = f"the archive object of {capture_id} does not open: it was altered, or sealed under another key"
        raise Rejected(Reason.CORRUPT_ARCHIVE, told) from error


def _about(capture_id: str, index_sha256: str) -> bytes:
    return b"\x00".join((MAGIC, capture_id.encode(), index_sha256.encode()))


def _key(secret: bytes, about: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=about).derive(secret)
