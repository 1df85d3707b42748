"""How good panoramas are, ours and enblend's, on scenes whose truth is known."""

import dataclasses
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Tell
from benchmarks.stitching import hugin, ours, pictures
from benchmarks.stitching.metrics import Regions, Scores, regions, scores
from benchmarks.stitching.scenes import Scene

Image = NDArray[np.uint8]

ENBLEND = "enblend"
_OWN = ("band_psnr", "band_ssim", "band_ssim_p5", "band_gradient_ratio", "de2000_mean", "de2000_p95")


@dataclass(slots=True)
class Found:
    """Scores by scene and method, in the order of the scenes; what Hugin's programs cost each time; how well their lenses fit."""

    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    parallax: dict[str, bool] = field(default_factory=dict)
    costs: list[hugin.Cost] = field(default_factory=list)
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What to compare, where tables are kept, where pictures go (None: nowhere), and who is told of the progress."""

    modes: Sequence[str]
    with_hugin: bool
    cache: Path
    pictures: Path | None
    tell: Tell


def compare(scenes: Iterable[Scene], wish: Wish) -> Found:
    """Stitch every scene in every way and score the results."""
    found = Found()
    for scene in scenes:
        where = regions(scene.rig, scene.truth.shape[1])
        results = _results(scene, wish, found)
        wish.tell(f"{scene.name}: scores")
        found.scores[scene.name] = {name: scores(image, scene.truth, where) for name, image in results.items()}
        found.parallax[scene.name] = scene.parallax
        _draw(scene, results, where, wish)
    return found


def _results(scene: Scene, wish: Wish, found: Found) -> dict[str, Image]:
    results = {}
    width = scene.truth.shape[1]
    if wish.with_hugin:
        wish.tell(f"{scene.name}: nona and enblend")
        with tempfile.TemporaryDirectory() as folder:
            if found.deviation is None:
                found.deviation = hugin.deviation(scene.rig, width, Path(folder))
            results[ENBLEND], cost = hugin.run(scene, width, Path(folder))
        found.costs.append(cost)
    for mode in wish.modes:
        wish.tell(f"{scene.name}: {mode}")
        results[mode] = ours.panorama(scene, mode, width, wish.cache)
    return results


def _draw(scene: Scene, results: Mapping[str, Image], where: Regions, wish: Wish) -> None:
    if wish.pictures is not None:
        pictures.write(wish.pictures, scene, results, where)


def summary(found: Found, method: str) -> dict[str, Any]:
    """Return a method's figures, means over scenes: seams with parallax, `ws_psnr` with and without, and what it gains on enblend."""
    apart = [each[method] for name, each in found.scores.items() if found.parallax[name]]
    figures: dict[str, Any] = {key: _mean(apart, key) for key in _OWN}
    figures["ws_psnr"] = _mean(apart, "ws_psnr")
    figures["noparallax_ws_psnr"] = _mean(
        [each[method] for name, each in found.scores.items() if not found.parallax[name]], "ws_psnr"
    )
    return figures


def gains(found: Found, method: str) -> dict[str, Any]:
    """Return by how much a method is above enblend, means over scenes; None where enblend was not asked."""
    pairs = {
        "band_psnr_gain_db": ("band_psnr", True),
        "band_ssim_gain": ("band_ssim", True),
        "band_ssim_p5_gain": ("band_ssim_p5", True),
        "noparallax_gain_db": ("ws_psnr", False),
    }
    return {name: _gain(found, method, key, parallax=parallax) for name, (key, parallax) in pairs.items()}


def _gain(found: Found, method: str, key: str, *, parallax: bool) -> float | None:
    each = [scores for name, scores in found.scores.items() if found.parallax[name] == parallax and ENBLEND in scores]
    differences = [getattr(scores[method], key) - getattr(scores[ENBLEND], key) for scores in each]
    return round(statistics.mean(differences), 3) if differences else None


def _mean(values: Sequence[Scores], key: str) -> float | None:
    return round(statistics.mean(getattr(each, key) for each in values), 3) if values else None


def by_scene(found: Found) -> dict[str, dict[str, dict[str, Any]]]:
    """Return all scores by scene and method."""
    return {scene: {method: _as_json(each) for method, each in methods.items()} for scene, methods in found.scores.items()}


def _as_json(each: Scores) -> dict[str, Any]:
    values = {name: round(value, 3) for name, value in dataclasses.asdict(each).items() if name != "gains"}
    return values | {"band_gradient_ratio": round(each.band_gradient_ratio, 3), "gains": each.gains}
