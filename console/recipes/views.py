"""What the view plans of a recipe show the detectors, and so what they cost."""

import math
from typing import Any, cast, get_args

from panoveil.detection.views import Crop, PlanName, Rectilinear, View, megapixels, panorama_plan


def rows(width: int) -> list[dict[str, Any]]:
    """Return a row for every plan and look at a panorama `width` pixels wide: views, and megapixels that each detector is shown."""
    return [_row(name, look, width) for name in get_args(PlanName) for look in ("first", "second")]


def _row(name: PlanName, look: str, width: int) -> dict[str, Any]:
    plan = panorama_plan(width, name, second=look == "second")
    return {
        "plan": name,
        "look": look,
        "views": len(plan),
        "face_mpx": round(megapixels(plan, "face"), 1),
        "plate_mpx": round(megapixels(plan, "plate"), 1),
        "scales": sorted({_scale(view, width) for view in plan}, reverse=True),
    }


def _scale(view: View, width: int) -> float:
    """View pixels a pixel of the panorama's horizon."""
    return view.scale if isinstance(view, Crop) else round(cast("Rectilinear", view).focal * 2 * math.pi / width, 3)
