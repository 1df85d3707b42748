"""SBET, the smoothed best estimate of trajectory that Applanix POSPac writes: 17 little-endian doubles a record, nothing else.

Seconds of the GPS week, latitude, longitude (radians), height above the ellipsoid (m), three velocities, roll, pitch, platform heading,
wander angle (radians), three accelerations, three rates. Heading from true north is platform heading less wander angle. The file is
mapped, not read: a day is 800 MB, and a pose needs 25 records of it.
"""

import mmap
import struct
from itertools import pairwise
from math import degrees
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from services.agent.poses.clock import WEEK
from services.agent.poses.track import Fix, plausible

_RECORD = struct.Struct("<17d")
_TIME = struct.Struct("<d")
_SAMPLES = 1000


class SbetTrack:
    """A mapped file. Times that begin again from nought at the week's end go on beyond it."""

    weekly = True
    passed_over = 0

    def __init__(self, path: Path) -> None:
        """`Misconfigured` where the file cannot be one."""
        self._path = path
        self._data = _mapped(path)
        self._first = _TIME.unpack_from(self._data, 0)[0]
        self._require_order()

    def __len__(self) -> int:
        """See `Track`."""
        return len(self._data) // _RECORD.size

    def time(self, index: int) -> float:
        """See `Track`."""
        time: float = _TIME.unpack_from(self._data, index * _RECORD.size)[0]
        return time if time >= self._first else time + WEEK

    def fix(self, index: int) -> Fix:
        """See `Track`. `Misconfigured` where the record cannot be one."""
        _, latitude, longitude, height, _, _, _, roll, pitch, heading, wander, *_ = _RECORD.unpack_from(
            self._data, index * _RECORD.size
        )
        try:
            return plausible(
                Fix(
                    time=self.time(index),
                    latitude=degrees(latitude),
                    longitude=degrees(longitude),
                    altitude=height,
                    heading=degrees(heading - wander),
                    pitch=degrees(pitch),
                    roll=degrees(roll),
                )
            )
        except ValueError as error:
            raise Misconfigured(f"{self._path}, record {index + 1}: {error}: is it an SBET, in radians?") from error

    def _require_order(self) -> None:
        """Look at samples: to look at all would be to read all."""
        last = len(self) - 1
        samples = sorted({round(last * share / _SAMPLES) for share in range(_SAMPLES + 1)})
        for before, after in pairwise(map(self.fix, samples)):
            if after.time < before.time:
                raise Misconfigured(
                    f"{self._path}: a time of {after.time:.3f} s follows {before.time:.3f} s: sort its records by time"
                )


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            raise Misconfigured(f"{path} is empty")
        if size % _RECORD.size:
            raise Misconfigured(
                f"{path} ends within record {size // _RECORD.size + 1} of {_RECORD.size} bytes: it is no SBET, or not all of one"
            )
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
