"""What the published form costs: CPU seconds and bytes of thumbnail and tiles, and what a viewer fetches of a panorama.

    panoveil demo --captures 3 --width 8192
    python -m benchmarks.derivatives .panoveil/demo/<time>/published
    python -m benchmarks.derivatives FOLDER --width 8192   # other panoramas, scaled to a width and encoded anew

A viewer's view is 90 degrees wide and 50 high, at the horizon, at full resolution. `stored twice` is what the finest tiles would add were
they objects of their own, and `fetched as tiles` what of them such a view would fetch.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pmtiles.reader import MemorySource, Reader

from panoveil.pixels import jpeg
from services.anonymizer.derivatives import derived

QUALITY = 92
"""The stitcher's."""
_ACROSS, _UP = 90.0, 50.0
_TIMES = 5


def measured(data: bytes) -> dict[str, float]:
    """Return CPU seconds, and bytes, of one panorama."""
    shown = jpeg.decode(data)
    seconds = [_cpu_seconds(shown, data) for _ in range(_TIMES)]
    made = derived(shown, data)
    facts = Reader(MemorySource(made.tiles)).metadata()["panoveil"]
    return {
        "megapixels": shown.shape[0] * shown.shape[1],
        "CPU seconds": min(seconds),
        "panorama": len(data),
        "thumbnail": len(made.thumbnail),
        "tiles": len(made.tiles),
        "fetched as bands": _of_bands(facts),
        **_as_tiles(shown, facts["tile"]),
    }


def _cpu_seconds(shown: NDArray[np.uint8], data: bytes) -> float:
    began = time.thread_time()
    derived(shown, data)
    return time.thread_time() - began


def _of_bands(facts: dict[str, Any]) -> int:
    """Return the bytes of the bands that a view touches."""
    rows, height = facts["bands"]["rows"], facts["height"]
    first, last = (int((0.5 + side * _UP / 360) * height) // rows for side in (-1, 1))
    return sum(end - begin for begin, end in facts["bands"]["spans"][first : last + 1])


def _as_tiles(shown: NDArray[np.uint8], tile: int) -> dict[str, float]:
    """Return the bytes of the finest level in tiles: all of them, and those that a view touches."""
    height, width = shown.shape[:2]
    columns, rows = (_touched(size, share, tile) for size, share in ((width, _ACROSS / 360), (height, _UP / 180)))
    sizes = {
        (x, y): len(jpeg.encode(shown[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile], QUALITY))
        for y in range(height // tile)
        for x in range(width // tile)
    }
    return {"stored twice": sum(sizes.values()), "fetched as tiles": sum(sizes[x, y] for x in columns for y in rows)}


def _touched(size: int, share: float, tile: int) -> range:
    return range(int((0.5 - share / 2) * size) // tile, int((0.5 + share / 2) * size - 1) // tile + 1)


def _panoramas(folder: Path, width: int | None) -> Iterator[bytes]:
    for path in sorted(path for path in folder.glob("*.jpg") if "thumbnail" not in path.name)[:_TIMES]:
        data = path.read_bytes()
        if width is not None:
            scaled = cv2.resize(jpeg.decode(data), (width, width // 2), interpolation=cv2.INTER_CUBIC)
            data = jpeg.encode_patchable(np.asarray(scaled, np.uint8), QUALITY)
        yield data


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, help="pixels")
    chosen = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    found = [measured(data) for data in _panoramas(chosen.folder, chosen.width)]
    print(f"{len(found)} panoramas, the means (bytes in MB):")
    for name in found[0]:
        value = mean(one[name] for one in found)
        print(f"{name:<18}{value if 'seconds' in name else value / 1e6:>10.3f}")


if __name__ == "__main__":
    main()
