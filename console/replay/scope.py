"""Which captures are meant: by drive, survey, name, time and place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import CaptureReady, PanoramaStitched, PanoramaStitchedV1, PanoramaStitchedV2, Pose
from panoveil.ledger import FAR_FUTURE, Ledger


@dataclass(frozen=True, slots=True)
class Area:
    """A box of WGS84 degrees; `west` greater than `east` wraps round the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def parse(cls, text: str) -> "Area":
        """Read `W,S,E,N`, or raise `Misconfigured`."""
        try:
            west, south, east, north = map(float, text.split(","))
        except ValueError as error:
            raise Misconfigured(
                f"{text!r} is no area: write west,south,east,north in degrees, as in 10.3,55.3,10.5,55.5."
            ) from error
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):  # noqa: PLR2004 - degrees
            raise Misconfigured(f"{text!r} is no area on Earth: write west,south,east,north in degrees, the south first.")
        return cls(west, south, east, north)

    def holds(self, pose: Pose) -> bool:
        """Say whether a position lies in it, its edge included."""
        if self.west <= self.east:
            inside = self.west <= pose.longitude <= self.east
        else:
            inside = pose.longitude >= self.west or pose.longitude <= self.east
        return inside and self.south <= pose.latitude <= self.north


@dataclass(frozen=True, slots=True)
class Scope:
    """What the options say. Times are epoch seconds at which captures were taken."""

    drive: str | None = None
    survey: str | None = None
    captures: frozenset[CaptureId] = frozenset()
    since: float = 0.0
    until: float = FAR_FUTURE
    area: Area | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing narrows it down."""
        return self == Scope()

    @property
    def only_time(self) -> bool:
        """Whether nothing but a beginning, and maybe an end, narrows it down."""
        return self.since > 0 and self == Scope(since=self.since, until=self.until)

    def names(self, capture_id: CaptureId) -> bool:
        """Say whether a capture is meant as far as its name tells."""
        return (
            self.drive in {None, capture_id.drive_id}
            and self.survey in {None, capture_id.survey}
            and (not self.captures or capture_id in self.captures)
        )

    def covers(self, message: CaptureReady | PanoramaStitched | PanoramaStitchedV1 | PanoramaStitchedV2) -> bool:
        """Say whether the capture of a message is meant."""
        return (
            self.names(CaptureId.parse(message.capture_id))
            and self.since <= message.captured_at.timestamp() <= self.until
            and (self.area is None or self.area.holds(message.pose))
        )

    async def drives(self, ledger: Ledger) -> AsyncIterator[str]:
        """Yield the drives that have to be read, ordered."""
        if self.captures:
            named = {capture.drive_id for capture in self.captures if self.names(capture)}
        elif self.drive:
            named = {self.drive}
        else:
            named = {drive async for drive in ledger.drives() if self.survey in {None, drive.split("/")[0]}}
        for drive in sorted(named):
            yield drive
