"""The audit chain shows what was done to it."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.ledger import GENESIS, AuditEntry, verify_chain
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
    assert verify_chain(chain, chain[-1] if chain else None) == []


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
    assert verify_chain(FIVE[:3], FIVE[4]) == ["cut short: entry 5 is known to exist"]
    assert verify_chain([], FIVE[0]) == ["cut short: entry 1 is known to exist"]


def test_a_chain_written_anew_is_told_against_a_head_only() -> None:
    forged = _chain([{"n": number + 1} for number in range(6)])
    assert verify_chain(forged) == []
    assert verify_chain(forged, FIVE[4]) == ["entry 5 is not the one noted elsewhere"]


def test_a_chain_that_grew_since_the_head_was_noted_is_whole() -> None:
    assert verify_chain(FIVE, FIVE[2]) == []


def test_canonical_is_ascii_and_sorted() -> None:
    assert canonical({"ø": 1, "a": [True, None]}) == '{"a":[true,null],"\\u00f8":1}'
