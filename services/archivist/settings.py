"""What the archivist reads from its environment besides what every service does."""

from pydantic import Field

from panoveil.contracts.archive import StorageClass
from panoveil.settings import Settings


class ArchivistSettings(Settings):
    """`PANOVEIL_ARCHIVE_CLASS`."""

    max_in_flight: int = Field(default=4, ge=1, le=1000, description="captures at once; each takes four times its size in memory")
    archive_class: StorageClass = Field(default=StorageClass.DEEP_ARCHIVE, description="storage class of archive objects")
