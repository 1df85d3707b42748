"""How much of what is annotated the whole of `panoveil anonymize` covers, by object height.

    python -m benchmarks.recall EVAL_DIRECTORY [--json]

EVAL_DIRECTORY holds `plates/<set>` and `faces/<set>`, each with `images/` and `annotations.jsonl`, and the scorer `score.py`.
Sets of large plates are also shrunk until their plates are 12, 16 and 24 pixels tall.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console

from console.pictures import anonymize_pictures
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV

SETS = {
    "plates/dev_openalpr_br": ("plates", (12, 16, 24, 0)),
    "plates/dev_night_and_day_ride_3": ("plates", (0,)),
    "faces/dev_dlib": ("faces", (0,)),
    "faces/dev_wider": ("faces", (0,)),
}
"""Sets never trained on: the class to score, and plate heights in pixels to shrink to (0: as it is)."""


async def main() -> None:
    """Measure every set that is there and print a row each, or one JSON line."""
    options = _options()
    console = Console(stderr=True)
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        async with triton.running(MODELS, TRITON_VENV, Path(work) / "triton") as server:
            for name, kind, height, folder in _trials(options.directory, Path(work)):
                report = folder / "report.jsonl"
                await anonymize_pictures(folder / "images", folder / "out", report, server.grpc_url, console)
                rows[f"{name} {f'{height} px' if height else 'native'}"] = _score(options.directory, folder, report, kind)
    print(json.dumps(rows) if options.json else _table(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _trials(directory: Path, work: Path) -> Iterator[tuple[str, str, int, Path]]:
    """Yield set, class, height and a folder that holds the pictures and their annotations at that height."""
    for name, (kind, heights) in SETS.items():
        for height in heights:
            folder = work / f"{name.replace('/', '-')}-{height}"
            _prepare(directory / name, folder, kind, height)
            yield name, kind, height, folder


def _prepare(source: Path, folder: Path, kind: str, height: int) -> None:
    (folder / "images").mkdir(parents=True)
    lines = [json.loads(line) for line in (source / "annotations.jsonl").read_text().splitlines() if line.strip()]
    with (folder / "annotations.jsonl").open("w") as out:
        for line in lines:
            scale = _scale(line[kind], height)
            _place(source / line["image"], folder / line["image"], scale)
            boxes = {key: [[value * scale for value in box] for box in line[key]] for key in (kind, "ignore") if key in line}
            out.write(json.dumps({**line, **boxes}) + "\n")


def _scale(boxes: list[list[float]], height: int) -> float:
    """Return what shrinks the picture's tallest object to the height; pictures are never enlarged."""
    tallest = max((box[3] for box in boxes), default=0)
    return min(1.0, height / tallest) if height and tallest else 1.0


def _place(source: Path, target: Path, scale: float) -> None:
    if scale == 1.0:
        target.symlink_to(source.resolve())
        return
    picture = cv2.imread(str(source))
    assert picture is not None
    shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), shrunk, [cv2.IMWRITE_JPEG_QUALITY, 92])


def _score(directory: Path, folder: Path, report: Path, kind: str) -> dict[str, Any]:
    command = [
        sys.executable,
        str(directory / "score.py"),
        str(folder / "annotations.jsonl"),
        str(report),
        "--class",
        kind,
        "--json",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


def _table(rows: dict[str, dict[str, Any]]) -> str:
    lines = ["| set | objects | covered | found | false a picture | covered by height |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        heights = ", ".join(f"{height} px {bucket['covered']:.2f}" for height, bucket in row["by_height"].items())
        cells = (name, row["objects"], f"{row['covered']:.3f}", f"{row['found']:.3f}", f"{row['false_per_image']:.2f}", heights)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
