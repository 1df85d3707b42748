"""A national season, simulated: 30 million panoramas from April to September, what publishes them, how late, and for how much.

    python -m benchmarks.season
    python -m benchmarks.season --json --seed 7
    python -m benchmarks.season --set gpu_s=0.2 --set cars=12 --picture season.svg
    python -m benchmarks.season --set panoramas=300000 --batch 5 --without-sensitivity
    python -m benchmarks.season --markdown

CPU-seconds are measured on this machine first (--rounds); everything else is an assumption with a unit and a source:
--markdown prints them all, --set changes them. Progress goes to standard error.

Exit codes: 0 all that was wanted is published, 1 the cars did not finish it by the end of September, 78 an option cannot be understood.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.options import Tell, positive, teller
from benchmarks.season import calibration, picture, report
from benchmarks.season.assumptions import Assumptions, Measured, Prices, changed
from benchmarks.season.demand import Demand, season
from benchmarks.season.simulate import Outcome, Season
from benchmarks.season.supply import planned
from panoveil.contracts.errors import Misconfigured

_NOT_FINISHED = 1


def main() -> None:
    """Measure, simulate, print."""
    options = _options()
    try:
        assumptions = changed(Assumptions(), options.set)
    except Misconfigured as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    if options.markdown:
        print(report.assumptions_markdown(assumptions, None, Prices()))
        return
    figures = simulated(options, assumptions, teller())
    print(json.dumps(figures) if options.json else _readable(figures, assumptions))
    sys.exit(0 if figures["panoramas"]["published"] >= figures["panoramas"]["wanted"] - 0.5 else _NOT_FINISHED)


def simulated(options: argparse.Namespace, assumptions: Assumptions, tell: Tell) -> dict[str, Any]:
    """Return what the JSON shows."""
    measured = calibration.measure(options.rounds, tell)
    tell(f"measured: {measured}")
    demand, outcome = once(assumptions, measured, options.batch, options.seed, tell)
    figures = report.figures(demand, outcome, assumptions, Prices())
    if options.picture:
        options.picture.write_text(picture.svg(demand, outcome))
    if not options.without_sensitivity:
        figures["sensitivity"] = {"as assumed": report.brief(figures)} | sensitivity(assumptions, measured, demand, options, tell)
    return figures | {
        "seed": options.seed,
        "batch": options.batch,
        "measured": asdict(measured),
        "assumptions": asdict(assumptions),
    }


def once(assumptions: Assumptions, measured: Measured, batch: int, seed: int, tell: Tell) -> tuple[Demand, Outcome]:
    """Simulate one season."""
    demand = season(assumptions, batch, seed)
    tell(f"{demand.cars} cars take {demand.panoramas:,.0f} panoramas in {len(demand.count):,} batches")
    return demand, Season(demand, planned(demand, assumptions, measured), assumptions, seed).run(tell)


def sensitivity(
    assumptions: Assumptions, measured: Measured, demand: Demand, options: argparse.Namespace, tell: Tell
) -> dict[str, dict[str, Any]]:
    """Return what changes when one thing is not as assumed; shards and tasks are planned anew each time."""
    table = {}
    for name, changes in variants(assumptions, demand.cars).items():
        tell(f"what if: {name}")
        other = replace(assumptions, **changes)
        its_demand, outcome = once(other, measured, options.batch, options.seed, lambda _: None)
        table[name] = report.brief(report.figures(its_demand, outcome, other, Prices()))
    return table


def variants(assumptions: Assumptions, cars: int) -> Mapping[str, Mapping[str, float]]:
    """Return the assumptions that are varied."""
    more = ("spot_per_h", "crash_per_h", "zone_outages", "dependency_outages")
    return {
        "GPU time x 2": {"gpu_s": 2 * assumptions.gpu_s},
        "CPU time x 2": {"cpu_factor": 2 * assumptions.cpu_factor},
        "failures x 3": {name: 3 * getattr(assumptions, name) for name in more},
        "cars x 2": {"cars": 2.0 * cars},
        "depot only": {"mobile_mbit": 0.0},
        "all over the air": {"mobile_mbit": 1000.0},
        "worked off in 20 h": {"drain_h": 20.0},
    }


def _readable(figures: dict[str, Any], assumptions: Assumptions) -> str:
    tables = report.assumptions_markdown(assumptions, Measured(**figures["measured"]), Prices())
    return f"{report.text(figures)}\n\nAssumed and measured:\n\n{tables}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.season", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--markdown", action="store_true", help="only the tables of assumptions and prices, without measuring")
    parser.add_argument("--seed", type=int, default=1, help="of weather, cars, failures")
    parser.add_argument("--batch", type=positive, default=60, help="panoramas that are simulated as one, at most")
    parser.add_argument("--rounds", type=positive, default=3, help="how often a stage is measured; the median counts")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value for an assumption")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draw arrivals, backlog and tasks into this file")
    parser.add_argument("--without-sensitivity", action="store_true", help="only the season itself")
    return parser.parse_args()


if __name__ == "__main__":
    main()
