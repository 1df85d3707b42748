"""What the audit chain says keeps its form, and notes the same outcome once."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from panoveil.contracts import examples
from panoveil.contracts.audit import (
    Archival,
    Audited,
    Erasure,
    Expiry,
    Flip,
    Hold,
    HoldDecision,
    OperatorAction,
    Publication,
    QuarantineDecision,
    Restoration,
)
from panoveil.ledger import MemoryLedger, note

ENTRIES: TypeAdapter[Audited] = TypeAdapter(Audited)
NAMES = [name for name in examples.names() if name.startswith("audit.")]


ANOTHER = {"audit.expiry.1": {"data_class": "stitched"}}
"""What makes another deed of an example that is of no capture."""
KINDS = [Publication, Hold, HoldDecision, OperatorAction, QuarantineDecision, Flip, Archival, Restoration, Erasure, Expiry]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entry_has_an_example(kind: type[Audited]) -> None:
    assert f"audit.{kind.model_fields['kind'].default}.{kind.model_fields['version'].default}" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_read_and_written_back(name: str) -> None:
    entry = ENTRIES.validate_json(examples.read(name))
    assert json.loads(entry.model_dump_json()) == json.loads(examples.read(name))


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_is_noted_once_and_something_else_again(name: str) -> None:
    ledger, entry = MemoryLedger(), ENTRIES.validate_json(examples.read(name))
    first = await note(ledger, entry)
    assert await note(ledger, entry) == first
    other = await note(ledger, entry.model_copy(update=ANOTHER.get(name, {"capture_id": "fyn-2026/car7-0601/000002"})))
    assert other.sequence == 2
    assert [one async for one in ledger.audit_chain(entry.drive_id)] == [first, other]


async def test_a_redelivery_at_another_time_is_the_same_publication_but_a_later_deed_another() -> None:
    ledger = MemoryLedger()
    for name in ("audit.publication.1", "audit.operator.1"):
        entry = ENTRIES.validate_json(examples.read(name))
        await note(ledger, entry)
        await note(ledger, entry.model_copy(update={"at": entry.at + timedelta(hours=1)}))
    chain = [entry.body["kind"] async for entry in ledger.audit_chain("fyn-2026/car7-0601")]
    assert chain == ["publication", "operator", "operator"]


async def test_another_outcome_of_the_same_recipe_is_another_entry() -> None:
    ledger = MemoryLedger()
    published = ENTRIES.validate_json(examples.read("audit.publication.1"))
    assert isinstance(published, Publication)
    redone = published.model_copy(update={"outputs": (published.outputs[0].model_copy(update={"sha256": "9" * 64}),)})
    for entry in (published, redone, ENTRIES.validate_json(examples.read("audit.hold.1"))):
        await note(ledger, entry)
    assert [entry.sequence async for entry in ledger.audit_chain(published.drive_id)] == [1, 2, 3]


@pytest.mark.parametrize("by", ["Åse Jensen", "", "a@b.dk"])
def test_an_operator_is_named_by_a_number_not_by_a_name_with_a_blank_or_an_address(by: str) -> None:
    with pytest.raises(ValidationError):
        ENTRIES.validate_python(json.loads(examples.read("audit.operator.1")) | {"by": by})


async def test_a_capture_kept_held_for_another_reason_is_another_decision_and_for_the_same_reason_the_same() -> None:
    ledger = MemoryLedger()
    released = ENTRIES.validate_json(examples.read("audit.review.1"))
    assert isinstance(released, HoldDecision)
    kept = released.model_copy(update={"action": "keep", "recipe_id": None, "review": None})
    for entry in (
        kept,
        kept.model_copy(update={"at": kept.at + timedelta(hours=1)}),
        kept.model_copy(update={"because": "a crowd"}),
    ):
        await note(ledger, entry)
    assert [entry.body["because"] async for entry in ledger.audit_chain(kept.drive_id)] == [kept.because, "a crowd"]


async def test_a_hold_is_noted_as_it_was_before_there_were_reviews_where_nothing_was_left() -> None:
    ledger, hold = MemoryLedger(), ENTRIES.validate_json(examples.read("audit.hold.1"))
    assert dict((await note(ledger, hold)).body) == json.loads(examples.read("audit.hold.1"))


async def test_a_hold_says_what_was_left() -> None:
    ledger, hold = MemoryLedger(), ENTRIES.validate_json(examples.read("audit.hold.1"))
    assert isinstance(hold, Hold)
    body: dict[str, Any] = dict((await note(ledger, hold.model_copy(update={"left": hold.regions[:1]}))).body)
    assert body["left"] == body["regions"][:1]
    assert ENTRIES.validate_python(body).left == hold.regions[:1]  # type: ignore[union-attr]
