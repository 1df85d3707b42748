"""What the stitcher reads from its environment besides what every service does."""

import os
from pathlib import Path

from pydantic import Field

from panoveil.contracts.recipe import StitchRecipe
from panoveil.settings import Settings


class StitcherSettings(Settings):
    """`PANOVEIL_STITCH__WIDTH` and the recipe's other fields, `PANOVEIL_TABLES`, `PANOVEIL_THREADS`."""

    max_in_flight: int = Field(
        default=2, ge=1, le=1000, description="captures at once; each holds its frames and a panorama in memory"
    )
    stitch: StitchRecipe = StitchRecipe()
    tables: Path = Field(default=Path(".panoveil/tables"), description="where remap tables are kept and shared between processes")
    threads: int = Field(default=os.cpu_count() or 1, ge=1, le=256, description="that stitch strips")
