"""What the anonymizer reads from its environment besides what every service does."""

from typing import Literal

from pydantic import Field

from panoveil.contracts.recipe import AnonymizeRecipe, Model, Obfuscator
from panoveil.detection import Choice, Kind
from panoveil.settings import Settings

FACE_THRESHOLD = 0.18
PLATE_THRESHOLD = 0.4


class AnonymizerSettings(Settings):
    """Where Triton is, and the part of the recipe that a person decides; the models' names and hashes come from Triton itself."""

    max_in_flight: int = Field(
        default=2, ge=1, le=1000, description="panoramas at once; each takes 0.5 GB of memory at 8192 x 4096 pixels"
    )
    triton_url: str = Field(default="127.0.0.1:8001", description="host:port of Triton's gRPC")
    triton_in_flight: int = Field(default=4, ge=1, le=256, description="requests under way at Triton")
    triton_deadline: float = Field(default=60.0, gt=0, description="seconds a request may take")
    triton_attempts: int = Field(default=5, ge=1, le=20, description="times a request is made that finds Triton down or late")
    golden_every: float = Field(default=600.0, gt=0, description="seconds between two looks at the golden picture")
    face_model: str = Field(default="face", min_length=1, description="its name at Triton; see triton_models/README.md")
    plate_model: str = Field(default="plate", min_length=1, description="likewise")
    face_threshold: float = Field(default=FACE_THRESHOLD, ge=0, le=1)
    plate_threshold: float = Field(default=PLATE_THRESHOLD, ge=0, le=1)
    face_longest_side: int | None = Field(
        default=None, ge=640, multiple_of=32, description="pixels the model takes; unset is no limit, larger views are cut up"
    )
    plate_longest_side: int | None = Field(default=None, ge=640, multiple_of=32, description="likewise")
    view_plan: Literal["fast", "standard", "thorough"] = "standard"
    obfuscator: Obfuscator = Field(
        default="inpaint", description="inpaint, fill: hold nothing of what was there; mosaic_noise, blur: leak"
    )
    margin: float = Field(default=0.2, ge=0.15, le=1)
    verification_rounds: int = Field(default=5, ge=1, le=5)
    jpeg_quality: int = Field(default=90, ge=50, le=100)

    @property
    def models(self) -> dict[Kind, Choice]:
        """The models to ask Triton for."""
        return {
            "face": Choice(self.face_model, self.face_threshold, self.face_longest_side),
            "plate": Choice(self.plate_model, self.plate_threshold, self.plate_longest_side),
        }

    def recipe(self, face: Model, plate: Model) -> AnonymizeRecipe:
        """Return the recipe for the models that Triton serves."""
        return AnonymizeRecipe(
            face=face, plate=plate, view_plan=self.view_plan, obfuscator=self.obfuscator, margin=self.margin,
            verification_rounds=self.verification_rounds, jpeg_quality=self.jpeg_quality,
        )  # fmt: skip
