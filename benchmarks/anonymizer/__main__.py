"""What the anonymizer costs and what it hides, section by section, as a table or as one JSON line.

    python -m benchmarks.anonymizer
    python -m benchmarks.anonymizer --sections noninference --json
    python -m benchmarks.anonymizer --sections attack --learn 1000 --trials 2000
    python -m benchmarks.anonymizer --panoramas ~/panoramas
    python -m benchmarks.anonymizer --sections --peers ~/annotated_faces

Sections: `detection` (CPU seconds of looking, hiding and looking again), `noninference` (CPU seconds of everything but the models, and
whether pixels elsewhere stay), `attack` (does a trained reader get anything out of what was hidden), `triton` (what Triton costs beside
onnxruntime and OpenVINO in the same process). `--peers` holds others' ways beside ours, see `peers`. Progress goes to standard error.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.anonymizer import attack, detection, noninference, peers, triton_overhead

Section = Callable[[argparse.Namespace], dict[str, Any]]

SECTIONS: dict[str, Section] = {
    "detection": detection.section,
    "noninference": noninference.section,
    "attack": attack.section,
    "triton": triton_overhead.section,
}


def main() -> None:
    """Run the sections asked for and print their figures."""
    options = _options()
    figures: dict[str, Any] = {}
    for name in options.sections:
        figures |= SECTIONS[name](options)
    if options.peers:
        figures["peers"] = peers.measured(options.peers)
    print(json.dumps(figures) if options.json else "\n".join(_lines(figures)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.anonymizer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON line instead of a table")
    parser.add_argument(
        "--sections", nargs="*", choices=SECTIONS, default=list(SECTIONS), metavar="NAME", help=", ".join(SECTIONS)
    )
    parser.add_argument(
        "--panoramas", type=Path, help="a folder of equirectangular JPEGs to measure beside the procedural street"
    )
    parser.add_argument("--repeat", type=int, default=5, help="how often a step is timed; the median counts")
    parser.add_argument("--learn", type=int, default=2000, help="subjects the attacker learns from")
    parser.add_argument("--trials", type=int, default=5000, help="answers the attacker gives")
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="DIR",
        help="deface (installed for this alone) and halves on annotated pictures, see `evaluate`",
    )
    return parser.parse_args()


def _lines(figures: dict[str, Any], before: str = "") -> list[str]:
    """Return one line a figure, its name in dotted form."""
    lines: list[str] = []
    for name, value in figures.items():
        nested = isinstance(value, dict)
        lines += _lines(value, f"{before}{name}.") if nested else [f"{before + name:<64} {value}"]
    return lines


if __name__ == "__main__":
    main()
