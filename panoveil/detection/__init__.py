"""Detectors of faces and plates: Triton and a twin in memory, behind one port, and the golden picture that proves them.

`TritonDetector` needs the extra `detection` and is loaded on first use, so that a handler, which needs only the port, never
loads a Triton client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from panoveil.detection._choice import Choice, Retry
from panoveil.detection._golden import Golden, street
from panoveil.detection._memory import RectangleDetector
from panoveil.detection._port import KINDS, Detections, Detector, Images, Kind
from panoveil.detection._settings import DetectorSettings

if TYPE_CHECKING:
    from panoveil.detection._triton import Facts, TritonDetector
else:

    def __getattr__(name: str) -> object:
        if name in {"Facts", "TritonDetector"}:
            return getattr(import_module("panoveil.detection._triton"), name)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


__all__ = [
    "KINDS",
    "Choice",
    "Detections",
    "Detector",
    "DetectorSettings",
    "Facts",
    "Golden",
    "Images",
    "Kind",
    "RectangleDetector",
    "Retry",
    "TritonDetector",
    "street",
]
