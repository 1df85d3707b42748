"""Angles in degrees, the shorter way round."""


def difference(target: float, start: float) -> float:
    """Return what turns `start` into `target` the shorter way: [-180, 180)."""
    return (target - start + 180.0) % 360.0 - 180.0


def between(start: float, target: float, share: float) -> float:
    """Return the angle that lies `share` of the shorter way from one to the other; not wrapped."""
    return start + share * difference(target, start)


def compass(angle: float) -> float:
    """Wrap to [0, 360)."""
    wrapped = angle % 360.0
    # A negative angle too small to tell from nought is raised to 360 itself.
    return wrapped if wrapped < 360.0 else 0.0  # noqa: PLR2004


def signed(angle: float) -> float:
    """Wrap to [-180, 180); an angle that is there keeps its last bits."""
    return angle if -180.0 <= angle < 180.0 else compass(angle + 180.0) - 180.0  # noqa: PLR2004
