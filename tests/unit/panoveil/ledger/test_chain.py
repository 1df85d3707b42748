"""The audit chain shows what was done to it."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.ledger import GENESIS, AuditEntry, AuditHead, export_lines, read_export, verify_chain
from panoveil.ledger import _chain as chain_module
from panoveil.ledger._chain import canonical, link

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)


def _chain(bodies: Sequence[dict[str, object]]) -> list[AuditEntry]:
    chain: list[AuditEntry] = []
    for body in bodies:
        chain.append(link(chain[-1] if chain else None, body))
    return chain


FIVE = _chain([{"n": number} for number in range(5)])


@given(st.lists(BODIES, max_size=6))
def test_a_chain_as_written_is_whole(bodies: list[dict[str, object]]) -> None:
    chain = _chain(bodies)
    assert verify_chain(chain, chain[-1:]) == []


def test_anyone_can_compute_the_hash() -> None:
    entry = link(None, {"b": "Å", "a": (1, 2.5)})
    text = '{"body":{"a":[1,2.5],"b":"\\u00c5"},"previous":"' + "0" * 64 + '","sequence":1}'
    assert entry == AuditEntry(1, {"a": [1, 2.5], "b": "Å"}, GENESIS, hashlib.sha256(text.encode()).hexdigest())


def test_the_order_of_keys_does_not_matter() -> None:
    assert link(None, {"a": 1, "b": 2}).hash == link(None, {"b": 2, "a": 1}).hash


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}, {"x": {1, 2}}])
def test_what_json_cannot_say_is_refused(body: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        link(None, body)


@given(st.integers(0, 4), st.integers(min_value=1, max_value=2**200), st.sampled_from(["body", "previous", "sequence", "hash"]))
def test_any_altered_entry_is_told(at: int, value: int, field: str) -> None:
    changed: Any = {"body": {"n": f"x{value}"}, "previous": f"{value:064x}", "sequence": 9, "hash": f"{value:064x}"}[field]
    forged = dataclasses.replace(FIVE[at], **{field: changed})
    findings = verify_chain([*FIVE[:at], forged, *FIVE[at + 1 :]])
    assert f"entry {forged.sequence} was altered" in findings


@pytest.mark.parametrize("at", range(4))
def test_an_entry_altered_and_hashed_anew_breaks_the_next(at: int) -> None:
    forged = link(FIVE[at - 1] if at else None, {"n": "forged"})
    findings = verify_chain([*FIVE[:at], forged, *FIVE[at + 1 :]])
    assert findings == [f"entry {at + 2} does not follow the one before it"]


@pytest.mark.parametrize(("gone", "finding"), [(0, "missing: 1 to 1"), (1, "missing: 2 to 2"), (3, "missing: 4 to 4")])
def test_a_missing_entry_is_told(gone: int, finding: str) -> None:
    assert verify_chain([*FIVE[:gone], *FIVE[gone + 1 :]]) == [finding]


def test_several_missing_are_told_at_once() -> None:
    assert verify_chain([FIVE[0], FIVE[4]]) == ["missing: 2 to 4"]


def test_entries_in_another_order_are_told() -> None:
    findings = verify_chain([FIVE[0], FIVE[2], FIVE[1], FIVE[3], FIVE[4]])
    assert "missing: 2 to 2" in findings
    assert "entry 2 is out of order: it stands where 4 belongs" in findings


def test_an_entry_twice_is_told() -> None:
    assert verify_chain([FIVE[0], FIVE[0], FIVE[1]]) == ["entry 1 is out of order: it stands where 2 belongs"]


def test_a_chain_cut_short_is_told_against_a_head_only() -> None:
    assert verify_chain(FIVE[:3]) == []
    assert verify_chain(FIVE[:3], [FIVE[4]]) == ["cut short: entry 5 is known to exist"]
    assert verify_chain([], [FIVE[0]]) == ["cut short: entry 1 is known to exist"]


def test_a_chain_written_anew_is_told_against_a_head_only() -> None:
    forged = _chain([{"n": number + 1} for number in range(6)])
    assert verify_chain(forged) == []
    assert verify_chain(forged, [FIVE[4]]) == ["entry 5 is not the one noted elsewhere"]


def test_a_chain_that_grew_since_the_head_was_noted_is_whole() -> None:
    assert verify_chain(FIVE, [FIVE[2]]) == []


def test_canonical_is_ascii_and_sorted() -> None:
    assert canonical({"ø": 1, "a": [True, None]}) == '{"a":[true,null],"\\u00f8":1}'


DRIVE = "dk/d1"
BOUND = _chain([{"drive_id": DRIVE, "n": number, "text": "Å,:" * number} for number in range(5)])
FILE = "".join(export_lines(DRIVE, BOUND)).encode()


def test_a_file_as_exported_is_whole() -> None:
    found = read_export(FILE, BOUND[2].head)
    assert (found.drive_id, list(found.entries), found.findings) == (DRIVE, BOUND, ())


def test_the_file_of_a_drive_without_entries_is_whole() -> None:
    assert read_export("".join(export_lines(DRIVE, [])).encode()).findings == ()


@given(st.data())
def test_no_byte_of_a_file_changes_unseen(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FILE) - 1))
    instead = data.draw(st.binary(max_size=2).filter(lambda new: new != FILE[at : at + 1]))
    assert read_export(FILE[:at] + instead + FILE[at + 1 :]).findings


@given(st.lists(st.integers(0, 5), max_size=7).filter(lambda order: order != list(range(6))))
def test_no_line_of_a_file_moves_goes_or_comes_twice_unseen(order: list[int]) -> None:
    lines = FILE.splitlines(keepends=True)
    assert read_export(b"".join(lines[number] for number in order)).findings


@given(st.integers(0, len(FILE) - 1))
def test_a_file_cut_short_is_told(length: int) -> None:
    assert read_export(FILE[:length]).findings


def test_a_file_written_anew_is_told_against_a_head_only() -> None:
    forged = "".join(export_lines(DRIVE, BOUND[:3])).encode()
    assert read_export(forged).findings == ()
    assert read_export(forged, BOUND[4].head).findings == ("cut short: entry 5 is known to exist",)


def test_the_chain_of_another_drive_is_told() -> None:
    passed_off = "".join(export_lines("dk/d2", BOUND[:1])).encode()
    assert read_export(passed_off).findings == ("entry 1 is not of drive dk/d2",)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'{"body":{},"hash":"","previous":"","sequence":true}',
        b'{"body":{},"hash":"","previous":""}',
        b"[" * 100_000,
        b"nul",
    ],
)
def test_a_line_that_is_no_entry_is_told_by_its_number(line: bytes) -> None:
    lines = FILE.splitlines(keepends=True)
    assert "line 3 is no entry as it was written" in read_export(b"".join([*lines[:2], line + b"\n", *lines[3:]])).findings


def test_a_head_is_read_as_it_is_written() -> None:
    assert AuditHead.parse(str(BOUND[4].head)) == BOUND[4].head


@pytest.mark.parametrize("text", ["", "5", "5:", "x:" + "0" * 64, "5:" + "0" * 63, "5:" + "g" * 64, "-1:" + "0" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no head"):
        AuditHead.parse(text)


@pytest.mark.parametrize(("data", "code"), [(FILE, 0), (FILE.replace(b'"n":3', b'"n":4'), 1)], ids=["whole", "altered"])
def test_the_module_alone_verifies_a_file_with_the_standard_library_alone(tmp_path: Path, data: bytes, code: int) -> None:
    (tmp_path / "audit.jsonl").write_bytes(data)
    bare = [sys.executable, "-I", "-S", str(chain_module.__file__), str(tmp_path / "audit.jsonl"), str(BOUND[4].head)]
    answer = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (code, "whole: 5 entries\n" if code == 0 else "entry 4 was altered\n")


def test_a_line_of_the_file_is_what_the_description_says() -> None:
    header, first = (json.loads(line) for line in FILE.decode().splitlines()[:2])
    assert header == {"drive": DRIVE, "format": "panoveil-audit/1", "head": f"5:{BOUND[4].hash}"}
    assert first == {"body": dict(BOUND[0].body), "hash": BOUND[0].hash, "previous": GENESIS, "sequence": 1}
