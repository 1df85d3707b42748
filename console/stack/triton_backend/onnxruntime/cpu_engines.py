# ruff: noqa: INP001 - Triton reads this folder; Python imports it only where the folder is put on its path
"""What runs an ONNX file on a CPU: onnxruntime or OpenVINO, behind one door."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TYPES = {
    "tensor(bool)": "TYPE_BOOL", "boolean": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8", "u8": "TYPE_UINT8",
    "tensor(int8)": "TYPE_INT8", "i8": "TYPE_INT8",
    "tensor(int32)": "TYPE_INT32", "i32": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64", "i64": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16", "f16": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32", "f32": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64", "f64": "TYPE_FP64",
}  # fmt: skip
"""Triton's names for the types of onnxruntime and of OpenVINO."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model: Triton's name for its type; -1 for a dimension that the model leaves open."""

    name: str
    data_type: str
    dims: list[int]


class OnnxRuntime:
    """A model as onnxruntime runs it: float32 throughout, any operator."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the file."""
        import onnxruntime  # noqa: PLC0415 - a model's process needs one engine

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A thread that spins while it waits takes the core another instance needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [self._tensor(tensor) for tensor in self._session.get_inputs()]
        self.outputs = [self._tensor(tensor) for tensor in self._session.get_outputs()]

    @staticmethod
    def _tensor(tensor: Any) -> Tensor:
        dims = [dim if isinstance(dim, int) else -1 for dim in tensor.shape]
        return Tensor(tensor.name, _TYPES.get(tensor.type, tensor.type), dims)

    def run(self, feed: dict[str, Any], outputs: list[str]) -> list[Any]:
        """Return the outputs of that name, in that order."""
        return list(self._session.run(outputs, feed))


class OpenVino:
    """A model as OpenVINO runs it: in bfloat16 where the processor computes in it, else in float32."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the file."""
        import openvino  # noqa: PLC0415 - a model's process needs one engine

        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Every instance would pin its threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
            # Without a limit, what it prepares for every new size of picture stays: 6 MB each, and photos have many sizes.
            "CPU_RUNTIME_CACHE_CAPACITY": "64",
        }
        compiled = openvino.Core().compile_model(str(path), "CPU", properties)
        self.inputs = [self._tensor(port) for port in compiled.inputs]
        self.outputs = [self._tensor(port) for port in compiled.outputs]
        self._request = compiled.create_infer_request()

    @staticmethod
    def _tensor(port: Any) -> Tensor:
        kind = port.get_element_type().get_type_name()
        dims = [dim.get_length() if dim.is_static else -1 for dim in port.get_partial_shape()]
        return Tensor(port.get_any_name(), _TYPES.get(kind, kind), dims)

    def run(self, feed: dict[str, Any], outputs: list[str]) -> list[Any]:
        """Return the outputs of that name, in that order."""
        self._request.infer(feed, share_inputs=True)
        # Copies: the next request of a batch is answered in the same memory, before this answer is sent.
        return [self._request.get_tensor(name).data.copy() for name in outputs]


ENGINES: dict[str, type[OnnxRuntime] | type[OpenVino]] = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
