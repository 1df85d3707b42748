"""Files to documents to numbers; whatever is wrong with them is one sentence."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from console.rigs.importers._draft import Matrix
from panoveil.contracts.errors import Misconfigured

_SKEW_MATTERS = 0.05


class _Loader(yaml.SafeLoader):
    """YAML that also reads the matrices of OpenCV's FileStorage."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


for _tag in ("opencv-matrix", "opencv-nd-matrix"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _mapping)


def read(path: Path) -> bytes:
    """Return a file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path.name} cannot be read: {error.strerror}") from error


def read_text(path: Path) -> str:
    """Return a text file's text."""
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path.name} is no text file") from error


def parse(text: str, name: str) -> Any:
    """Return what JSON or YAML, OpenCV's dialect included, says."""
    if text.lstrip().startswith("<"):
        raise Misconfigured(f"{name} is XML, which is not read: let cv2.FileStorage write it as YAML")
    if name.lower().endswith(".json"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise Misconfigured(f"{name} is not JSON: {error}") from error
    try:
        return yaml.load(text.removeprefix("%YAML:1.0"), _Loader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise Misconfigured(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def document(path: Path) -> Any:
    """Read and parse."""
    return parse(read_text(path), path.name)


def numbers(where: str, field: str, value: Any, shape: tuple[int, ...] | None = None) -> Matrix:
    """Return `value` (lists, a flat list, or a mapping with `data`) as finite float64 numbers of that shape."""
    data = value["data"] if isinstance(value, dict) and "data" in value else value
    if data is None or (isinstance(data, list) and None in data):
        raise Misconfigured(f"{where}: {field} is missing")
    try:
        found = np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        raise Misconfigured(f"{where}: {field} is not made of numbers") from error
    if not np.isfinite(found).all():
        raise Misconfigured(f"{where}: {field} holds a number that is not finite")
    if shape is not None and found.size != math.prod(shape):
        raise Misconfigured(f"{where}: {field} must be {' x '.join(map(str, shape))} numbers")
    return found.reshape(shape) if shape is not None else found.ravel()


def camera_matrix(where: str, field: str, value: Any) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of a 3 x 3 camera matrix, which must be regular and without skew."""
    matrix = numbers(where, field, value, (3, 3))
    if abs(matrix[0, 1]) > _SKEW_MATTERS:
        raise Misconfigured(f"{where}: {field} has skew, which no lens model here has")
    if not np.array_equal(matrix[2], (0, 0, 1)) or matrix[1, 0]:
        raise Misconfigured(f"{where}: {field} is no camera matrix: its lower left must be 0 and its last row 0 0 1")
    return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])


def image_size(where: str, value: Any) -> tuple[int, int]:
    """Return (width, height) in pixels."""
    width, height = numbers(where, "image size", value, (2,))
    if width < 1 or height < 1 or width % 1 or height % 1:
        raise Misconfigured(f"{where}: {width:g} x {height:g} is no image size")
    return int(width), int(height)


def first(error: ValidationError) -> str:
    """Return what is wrong first, in a line."""
    found = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
