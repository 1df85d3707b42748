"""What the agent reads from its environment besides what everything does."""

from pydantic import Field, ValidationError

from panoveil.contracts.errors import Misconfigured
from panoveil.settings import Settings
from services.agent.poses import PoseOptions


class AgentSettings(Settings):
    """`PANOVEIL_PARALLEL`, `PANOVEIL_GIVE_UP_AFTER`, `PANOVEIL_POSE__FILES` and the others of `PoseOptions`."""

    parallel: int = Field(default=4, ge=1, le=64, description="objects on their way at once")
    give_up_after: float = Field(default=600.0, ge=0, description="seconds to wait for what does not answer; 0: for ever")
    pose: PoseOptions = PoseOptions()


def read_settings() -> AgentSettings:
    """Read the environment; `Misconfigured` names each variable that is wrong."""
    try:
        return AgentSettings()
    except ValidationError as error:
        faults = (f"PANOVEIL_{'__'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
        raise Misconfigured("; ".join(faults)) from error
