"""What a restore costs and how long it takes. The only place where prices stand.

Assumptions: AWS list prices in US dollars as they were published for eu-north-1 and the like in 2025, without taxes, discounts and free tiers; a
GB is 10^9 bytes; a month has 30 days; nothing leaves the region. Times are those within which AWS says a restore typically
completes; tens of millions of objects at once take longer, and an account may ask for a thousand objects a second.
Look prices up before a large restore and change them here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from panoveil.blobs import Tier
from panoveil.contracts.archive import CaptureArchived, StorageClass
from panoveil.contracts.errors import Misconfigured

GB = 1e9
HOT_GB_MONTH = 0.023
PUT_EACH = 0.005 / 1000


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Dollars a request and a GB, and how long it takes."""

    request: float
    gigabyte: float
    takes: timedelta


RETRIEVALS: dict[tuple[StorageClass, Tier], Retrieval] = {
    (StorageClass.DEEP_ARCHIVE, "Standard"): Retrieval(0.10 / 1000, 0.02, timedelta(hours=12)),
    (StorageClass.DEEP_ARCHIVE, "Bulk"): Retrieval(0.025 / 1000, 0.0025, timedelta(hours=48)),
    (StorageClass.GLACIER, "Expedited"): Retrieval(10.0 / 1000, 0.03, timedelta(minutes=5)),
    (StorageClass.GLACIER, "Standard"): Retrieval(0.05 / 1000, 0.01, timedelta(hours=5)),
    (StorageClass.GLACIER, "Bulk"): Retrieval(0.0, 0.0, timedelta(hours=12)),
}
"""Classes that must be restored before they are read, by tier."""

READ_GB = {StorageClass.GLACIER_IR: 0.03, StorageClass.STANDARD_IA: 0.01, StorageClass.STANDARD: 0.0}
"""Dollars a GB read, of classes that are read at once."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Dollars for a restore by what they are for, and how long the slowest object takes."""

    objects: int
    size: int
    requests: float
    retrieval: float
    copies: float
    originals: float
    takes: timedelta

    @property
    def total(self) -> float:
        """Dollars in all."""
        return self.requests + self.retrieval + self.copies + self.originals


def quote(archived: Iterable[CaptureArchived], tier: Tier, days: int) -> Quote:
    """Say what it costs to ask for these objects, keep their readable copies for `days`, and put the originals back for a month."""
    wanted = list(archived)
    ways = [retrieval(one.storage_class, tier) for one in wanted]
    size = sum(one.size for one in wanted)
    cold = sum(one.size for one in wanted if one.storage_class.cold)
    return Quote(
        objects=len(wanted),
        size=size,
        requests=sum(way.request for way in ways),
        retrieval=sum(way.gigabyte * one.size / GB for way, one in zip(ways, wanted, strict=True)),
        copies=cold / GB * HOT_GB_MONTH * days / 30,
        originals=size / GB * HOT_GB_MONTH + PUT_EACH * sum(len(one.files) for one in wanted),
        takes=max((way.takes for way in ways), default=timedelta()),
    )


def retrieval(storage_class: StorageClass, tier: Tier) -> Retrieval:
    """Return how an object of a class is retrieved; what is read at once knows no tiers. `Misconfigured` where the class knows no such tier."""
    if not storage_class.cold:
        return Retrieval(0.0, READ_GB[storage_class], timedelta())
    if (storage_class, tier) not in RETRIEVALS:
        raise Misconfigured(f"Nothing is restored from {storage_class} by tier {tier}: choose Standard or Bulk.")
    return RETRIEVALS[storage_class, tier]
