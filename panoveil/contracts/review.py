"""What a person decided about a panorama that was held: part of the recipe under which it is looked at once more."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MOST = 1000


class _Frozen(BaseModel):
    """Strict on purpose: half of a decision that is not understood must not be followed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Marked(_Frozen):
    """A box that a person drew or decided about, in panorama degrees as `PanoramaBox` has them: `west` beyond `east` wraps."""

    kind: Literal["face", "plate"]
    west: float = Field(ge=-180, le=180)
    east: float = Field(ge=-180, le=180)
    south: float = Field(ge=-90, le=90)
    north: float = Field(ge=-90, le=90)

    @model_validator(mode="after")
    def _upright(self) -> Self:
        if self.south > self.north:
            raise ValueError("south lies above north: such a box would hide nothing")
        return self


class Review(_Frozen):
    """What counts besides the detectors' word. Everything is looked at, obfuscated and verified as ever.

    `hide` is hidden besides what is found. `accept`: what the verification finds of that kind, and nearly all of it within such a box,
    counts as looked at by a person; anything else that it finds still holds. `waive`: the quality gate's hold does not count.
    """

    hide: tuple[Marked, ...] = Field(default=(), max_length=_MOST)
    accept: tuple[Marked, ...] = Field(default=(), max_length=_MOST)
    waive: bool = False

    @property
    def hiding(self) -> "Review | None":
        """What of it can only hide more, so needs nobody's word; None where that is nothing."""
        return Review(hide=self.hide) if self.hide else None

    @property
    def only_hides(self) -> bool:
        """Whether nothing is published for its sake that would not be published otherwise."""
        return not self.accept and not self.waive

    def joined(self, other: "Review | None") -> "Review":
        """Return both together, the other's boxes first: what was decided before still counts."""
        if other is None:
            return self
        hide = tuple(dict.fromkeys((*other.hide, *self.hide)))
        accept = tuple(dict.fromkeys((*other.accept, *self.accept)))
        return Review(hide=hide, accept=accept, waive=self.waive or other.waive)
