"""What archiving a capture costs: CPU seconds of packing, sealing, opening and unpacking, and the archive object's size.

    python -m benchmarks.archive [--frames 5] [--megabytes 5] [--json]

The best of several runs of each step, in one thread; S3 and KMS are not asked.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import TypeVar

from services.archivist.bundle import pack, unpack
from services.archivist.seal import seal, unseal

CAPTURE = "fyn-2026/car7-0601/000001"
_RUNS = 7
_Result = TypeVar("_Result")


def main() -> None:
    """Measure and print."""
    options = _options()
    size = int(options.megabytes * 1e6)
    contents = {f"lens{number}.jpg": os.urandom(size) for number in range(options.frames)} | {"capture.json": bytes(1000)}
    secret = os.urandom(32)
    steps: dict[str, float] = {}
    steps["pack"], bundle = best(lambda: pack(CAPTURE, contents))
    about = (secret, CAPTURE, bundle.index_sha256)
    steps["seal"], sealed = best(lambda: seal(bundle.tar, *about))
    steps["unseal"], tar = best(lambda: unseal(sealed, *about))
    steps["unpack"], back = best(lambda: unpack(tar, CAPTURE))
    assert back == contents
    result = {"megabytes": round(len(sealed) / 1e6, 1), **{name: round(seconds, 3) for name, seconds in steps.items()}}
    result["archived"] = round(sum(steps.values()), 3)
    print(json.dumps(result) if options.json else "\n".join(f"{name:<10}{value}" for name, value in result.items()))


def best(step: Callable[[], _Result]) -> tuple[float, _Result]:
    """Return the least CPU seconds of several runs, and what the step returned."""
    seconds: list[float] = []
    for _ in range(_RUNS):
        began = time.process_time()
        result = step()
        seconds.append(time.process_time() - began)
    return min(seconds), result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=5.0, help="of each frame")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
