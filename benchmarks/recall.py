"""How much of what is annotated the whole of `panoveil anonymize` covers, by object height: `panoveil evaluate` over several sets.

    python -m benchmarks.recall EVAL_DIRECTORY [--json]

EVAL_DIRECTORY holds `plates/<set>` and `faces/<set>` in the format of `panoveil evaluate`. Sets of large plates are also shrunk until
their plates are 12, 16 and 24 pixels tall.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from rich.console import Console

from console.evaluate.folder import Wish, evaluate_folder
from console.evaluate.result import Result
from console.evaluate.staging import Wanted
from console.pictures import Running
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV

SETS = {
    "plates/dev_openalpr_br": (12, 16, 24, None),
    "plates/dev_night_and_day_ride_3": (None,),
    "faces/dev_dlib": (None,),
    "faces/dev_wider": (None,),
}
"""Sets never trained on, and plate heights in pixels to shrink to (None: as it is)."""


async def main() -> None:
    """Measure every set and print a row each, or one JSON line."""
    options = _options()
    results = {}
    with tempfile.TemporaryDirectory() as work:
        async with triton.running(MODELS, TRITON_VENV, Path(work)) as server:
            for name, heights in SETS.items():
                for height in heights:
                    wish = Wish(options.directory / name, wanted=Wanted(height), running=Running(server.grpc_url))
                    results[f"{name} {f'{height} px' if height else 'native'}"] = await evaluate_folder(
                        wish, Console(stderr=True)
                    )
    print(json.dumps({name: result.as_json() for name, result in results.items()}) if options.json else _table(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _table(results: dict[str, Result]) -> str:
    lines = ["| set | objects | covered | found | false a picture | covered by height |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        for score in result.classes.values():
            heights = ", ".join(f"{height} px {recall.covered.share:.2f}" for height, recall in score.by_height.items())
            covered, found = score.recall.covered, score.recall.found
            cells = (name, covered.of, f"{covered.share:.3f}", f"{found.share:.3f}", f"{score.false.mean:.2f}", heights)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
