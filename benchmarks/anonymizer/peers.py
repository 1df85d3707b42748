"""Others' ways on the same annotated pictures: what each covers, what it hides without need, and what it costs.

`deface` (PyPI, MIT) is installed into an environment of its own that is thrown away, and asked as its command line asks: threshold 0.2,
boxes grown by 1.3. `halves` are our models looking as a service looks that cuts a picture into two halves: at the picture's own scale,
without overlap, without a second look. `panoveil` is the whole of `panoveil anonymize`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from console.evaluate.annotated import Annotated, read_annotations
from console.evaluate.folder import Wish, evaluate_folder
from console.pictures import Running
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.detection import TritonDetector
from panoveil.detection.views import Crop
from panoveil.pixels import jpeg
from services.anonymizer.anonymize import look
from services.anonymizer.app import recipe_of
from services.anonymizer.regions import Extent, grown
from services.anonymizer.settings import AnonymizerSettings

PACKAGES = ("deface==1.5.0", "onnx", "onnxruntime")
SECONDS = 900
_MULTIPLE = 32
_DEFACE = """
import json, sys
from pathlib import Path
import cv2
from deface.centerface import CenterFace
from deface.deface import scale_bb
folder, report = Path(sys.argv[1]), Path(sys.argv[2])
model = CenterFace()
with report.open("w") as out:
    for name in sys.argv[3:]:
        picture = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
        boxes = []
        for *corners, score in model(picture, threshold=0.2)[0]:
            x0, y0, x1, y1 = map(int, scale_bb(*corners, 1.3))
            boxes.append([x0, y0, x1 - x0, y1 - y0, float(score)])
        out.write(json.dumps({"image": name, "faces": boxes}) + "\\n")
"""


def measured(folder: Path) -> dict[str, Any]:
    """Return recall, false boxes and CPU seconds a megapixel of every way, on a folder of `panoveil evaluate`'s form."""
    pictures = read_annotations(folder)
    megapixels = sum(picture.width * picture.height for picture in pictures) / 1e6
    with tempfile.TemporaryDirectory() as work:
        found = asyncio.run(_found(folder, pictures, Path(work)))
    return {
        name: {**figures, "cpu_s_per_megapixel": round(figures["cpu_s_per_megapixel"] / megapixels, 3)}
        for name, figures in found.items()
    }


async def _found(folder: Path, pictures: list[Annotated], work: Path) -> dict[str, dict[str, Any]]:
    """Return figures by way; CPU seconds are still of all pictures."""
    figures = {"deface": await _scored(folder, work / "deface.jsonl", await asyncio.to_thread(_deface, folder, pictures, work))}
    async with triton.running(MODELS, TRITON_VENV, work / "triton") as server:
        before = _cpu_s()
        await _halves(folder, pictures, server.grpc_url, work / "halves.jsonl")
        figures["halves"] = await _scored(folder, work / "halves.jsonl", _cpu_s() - before)
        before = _cpu_s()
        result = await evaluate_folder(Wish(folder, running=Running(server.grpc_url)), Console(stderr=True))
        figures["panoveil"] = _of(result.as_json(), _cpu_s() - before)
    return figures


def _deface(folder: Path, pictures: list[Annotated], work: Path) -> float:
    """Write deface's report; return the CPU seconds of its process, model loading included."""
    venv.create(work / "deface", with_pip=True)
    python = work / "deface" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=SECONDS, stdout=sys.stderr)
    before = os.times()
    command = [str(python), "-c", _DEFACE, str(folder), str(work / "deface.jsonl"), *(picture.image for picture in pictures)]
    subprocess.run(command, check=True, timeout=SECONDS, stdout=sys.stderr)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


async def _halves(folder: Path, pictures: list[Annotated], url: str, report: Path) -> None:
    settings = AnonymizerSettings(triton_url=url)
    async with TritonDetector.of(settings) as detector:
        recipe = await recipe_of(settings, detector)()
        with report.open("w", encoding="utf-8") as out:
            for annotated in pictures:
                picture = jpeg.decode((folder / annotated.image).read_bytes())
                extent = Extent.of(picture, panorama=False)
                found = await look(picture, _two(extent), detector, recipe, panorama=False)
                rects = [(region.kind, grown(region, recipe.margin, extent)) for region in found]
                boxes = {
                    f"{kind}s": [[r.x0, r.y0, r.x1 - r.x0, r.y1 - r.y0] for of, r in rects if of == kind]
                    for kind in ("face", "plate")
                }
                out.write(json.dumps({"image": annotated.image, **boxes}) + "\n")


def _two(extent: Extent) -> list[Crop]:
    half, rest = extent.width // 2, extent.width - extent.width // 2
    height = -(-extent.height // _MULTIPLE) * _MULTIPLE
    return [
        Crop(x, 0, -(-across // _MULTIPLE) * _MULTIPLE, height, 1.0, extent.width, extent.height, wraps=False)
        for x, across in ((0, half), (half, rest))
    ]


async def _scored(folder: Path, report: Path, cpu_s: float) -> dict[str, Any]:
    return _of((await evaluate_folder(Wish(folder, boxes=report), Console(stderr=True))).as_json(), cpu_s)


def _of(result: Mapping[str, Any], cpu_s: float) -> dict[str, Any]:
    """Pick what is compared; of plates deface knows nothing."""
    classes = {
        name: {
            "covered": score["covered"]["share"],
            "false_per_picture": score["false_per_picture"]["mean"],
            "by_height": {height: recall["covered"]["share"] for height, recall in score["by_height"].items()},
        }
        for name, score in result["classes"].items()
    }
    return {**classes, "cpu_s_per_megapixel": cpu_s}


def _cpu_s() -> float:
    """CPU seconds so far of this process and of Triton's."""
    me = psutil.Process()
    return float(sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True))))
