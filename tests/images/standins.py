"""Stand-ins for detectors: ONNX models that find one patch of a colour, so that truth is exact and inference takes no time."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from console.stack.triton_stamp import main as stamp
from panoveil.detection import Golden, Kind

COLOURS: dict[Kind, tuple[int, int, int]] = {"face": (255, 0, 0), "plate": (0, 0, 255)}
TOLERANCE = 60
SCORE = 0.9
_BOXES: dict[Kind, tuple[int, int, int, int]] = {"face": (40, 60, 90, 120), "plate": (180, 200, 260, 220)}

_CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: 4
input [ {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }} ]
output [ {{ name: "boxes" data_type: TYPE_FP32 dims: [ 1, 4 ] }}, {{ name: "scores" data_type: TYPE_FP32 dims: [ 1 ] }} ]
instance_group [ {{ count: 1 kind: KIND_AUTO }} ]
"""
_NODES: list[tuple[str, list[str], str, dict[str, Any]]] = [
    ("Cast", ["image"], "pixels", {"to": TensorProto.FLOAT}),
    ("Sub", ["pixels", "colour"], "difference", {}),
    ("Abs", ["difference"], "distance", {}),
    ("ReduceMax", ["distance"], "worst", {"axes": [3], "keepdims": 0}),
    ("Less", ["worst", "tolerance"], "is_near", {}),
    ("Cast", ["is_near"], "near", {"to": TensorProto.FLOAT}),
    ("ReduceMax", ["near"], "columns", {"axes": [1], "keepdims": 0}),
    ("ReduceMax", ["near"], "rows", {"axes": [2], "keepdims": 0}),
    ("ArgMax", ["columns"], "x0", {"axis": 1}),
    ("ArgMax", ["rows"], "y0", {"axis": 1}),
    ("ArgMax", ["columns"], "x_last", {"axis": 1, "select_last_index": 1}),
    ("ArgMax", ["rows"], "y_last", {"axis": 1, "select_last_index": 1}),
    ("Add", ["x_last", "one"], "x1", {}),
    ("Add", ["y_last", "one"], "y1", {}),
    ("Concat", ["x0", "y0", "x1", "y1"], "corners", {"axis": 1}),
    ("Cast", ["corners"], "corners_float", {"to": TensorProto.FLOAT}),
    ("Unsqueeze", ["corners_float", "one"], "boxes", {}),
    ("ReduceMax", ["columns"], "any", {"axes": [1], "keepdims": 1}),
    ("Mul", ["any", "score"], "certain", {}),
    ("Shape", ["image"], "shape", {}),
    ("Gather", ["shape", "width_axis"], "width", {}),
    ("Greater", ["width", "widest"], "is_too_wide", {}),
    ("Where", ["is_too_wide", "nan", "certain"], "scores", {}),
]


def golden() -> Golden:
    """A grey picture with a patch of each kind's colour."""
    picture = np.full((320, 320, 3), 120, np.uint8)
    for kind, (x0, y0, x1, y1) in _BOXES.items():
        picture[y0:y1, x0:x1] = COLOURS[kind]
    return Golden(picture, {kind: tuple(map(float, box)) for kind, box in _BOXES.items()})  # type: ignore[misc]


def is_left(picture: NDArray[np.uint8], kind: Kind) -> bool:
    """Whether a model would find the kind in uint8 [H, W, 3]: what must be true of no publication."""
    return bool((np.abs(picture.astype(int) - COLOURS[kind]).max(axis=2) < TOLERANCE).any())


def colour_model(colour: tuple[int, int, int], widest: int) -> onnx.ModelProto:
    """K = 1: the box round all pixels of the colour; NaN where the picture is wider than `widest` pixels."""
    constants: dict[str, NDArray[Any]] = {
        "colour": np.array(colour, np.float32), "tolerance": np.array(TOLERANCE, np.float32), "one": np.array([1], np.int64),
        "score": np.array(SCORE, np.float32), "width_axis": np.array(2, np.int64), "widest": np.array(widest, np.int64),
        "nan": np.array(np.nan, np.float32),
    }  # fmt: skip
    nodes: list[NodeProto] = [helper.make_node(kind, inputs, [output], **more) for kind, inputs, output, more in _NODES]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def repository(folder: Path, extra: str = "", widest: int = 1_000_000) -> Path:
    """A model repository with a stand-in for each kind; `extra` is added to its config.pbtxt."""
    for kind, colour in COLOURS.items():
        (folder / kind / "1").mkdir(parents=True)
        (folder / kind / "config.pbtxt").write_text(_CONFIG.format(name=kind) + extra)
        onnx.save(colour_model(colour, widest), folder / kind / "1" / "model.onnx")
    stamp([str(folder)])
    return folder
