"""A recipe's settings as a file: what a person decides of it. Models' versions and hashes come from Triton, as they do in the services.

{
  "detection": {"face_model": "face", "face_threshold": 0.18, …, "view_plan": "standard"},
  "stitch":    {"width": 8192, "mode": "best", …, "second_source": null},
  "anonymize": {"obfuscator": "inpaint", "margin": 0.2, "verification_rounds": 3, "jpeg_quality": 90}
}

What a file leaves out stays as the services run it here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from panoveil.contracts.errors import Misconfigured
from services.anonymizer.settings import AnonymizerSettings
from services.stitcher.settings import StitcherSettings

_DETECTION = (
    "face_model", "plate_model", "face_threshold", "plate_threshold", "face_longest_side", "plate_longest_side", "view_plan",
)  # fmt: skip
_ANONYMIZE = ("obfuscator", "margin", "verification_rounds", "jpeg_quality")
_MADE = frozenset({"second_source", "without"})
"""Fields of a stitch recipe that are made of other settings, or of a capture."""


@dataclass(frozen=True)
class Recipes:
    """The two services' settings that make a recipe."""

    stitcher: StitcherSettings
    anonymizer: AnonymizerSettings

    def document(self) -> dict[str, Any]:
        """Return the whole document."""
        anonymizer = self.anonymizer.model_dump(mode="json")
        return {
            "detection": {name: anonymizer[name] for name in _DETECTION},
            "stitch": self.stitcher.stitch.model_dump(mode="json", exclude=set(_MADE))
            | {"second_source": self.stitcher.second_source},
            "anonymize": {name: anonymizer[name] for name in _ANONYMIZE},
        }


def running() -> Recipes:
    """Return the settings of the environment, which are those of the services that run in it."""
    return changed({})


def read(file: Path | None) -> Recipes:
    """Return the running settings with those of a file in their place; `Misconfigured` says what is wrong with it."""
    if file is None:
        return running()
    try:
        document = json.loads(file.read_text())
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Misconfigured(f"{file} is no JSON: {error}") from error
    try:
        return changed(document)
    except Misconfigured as error:
        raise Misconfigured(f"{file}: {error}") from error


def changed(document: Mapping[str, Any]) -> Recipes:
    """Return the running settings with those of a document in their place."""
    detection = _section(document, "detection", _DETECTION)
    stitch = dict(_section(document, "stitch"))
    source = {"second_source": stitch.pop("second_source")} if "second_source" in stitch else {}
    if made := _MADE & stitch.keys():
        raise Misconfigured(f"stitch: {', '.join(sorted(made))} is a capture's own, no setting")
    if unknown := document.keys() - {"detection", "stitch", "anonymize"}:
        raise Misconfigured(
            f"{', '.join(sorted(unknown))}: a recipe has detection, stitch and anonymize (`panoveil recipes show`)"
        )
    stitching: dict[str, Any] = {**detection, **source, **({"stitch": stitch} if stitch else {})}
    anonymizing: dict[str, Any] = {**detection, **_section(document, "anonymize", _ANONYMIZE)}
    try:
        return Recipes(StitcherSettings(**stitching), AnonymizerSettings(**anonymizing))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Misconfigured(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _section(document: Mapping[str, Any], name: str, known: tuple[str, ...] | None = None) -> Mapping[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, Mapping):
        raise Misconfigured(f"{name} must be an object")
    if known is not None and (unknown := section.keys() - set(known)):
        raise Misconfigured(f"{name}: {', '.join(sorted(unknown))} is no setting of it; there are {', '.join(known)}")
    return section
