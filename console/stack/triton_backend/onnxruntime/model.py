# ruff: noqa: INP001 - Triton reads this folder, Python never imports it
"""Triton's `onnxruntime` backend for machines without a GPU: a python-based backend over the onnxruntime wheel.

It runs in Triton's own environment (numpy < 2), outside Panoveil's packages, and serves the models whose unmodified `config.pbtxt`
the real backend serves on a GPU. What the real backend refuses, this refuses: names, types and fixed dimensions that differ.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

_ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
}


class TritonPythonModel:
    """One instance of one model; the name is the backend's protocol."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Leave the configuration as it is written."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the ONNX file; raise where it is not what the configuration promises."""
        _end_with_the_server()
        _refuse_numpy_2()
        config = json.loads(args["model_config"])
        path = _model_path(args, config)
        _check_hash(path, config)
        self.session = _session(path, config)
        _check(config, self.session)
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]
        self.outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request by itself: on a CPU a batch gains nothing."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            feed = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
            results = self.session.run(self.outputs, feed)
        except Exception as error:  # noqa: BLE001 - one bad request must not end the instance
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {error}"))
        tensors = [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in zip(self.outputs, results, strict=True)]
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _end_with_the_server() -> None:
    """Have this process killed the moment the server is gone, also when it was killed, and its shared memory taken along.

    PR_SET_PDEATHSIG would not do: it fires when the *thread* that started this process ends, and the server's loader threads do.
    Nor would a thread in here: a server that dies within a critical section leaves this process waiting with Python's lock held.
    """
    prefix = os.environ.get("PANOVEIL_TRITON_SHM_PREFIX", "")
    # Opened here, where both surely live: the watcher may begin late.
    watched = os.pidfd_open(os.getppid()), os.pidfd_open(os.getpid())
    subprocess.Popen(
        ["python3", "-I", "-S", "-c", _WATCHER, *map(str, watched), prefix],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=watched,
    )
    for descriptor in watched:
        os.close(descriptor)


_WATCHER = """
import glob, os, select, signal, sys
server, stub = map(int, sys.argv[1:3])
poll = select.poll()
poll.register(server, select.POLLIN)
poll.register(stub, select.POLLIN)
if server in dict(poll.poll()):
    try:
        signal.pidfd_send_signal(stub, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for region in glob.glob(f"/dev/shm/{sys.argv[3]}*") if sys.argv[3] else []:
        try:
            os.unlink(region)
        except FileNotFoundError:
            pass
"""


def _refuse_numpy_2() -> None:
    if int(np.__version__.split(".", maxsplit=1)[0]) >= 2:  # noqa: PLR2004 - the version itself
        message = f"numpy {np.__version__} corrupts this server's tensors without a word: its environment needs numpy < 2"
        raise pb_utils.TritonModelException(message)


def _check_hash(path: Path, config: dict[str, Any]) -> None:
    """Refuse weights other than those that config.pbtxt names in its parameter `sha256`, where it names any."""
    promised = config.get("parameters", {}).get("sha256", {}).get("string_value", "")
    if promised and hashlib.sha256(path.read_bytes()).hexdigest() != promised:
        raise pb_utils.TritonModelException(f"{config['name']}: {path.name} is not the file whose sha256 config.pbtxt names")


def _model_path(args: dict[str, str], config: dict[str, Any]) -> Path:
    return Path(args["model_repository"]) / args["model_version"] / (config.get("default_model_filename") or "model.onnx")


def _session(path: Path, config: dict[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads(config)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that spins while it waits takes the core another instance needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _threads(config: dict[str, Any]) -> int:
    """`intra_op_thread_count` as the real backend reads it; the environment overrides, one thread is the default."""
    configured = config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "1")
    return int(os.environ.get("PANOVEIL_TRITON_INTRA_OP_THREADS", configured))


def _check(config: dict[str, Any], session: Any) -> None:
    batched = config.get("max_batch_size", 0) > 0
    for kind, tensors in (("input", session.get_inputs()), ("output", session.get_outputs())):
        promised = {tensor["name"]: tensor for tensor in config[kind]}
        present = {tensor.name: tensor for tensor in tensors}
        missing = promised.keys() - present.keys() if kind == "output" else promised.keys() ^ present.keys()
        if missing:
            raise pb_utils.TritonModelException(
                f"{config['name']}: {kind}s {sorted(missing)} differ between config.pbtxt and the ONNX"
            )
        for name, promise in promised.items():
            _check_tensor(f"{config['name']}: {kind} {name!r}", promise, present[name], batched=batched)


def _check_tensor(what: str, promise: dict[str, Any], tensor: Any, *, batched: bool) -> None:
    if _ONNX_TYPES.get(promise["data_type"]) != tensor.type:
        raise pb_utils.TritonModelException(f"{what} is {promise['data_type']} in config.pbtxt and {tensor.type} in the ONNX")
    dims = [-1, *map(int, promise["dims"])] if batched else [int(dim) for dim in promise["dims"]]
    if len(dims) != len(tensor.shape) or not all(map(_agree, dims, tensor.shape)):
        raise pb_utils.TritonModelException(f"{what} has dims {dims} in config.pbtxt and {tensor.shape} in the ONNX")


def _agree(configured: int, actual: int | str | None) -> bool:
    # The real backend lets -1 in the configuration stand for a fixed dimension only where the model leaves it open.
    return configured == (actual if isinstance(actual, int) else -1) or (configured > 0 and not isinstance(actual, int))
