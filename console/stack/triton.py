"""A real Triton Inference Server on this machine's CPU, out of an environment of its own, bound to loopback.

`preflight` says what is missing, `command` returns what to start, `wait_ready` waits for it, `running` does all three and cleans up.
Nothing outlives the process that asked: the server dies with it (`Process`), the server's stubs with the server, their memory with them.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.stack.processes import Process, free_port
from console.stack.triton_stamp import models, stamped
from panoveil.contracts.errors import Misconfigured, Unavailable

HOST = "127.0.0.1"
READY_SECONDS = 180.0
_SHM = Path("/dev/shm")  # noqa: S108 - Triton puts its regions there
_ROOM = 256 << 20
"""Bytes: every service's requests under way, several times over, beside what Triton itself puts there."""
_PREFIX = "panoveil-triton-"
CPU_BACKEND = Path(__file__).resolve().parent / "triton_backend" / "onnxruntime"
"""What serves models of the `onnxruntime` backend where there is no GPU."""

_SETUP = "UV_PROJECT_ENVIRONMENT=.venv-triton uv sync --frozen --extra triton-cpu"
_GLIBC = (2, 35)
_ENGINES = ("onnxruntime", "openvino")
_PROBE = """
import ctypes, importlib.metadata as m, json, os, platform, sys, sysconfig
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return ""
soname = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
def loads(path):
    try: ctypes.CDLL(path); return True
    except OSError: return False
folder = sysconfig.get_config_var("LIBDIR") or ""
print(json.dumps({
    "python": f"{sys.version_info[0]}.{sys.version_info[1]}", "numpy": version("numpy"), "onnxruntime": version("onnxruntime"),
    "openvino": version("openvino"),
    "pytriton": version("nvidia-pytriton"), "site": sysconfig.get_path("purelib"), "libdir": folder,
    "libpython": loads(os.path.join(folder, soname)) or loads(soname), "glibc": os.confstr("CS_GNU_LIBC_VERSION") or "",
}))
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why Triton cannot run here, and the one line that mends it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        """`numpy 2.1 … → uv sync …`."""
        return f"{self.what} → {self.remedy}"


@dataclass(frozen=True, slots=True)
class Command:
    """How to start the server, and where it will answer; ports on 127.0.0.1."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    grpc_port: int
    http_port: int
    metrics_port: int
    shm_prefix: str

    @property
    def grpc_url(self) -> str:
        """What a Triton client takes."""
        return f"{HOST}:{self.grpc_port}"


def preflight(venv: Path, repository: Path) -> list[Problem]:
    """Everything that keeps Triton from running here, empty where nothing does; `venv` is its environment, not ours."""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return [Problem(f"Triton has no build for {sys.platform} {platform.machine()}", "use Linux on x86-64 or arm64")]
    probe = _probe(venv)
    if probe is None:
        return [Problem(f"there is no Python environment in {venv}", _SETUP)]
    return [*_environment_problems(probe), *_model_problems(repository)]


def _probe(venv: Path) -> dict[str, Any] | None:
    python = venv / "bin" / "python"
    if not python.exists():
        return None
    done = subprocess.run([python, "-I", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=60)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


def _environment_problems(probe: Mapping[str, Any]) -> list[Problem]:
    python, problems = probe["python"], []
    if not probe["pytriton"]:
        problems.append(Problem("Triton's environment has no nvidia-pytriton", _SETUP))
    elif not _stub(probe).exists():
        problems.append(Problem(f"Triton has no stub for Python {python}", f"uv venv --python 3.11 .venv-triton && {_SETUP}"))
    problems += [Problem(f"Triton's environment has no {engine}", _SETUP) for engine in _ENGINES if not probe[engine]]
    if not probe["numpy"].startswith("1."):
        what = f"Triton's environment has numpy {probe['numpy'] or '(none)'}, and from 2 on tensors are corrupted without a word"
        problems.append(Problem(what, _SETUP))
    if not probe["libpython"]:
        problems.append(Problem(f"libpython{python}.so.1.0 cannot be loaded", f"apt-get install libpython{python}"))
    if _glibc(probe["glibc"]) < _GLIBC:
        problems.append(Problem(f"{probe['glibc']} is older than 2.35", "use Debian 12, Ubuntu 22.04 or newer"))
    return problems


def _glibc(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.rsplit(maxsplit=1)[-1].split(".")) if text else (0,)


def _stub(probe: Mapping[str, Any]) -> Path:
    return _server(probe) / "python_backend_stubs" / str(probe["python"]) / "triton_python_backend_stub"


def _server(probe: Mapping[str, Any]) -> Path:
    return Path(probe["site"]) / "pytriton" / "tritonserver"


def _model_problems(repository: Path) -> list[Problem]:
    built = dict(models(repository))
    names = [config.parent.name for config in sorted(repository.glob("*/config.pbtxt")) if config.parent not in built]
    missing = [Problem(f"the model {name!r} is not built", f"python -m console.stack.triton_{name}_model") for name in names]
    return [*missing, *(problem for folder, weights in built.items() for problem in _stamp_problems(folder, weights))]


def _stamp_problems(folder: Path, weights: Path) -> list[Problem]:
    if stamped(folder / "config.pbtxt") == hashlib.sha256(weights.read_bytes()).hexdigest():
        return []
    what = f"the config.pbtxt of model {folder.name!r} does not name the SHA-256 of its {weights.name}"
    return [Problem(what, "python -m console.stack.triton_stamp")]


def command(repository: Path, venv: Path, state: Path, grpc_port: int = 0, http_port: int = 0, metrics_port: int = 0) -> Command:
    """Lay the server's folders out in `state` and say how to start it; 0 stands for a free port.

    `Process.start("triton", command.argv, command.env, folder)` starts it. Raises `Misconfigured` with every problem of `preflight`.
    """
    problems = preflight(venv, repository)
    if problems:
        raise Misconfigured("Triton cannot run here: " + "; ".join(map(str, problems)))
    probe = _probe(venv)
    assert probe is not None
    remove_stale_regions()
    ports = [port or free_port() for port in (grpc_port, http_port, metrics_port)]
    prefix = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}-"
    arguments = _arguments(repository, _laid_out(probe, state), _server(probe), ports, prefix)
    argv = (str(_server(probe) / "bin" / "tritonserver"), *arguments)
    return Command(argv, _environment(probe, venv, prefix), ports[0], ports[1], ports[2], prefix)


def _laid_out(probe: Mapping[str, Any], state: Path) -> Path:
    """Triton's backend directory: the python backend with this Python's stub, and ours named onnxruntime."""
    backends = state / "backends"
    shutil.rmtree(backends, ignore_errors=True)
    python = backends / "python"
    python.mkdir(parents=True)
    for source in (*(_server(probe) / "backends" / "python").iterdir(), _stub(probe)):
        # Copies: the server refuses a library that a link leads out of its directory.
        shutil.copy(source, python / source.name)
    shutil.copytree(CPU_BACKEND, backends / "onnxruntime")
    return backends


def _arguments(repository: Path, backends: Path, server: Path, ports: list[int], prefix: str) -> list[str]:
    grpc_port, http_port, metrics_port = ports
    flags = {
        "model-repository": repository.resolve(), "backend-directory": backends.resolve(), "cache-directory": server / "caches",
        "model-control-mode": "explicit", "load-model": "*", "strict-readiness": "true",
        "grpc-address": HOST, "grpc-port": grpc_port, "http-address": HOST, "http-port": http_port,
        "metrics-address": HOST, "metrics-port": metrics_port, "allow-gpu-metrics": "false",
        "backend-config": f"python,shm-region-prefix-name={prefix}", "exit-timeout-secs": 5, "exit-on-error": "true",
    }  # fmt: skip
    return ["--disable-auto-complete-config", *(f"--{name}={value}" for name, value in flags.items())]


def _environment(probe: Mapping[str, Any], venv: Path, prefix: str) -> dict[str, str]:
    return {
        "PATH": f"{venv.resolve() / 'bin'}:{os.environ.get('PATH', '')}",
        "LD_LIBRARY_PATH": f"{Path(probe['site']) / 'nvidia_pytriton.libs'}:{probe['libdir']}",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PANOVEIL_TRITON_SHM_PREFIX": prefix,
    }


def can_share_memory() -> bool:
    """Whether clients on this machine may hand Triton pictures through `/dev/shm`; in a container that is often too small."""
    return _SHM.is_dir() and shutil.disk_usage(_SHM).free >= _ROOM


def remove_stale_regions(prefix: str = _PREFIX) -> None:
    """Unlink shared memory of servers whose starter is gone; with a server's own prefix, unlink that server's."""
    for region in _SHM.glob(f"{prefix}*"):
        owner = region.name.removeprefix(_PREFIX).split("-")[0]
        if prefix != _PREFIX or not Path("/proc", owner).exists():
            region.unlink(missing_ok=True)


async def wait_ready(http_port: int, alive: Callable[[], bool], timeout: float = READY_SECONDS) -> None:
    """Return when every model is loaded; `Unavailable("triton")` when the server ended first or did not get there in `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not await _is_ready(http_port):
                if not alive():
                    raise Unavailable("triton", "the server ended before it was ready: its log says why")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unavailable("triton", f"not ready after {timeout:.0f} s: its log says why") from error


async def _is_ready(http_port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, http_port)
    except OSError:
        return False
    with contextlib.closing(writer):
        try:
            writer.write(f"GET /v2/health/ready HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
        except OSError:
            return False


@contextlib.asynccontextmanager
async def running(repository: Path, venv: Path, state: Path, timeout: float = READY_SECONDS) -> AsyncIterator[Command]:
    """Serve `repository` while the block runs; the server's log is `state/triton.log`. Leaves no process and no shared memory."""
    state.mkdir(parents=True, exist_ok=True)
    started = command(repository, venv, state)
    process = Process.start("triton", started.argv, started.env, state)
    try:
        await wait_ready(started.http_port, lambda: process.running, timeout)
        yield started
    finally:
        await asyncio.to_thread(process.stop, 8.0)
        remove_stale_regions(started.shm_prefix)
