import dataclasses
import os
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured
from panoveil.streams import KclConfig, Limits
from panoveil.streams._kcl import files
from panoveil.streams._kcl.files import private_folder, properties_of, write_files

CONFIG = KclConfig("app", "stream", "eu-north-1", "me", "test", limits=Limits(drain_seconds=10))


def test_the_traps_are_closed() -> None:
    properties = properties_of(CONFIG, Path("/x/child"))
    assert properties["initialPositionInStream"] == "TRIM_HORIZON"
    assert properties["retrievalMode"] == "POLLING"
    assert properties["callProcessRecordsEvenForEmptyRecordList"] == "true"
    assert int(properties["shutdownGraceMillis"]) > 10_000
    assert "timeoutInSeconds" not in properties


def test_records_are_pushed_only_where_that_is_asked_for() -> None:
    assert properties_of(dataclasses.replace(CONFIG, retrieval="fanout"), Path("/x/child"))["retrievalMode"] == "FANOUT"


def test_endpoints_are_said_only_where_there_is_an_emulator() -> None:
    assert not [name for name in properties_of(CONFIG, Path("/x/child")) if "ndpoint" in name]
    emulated = KclConfig("app", "stream", "eu-north-1", "me", "test", endpoint_url="http://127.0.0.1:1")
    assert properties_of(emulated, Path("/x/child"))["dynamoDBEndpoint"] == "http://127.0.0.1:1"


def test_a_python_in_a_folder_with_blanks_can_be_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my programs/python")
    write_files(tmp_path, CONFIG)
    words = shlex.split((tmp_path / "child").read_text())
    assert words[:2] == ["exec", "/my programs/python"]
    assert words[-1] == str(tmp_path / "link")
    assert len(properties_of(CONFIG, tmp_path / "child")["executableName"].split()) == 2


@pytest.mark.parametrize("name", ["with blanks", "x" * 90])
def test_the_folder_suits_a_socket_whatever_tmpdir_says(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / name
    bad.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(bad))
    with private_folder() as folder:
        assert len(str(folder / "link")) < 108
        assert " " not in str(folder)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_folders_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_parent", lambda: tmp_path)
    left_over, just_made = tmp_path / "panoveil-kcl-1", tmp_path / "panoveil-kcl-2"
    for folder in (left_over, just_made):
        folder.mkdir()
        (folder / "lock").touch()
    os.utime(left_over / "lock", (0, 0))
    with private_folder() as alive:
        os.utime(alive / "lock", (0, 0))
        with private_folder():
            assert alive.exists()
    assert not left_over.exists()
    assert just_made.exists()


def test_no_folder_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    with pytest.raises(Misconfigured, match="TMPDIR"), private_folder():
        pytest.fail("there is none")
