"""A process that stitches captures with two threads, as many at once as the service, and says how much memory it came to hold.

    python -m benchmarks.stitching.worker FOLDER MODE WIDTH TABLES

`rss_mb` is the most it ever had resident, mapped tables included, `private_mb` what other workers of the machine would not share.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.stitching.ours import Line
from benchmarks.stitching.speed import IN_FLIGHT, in_flight
from panoveil.contracts.rig import Rig
from panoveil.pixels.process import prepare

_ROUNDS = 4


def main() -> None:
    """Stitch and print."""
    folder, mode, width, cache = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    prepare()
    rig = Rig.model_validate_json((folder / "rig.json").read_text())
    line = Line(rig, mode, width, cache)
    frames = {lens.name: (folder / f"{lens.name}.jpg").read_bytes() for lens in rig.lenses}
    with ThreadPoolExecutor(2) as workers, ThreadPoolExecutor(IN_FLIGHT) as captures:
        for _ in range(_ROUNDS):
            in_flight(line, frames, workers, captures)
    print(json.dumps({"rss_mb": _kilobytes("status", "VmHWM"), "private_mb": _kilobytes("smaps_rollup", "Private_")}))


def _kilobytes(file: str, prefix: str) -> float:
    """Return MB: the sum of the lines of a file of /proc/self that begin so."""
    lines = Path("/proc/self", file).read_text().splitlines()
    return round(sum(int(line.split()[1]) for line in lines if line.startswith(prefix)) / 1024, 1)


if __name__ == "__main__":
    main()
