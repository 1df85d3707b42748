"""What the anonymizer reads from its environment besides what every service does."""

from typing import Literal

from pydantic import Field

from panoveil.contracts.recipe import AnonymizeRecipe, Model, Obfuscator
from panoveil.detection import DetectorSettings


class AnonymizerSettings(DetectorSettings):
    """Where Triton is, and the part of the recipe that a person decides."""

    max_in_flight: int = Field(
        default=2, ge=1, le=1000, description="panoramas at once; each takes 0.5 GB of memory at 8192 x 4096 pixels"
    )
    view_plan: Literal["fast", "standard", "thorough"] = "standard"
    obfuscator: Obfuscator = Field(
        default="inpaint", description="inpaint, fill: hold nothing of what was there; mosaic_noise, blur: leak"
    )
    margin: float = Field(default=0.2, ge=0.15, le=1)
    verification_rounds: int = Field(default=3, ge=1, le=5)
    jpeg_quality: int = Field(default=90, ge=50, le=100)

    def recipe(self, face: Model, plate: Model) -> AnonymizeRecipe:
        """Return the recipe for the models that Triton serves."""
        return AnonymizeRecipe(
            face=face, plate=plate, view_plan=self.view_plan, obfuscator=self.obfuscator, margin=self.margin,
            verification_rounds=self.verification_rounds, jpeg_quality=self.jpeg_quality,
        )  # fmt: skip
