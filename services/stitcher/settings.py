"""What the stitcher reads from its environment besides what every service does."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from panoveil.contracts.recipe import Model, SecondSource, StitchRecipe
from panoveil.detection import DetectorSettings


class StitcherSettings(DetectorSettings):
    """`PANOVEIL_STITCH__WIDTH` and the recipe's other fields, `PANOVEIL_TABLES`, `PANOVEIL_THREADS`.

    Triton is asked only where frames are looked at. `PANOVEIL_VIEW_PLAN` is the anonymizer's too.
    """

    max_in_flight: int = Field(
        default=2, ge=1, le=1000, description="captures at once; each holds its frames and a panorama in memory"
    )
    stitch: StitchRecipe = StitchRecipe()
    tables: Path = Field(default=Path(".panoveil/tables"), description="where remap tables are kept and shared between processes")
    threads: int = Field(default=os.cpu_count() or 1, ge=1, le=256, description="that stitch strips")
    view_plan: Literal["fast", "standard", "thorough"] = "standard"
    second_source: Literal["off", "seams", "everywhere"] | None = Field(
        default=None,
        description="where lens frames are looked at too; unset: at seams where the view plan is thorough, else nowhere",
    )

    @property
    def looks_at_frames(self) -> bool:
        """Whether a detector is needed."""
        return self._where != "off"

    @property
    def _where(self) -> Literal["off", "seams", "everywhere"]:
        return self.second_source or ("seams" if self.view_plan == "thorough" else "off")

    def recipe(self, face: Model, plate: Model) -> StitchRecipe:
        """Return the recipe for the models that Triton serves."""
        where = self._where
        if where == "off":
            return self.stitch
        source = SecondSource(face=face, plate=plate, where=where, view_plan=self.view_plan)
        return self.stitch.model_copy(update={"second_source": source})
