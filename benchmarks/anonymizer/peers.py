"""Others' tools on the same picture, installed into an environment of their own that is thrown away."""

import resource
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

PACKAGES = ("deface", "onnxruntime")
SECONDS = 900


def measured(data: bytes, work: Path) -> dict[str, Any]:
    """Return what `deface` (PyPI, MIT) takes for a panorama, its whole process, models included: it has no other mode."""
    environment = work / "deface"
    venv.create(environment, with_pip=True)
    binaries = environment / "bin"
    picture = work / "panorama.jpg"
    picture.write_bytes(data)
    try:
        subprocess.run([binaries / "pip", "install", "--quiet", *PACKAGES], check=True, timeout=SECONDS, stdout=sys.stderr)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([binaries / "deface", picture, "-o", work / "out.jpg"], check=True, timeout=SECONDS, stdout=sys.stderr)
    except (subprocess.SubprocessError, OSError) as error:
        return {"deface": {"failed": str(error)[:200]}}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"deface": {"cpu_s_whole_process": round(seconds, 2)}}
