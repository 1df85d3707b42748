"""What the ledger knows of a capture in the archive. Figures and hashes only: no pixels, no positions."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import Name, Sha256
from panoveil.contracts.reasons import Reason


class StorageClass(StrEnum):
    """How S3 keeps an object. What is `cold` must be restored before it can be read."""

    STANDARD = "STANDARD"
    STANDARD_IA = "STANDARD_IA"
    GLACIER_IR = "GLACIER_IR"
    GLACIER = "GLACIER"
    DEEP_ARCHIVE = "DEEP_ARCHIVE"

    @property
    def cold(self) -> bool:
        """Whether an object must be restored before it can be read."""
        return self in {StorageClass.GLACIER, StorageClass.DEEP_ARCHIVE}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class ArchivedFile(_Frozen):
    """A frame, or the manifest, in an archive object."""

    name: Name
    sha256: Sha256
    size: int = Field(gt=0, description="bytes")


class CaptureArchived(_Frozen):
    """Archivist: a capture's frames and manifest lie in one encrypted object, and the store's checksum of it was right.

    `index_sha256` is that of the index inside the object; the capture id and it are what the object is sealed for. `key_sha256` is that of the
    drive's wrapped data key, so that a lost or foreign key can be told. `etags` are those of the originals as they were read: one that has another
    now was written again since, and is not what was archived.
    """

    type: Literal["capture.archived"] = "capture.archived"
    version: Literal[1] = 1
    capture_id: str
    key: str
    sha256: Sha256
    size: int = Field(gt=0, description="bytes")
    storage_class: StorageClass
    index_sha256: Sha256
    key_sha256: Sha256
    files: tuple[ArchivedFile, ...] = Field(min_length=1)
    etags: dict[Name, str]
    archived_at: AwareDatetime


class RestoreRequested(_Frozen):
    """Operator: a readable copy of an archive object was asked for; `expected_at` is when the store should have it."""

    type: Literal["capture.restore"] = "capture.restore"
    version: Literal[1] = 1
    capture_id: str
    key: str
    tier: Literal["Standard", "Bulk", "Expedited"]
    days: int = Field(ge=1)
    by: Name
    requested_at: AwareDatetime
    expected_at: AwareDatetime


class CaptureRestored(_Frozen):
    """Operator: a capture's originals were put back from the archive; `etags` are those that they have since, by name."""

    type: Literal["capture.restored"] = "capture.restored"
    version: Literal[1] = 1
    capture_id: str
    key: str
    etags: dict[Name, str]
    restored_at: AwareDatetime


def parse_archived(data: bytes) -> CaptureArchived:
    """Read what the archivist noted, or raise `Rejected(UNKNOWN_MESSAGE)`."""
    try:
        return CaptureArchived.model_validate_json(data)
    except ValidationError as error:
        raise Rejected(Reason.UNKNOWN_MESSAGE, "the ledger's note of an archive object is of another version") from error
