"""What is not ours is what its makers made, with their licences beside it."""

import hashlib

from console.viewer.app import WEB

VENDOR = WEB / "vendor"


def test_every_file_is_the_one_that_was_taken() -> None:
    lines = (line.split(maxsplit=1) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    there = {path.relative_to(VENDOR).as_posix(): path for path in VENDOR.glob("*/*")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == sums


def test_every_folder_has_its_licence() -> None:
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        text = (folder / "LICENSE").read_text()
        assert "ermission" in text
        assert "opyright" in text


def test_nothing_is_fetched_from_elsewhere() -> None:
    ours = [path.read_text() for path in WEB.glob("*.*")]
    assert [text for text in ours if "https://" in text or "http://" in text.replace("http://www.w3.org/2000/svg", "")] == []
