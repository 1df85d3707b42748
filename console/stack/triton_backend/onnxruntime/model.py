# ruff: noqa: INP001 - Triton reads this folder, Python never imports it
"""Triton's `onnxruntime` backend for machines without a GPU: a python-based backend over the onnxruntime or the openvino wheel.

It runs in Triton's own environment (numpy < 2), outside Panoveil's packages, and serves the models whose unmodified `config.pbtxt`
the real backend serves on a GPU. What the real backend refuses, this refuses: names, types and fixed dimensions that differ.

A model whose parameter `cpu_engine` says `openvino` is run by that: it computes in bfloat16 where the processor does, which takes
about two fifths off what a model costs. Any other model is run by onnxruntime, which reads every ONNX file.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from cpu_engines import ENGINES, OnnxRuntime, OpenVino, Tensor


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
        self.engine = _engine(path, config)
        _check(config, self.engine)
        self.inputs = [tensor.name for tensor in self.engine.inputs]
        self.outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request by itself: on a CPU a batch gains nothing."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            feed = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
            results = self.engine.run(feed, self.outputs)
        except Exception as error:  # noqa: BLE001 - one bad request must not end the instance
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(self.engine).__name__}: {error}"))
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
    promised = _parameter(config, "sha256", "")
    if promised and hashlib.sha256(path.read_bytes()).hexdigest() != promised:
        raise pb_utils.TritonModelException(f"{config['name']}: {path.name} is not the file whose sha256 config.pbtxt names")


def _model_path(args: dict[str, str], config: dict[str, Any]) -> Path:
    return Path(args["model_repository"]) / args["model_version"] / (config.get("default_model_filename") or "model.onnx")


def _engine(path: Path, config: dict[str, Any]) -> OnnxRuntime | OpenVino:
    name = _parameter(config, "cpu_engine", "onnxruntime")
    if name not in ENGINES:
        raise pb_utils.TritonModelException(f"{config['name']}: there is no cpu_engine {name!r}, but {sorted(ENGINES)}")
    return ENGINES[name](path, _threads(config))


def _parameter(config: dict[str, Any], name: str, default: str) -> str:
    return str(config.get("parameters", {}).get(name, {}).get("string_value", default))


def _threads(config: dict[str, Any]) -> int:
    """`intra_op_thread_count` as the real backend reads it; the environment overrides, one thread is the default."""
    return int(os.environ.get("PANOVEIL_TRITON_INTRA_OP_THREADS", _parameter(config, "intra_op_thread_count", "1")))


def _check(config: dict[str, Any], engine: OnnxRuntime | OpenVino) -> None:
    batched = config.get("max_batch_size", 0) > 0
    for kind, tensors in (("input", engine.inputs), ("output", engine.outputs)):
        promised = {tensor["name"]: tensor for tensor in config[kind]}
        present = {tensor.name: tensor for tensor in tensors}
        missing = promised.keys() - present.keys() if kind == "output" else promised.keys() ^ present.keys()
        if missing:
            raise pb_utils.TritonModelException(
                f"{config['name']}: {kind}s {sorted(missing)} differ between config.pbtxt and the ONNX"
            )
        for name, promise in promised.items():
            _check_tensor(f"{config['name']}: {kind} {name!r}", promise, present[name], batched=batched)


def _check_tensor(what: str, promise: dict[str, Any], tensor: Tensor, *, batched: bool) -> None:
    if promise["data_type"] != tensor.data_type:
        raise pb_utils.TritonModelException(
            f"{what} is {promise['data_type']} in config.pbtxt and {tensor.data_type} in the ONNX"
        )
    dims = [-1, *map(int, promise["dims"])] if batched else [int(dim) for dim in promise["dims"]]
    if len(dims) != len(tensor.dims) or not all(map(_agree, dims, tensor.dims)):
        raise pb_utils.TritonModelException(f"{what} has dims {dims} in config.pbtxt and {tensor.dims} in the ONNX")


def _agree(configured: int, actual: int) -> bool:
    # The real backend lets -1 in the configuration stand for a fixed dimension only where the model leaves it open.
    return configured == actual or (configured > 0 and actual == -1)
