"""What a service that looks for faces and plates reads from its environment."""

from pydantic import Field

from panoveil.detection._choice import Choice
from panoveil.detection._port import Kind
from panoveil.settings import Settings

FACE_THRESHOLD = 0.18
PLATE_THRESHOLD = 0.65


class DetectorSettings(Settings):
    """Where Triton is and which of its models count from which score; their versions and hashes come from Triton itself."""

    triton_url: str = Field(default="127.0.0.1:8001", description="host:port of Triton's gRPC")
    triton_in_flight: int = Field(default=4, ge=1, le=256, description="requests under way at Triton")
    triton_deadline: float = Field(default=60.0, gt=0, description="seconds a request may take")
    triton_attempts: int = Field(default=5, ge=1, le=20, description="times a request is made that finds Triton down or late")
    triton_shared_memory: bool = Field(default=False, description="where Triton runs on this machine and shares its /dev/shm")
    golden_every: float = Field(default=600.0, gt=0, description="seconds between two looks at the golden picture")
    face_model: str = Field(default="face", min_length=1, description="its name at Triton; see triton_models/README.md")
    plate_model: str = Field(default="plate", min_length=1, description="likewise")
    face_threshold: float = Field(default=FACE_THRESHOLD, ge=0, le=1)
    plate_threshold: float = Field(default=PLATE_THRESHOLD, ge=0, le=1)
    face_longest_side: int | None = Field(
        default=None, ge=640, multiple_of=32, description="pixels the model takes; unset is no limit, larger views are cut up"
    )
    plate_longest_side: int | None = Field(default=None, ge=640, multiple_of=32, description="likewise")

    @property
    def models(self) -> dict[Kind, Choice]:
        """The models to ask Triton for."""
        return {
            "face": Choice(self.face_model, self.face_threshold, self.face_longest_side),
            "plate": Choice(self.plate_model, self.plate_threshold, self.plate_longest_side),
        }
