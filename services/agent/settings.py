"""What the agent reads from its environment besides what everything does."""

from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from panoveil.contracts.errors import Misconfigured
from panoveil.settings import Settings
from services.agent.limit import bytes_per_second
from services.agent.poses import PoseOptions


def _rate(value: object) -> object:
    return bytes_per_second(value) if isinstance(value, str) and value != "0" else value


class AgentSettings(Settings):
    """`PANOVEIL_PARALLEL`, `PANOVEIL_GIVE_UP_AFTER`, `PANOVEIL_POSE__FILES` and the others of `PoseOptions`."""

    parallel: int = Field(default=4, ge=1, le=64, description="objects on their way at once")
    give_up_after: float = Field(default=600.0, ge=0, description="seconds to wait for what does not answer; 0: for ever")
    limit: Annotated[float, BeforeValidator(_rate)] = Field(default=0.0, ge=0, description="`20MB/s`; 0: as fast as it goes")
    multipart_above: int = Field(default=32 << 20, ge=5 << 20, description="bytes; larger objects go in parts")
    settle: float = Field(default=2.0, gt=0, description="seconds after which what does not change is no longer being written")
    watch_every: float = Field(default=10.0, gt=0, description="seconds between two looks with --watch")
    pose: PoseOptions = PoseOptions()


def read_settings() -> AgentSettings:
    """Read the environment; `Misconfigured` names each variable that is wrong."""
    try:
        return AgentSettings()
    except ValidationError as error:
        faults = (f"PANOVEIL_{'__'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
        raise Misconfigured("; ".join(faults)) from error
