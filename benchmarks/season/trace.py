"""Records what a stage sees of a few simulated days, a line a minute: records that come, and its lag under the policy.

    python -m benchmarks.season.trace stitcher --minutes 2880 > tests/deploy/traces/stitcher.csv

For the tests of scaling, which let policy and template decide on it once more. CPU-seconds are fixed, so that it is always the same.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmarks.season.assumptions import Assumptions, Measured, changed
from benchmarks.season.demand import season
from benchmarks.season.queueing import Batch, Fifo
from benchmarks.season.simulate import Season
from benchmarks.season.supply import STAGES, planned

_MEASURED = Measured(ingest_cpu_s=0.4, stitcher_cpu_s=8.0, anonymizer_cpu_s=4.0)
_DAYS = ("panoramas=400000", "cars=12", "tick_s=60", "dependency_outages=1", "zone_outages=1", "spot_per_h=0.05")


class _Counted(Fifo):
    """A queue that knows how many records came since it was last asked."""

    came: float = 0.0

    def put(self, batch: Batch) -> None:
        self.came += batch.panoramas
        super().put(batch)

    def since_last(self) -> float:
        came, self.came = self.came, 0.0
        return came


class _Recording(Season):
    """A season that tells of one stage."""

    def record(self, stage: str) -> Iterator[tuple[int, int, float]]:
        """Yield (minute, records that came, lag in seconds) from the first arrival on."""
        queue = self._stages[stage].queue = _Counted()
        first = float(self._demand.arrived[0]) // 60 * 60
        for minute in range(10**9):
            now = first + 60.0 * minute
            self._step(now, now + 60)
            yield minute, round(queue.since_last()), round(queue.behind(now + 60), 1)


def recorded(stage: str, seed: int) -> Iterator[tuple[int, int, float]]:
    """Yield the trace of a stage."""
    assumptions = changed(Assumptions(), list(_DAYS))
    demand: Any = season(assumptions, 20, seed)
    return _Recording(demand, planned(demand, assumptions, _MEASURED), assumptions, seed).record(stage)


def main() -> None:
    """Print it as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.season.trace", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--minutes", type=int, default=2880)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("minute,incoming,behind_s")
    for minute, incoming, behind in islice(recorded(options.stage, options.seed), options.minutes):
        print(f"{minute},{incoming},{behind:g}")


if __name__ == "__main__":
    main()
