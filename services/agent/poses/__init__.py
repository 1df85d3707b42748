"""Poses from a file, for captures whose `capture.json` has none: see docs/poses.md."""

from services.agent.poses.completion import NO_POSES, WITHOUT_POSES, PoseFiles, Poses, open_poses
from services.agent.poses.options import PoseFormat, PoseOptions

__all__ = ["NO_POSES", "WITHOUT_POSES", "PoseFiles", "PoseFormat", "PoseOptions", "Poses", "open_poses"]
