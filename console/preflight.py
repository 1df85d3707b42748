"""What a machine must have that PyPI cannot bring."""

import sys

from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from console.stack.triton import Problem
from panoveil.contracts.errors import Misconfigured
from panoveil.detection import KINDS, DetectorSettings, Facts, TritonDetector
from panoveil.streams import find_java


def problems() -> list[Problem]:
    """Everything that keeps the embedded default from running here, each with the line that mends it."""
    return [*_python(), *_java(), *triton.preflight(TRITON_VENV, MODELS)]


async def served(url: str) -> list[Facts]:
    """Return the models that the settings choose at Triton's gRPC (host:port), face first, once they have seen the golden picture.

    `Misconfigured` where one is not there or breaks the tensor contract's requests, `Unavailable` where its answers cannot be believed.
    """
    async with TritonDetector.of(DetectorSettings(triton_url=url)) as detector:
        facts = await detector.facts()
    return [facts[kind] for kind in KINDS]


def _python() -> list[Problem]:
    version = sys.version_info[:2]
    if (3, 11) <= version <= (3, 12):
        return []
    return [Problem(f"this is Python {version[0]}.{version[1]}", "make setup PYTHON=/path/to/python3.12")]


def _java() -> list[Problem]:
    try:
        find_java(None)
    except Misconfigured as error:
        return [Problem(str(error), "make setup")]
    return []
