"""What ingest reads from its environment besides what every service does."""

from pydantic import Field

from panoveil.settings import Settings


class IngestSettings(Settings):
    """`PANOVEIL_INCOMPLETE_AFTER`, `PANOVEIL_ALLOW_MISSING_LENSES`, `PANOVEIL_SWEEP_EVERY`."""

    max_in_flight: int = Field(default=16, ge=1, le=1000, description="records worked on at once")
    incomplete_after: float = Field(
        default=3600.0, gt=0, description="seconds after its first object until a capture is given up"
    )
    allow_missing_lenses: int = Field(
        default=0,
        ge=0,
        description="a capture that lacks no more frames is stitched with a gap then, not given up; "
        "PANOVEIL_STITCH__GATE__MISSING_LENSES says whether it may be published",
    )
    sweep_every: float = Field(default=60.0, gt=0, description="seconds between two looks for such captures")
