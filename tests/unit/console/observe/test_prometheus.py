"""Prometheus is found, or its absence is one sentence before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli import app
from console.observe import prometheus
from panoveil.contracts.errors import Misconfigured


@pytest.fixture(name="nowhere")
def none_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prometheus, "_OURS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_what_make_installed_comes_before_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("ours", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "prometheus").write_text("#!/bin/sh\n")
        (tmp_path / folder / "prometheus").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(prometheus, "_OURS", tmp_path / "ours")
    assert prometheus.require() == tmp_path / "ours" / "prometheus"
    (tmp_path / "ours" / "prometheus").unlink()
    assert prometheus.require() == tmp_path / "path" / "prometheus"


@pytest.mark.parametrize("command", [["demo", "--observe"], ["up", "--observe"]], ids=" ".join)
def test_without_prometheus_nothing_is_started(nowhere: None, tmp_path: Path, command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, Misconfigured)
    assert "make prometheus" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_nothing_is_found_where_there_is_none(nowhere: None) -> None:
    assert prometheus.find("promtool") is None
