"""What every ledger does, in memory and in DynamoDB."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from panoveil.aws import plain_client
from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import (
    ENDS,
    FAR_FUTURE,
    LISTED,
    MAY_FOLLOW,
    NO_DRIVE,
    UNFINISHED,
    UNGRADED,
    DynamoLedger,
    Fate,
    Grade,
    Ledger,
    MemoryLedger,
    Pointer,
    QuarantineEntry,
    SeenObject,
    State,
    provision_table,
    verify_chain,
)
from tests.stores.conftest import HASTE, REGION

C1 = CaptureId("dk", "d1", "c1")
C2 = CaptureId("dk", "d1", "c2")
FRONT = SeenObject("front.jpg", "aa", 5)
BACK = SeenObject("back.jpg", "bb", 6)


async def test_nothing_is_known_of_what_was_never_seen(ledger: Ledger) -> None:
    assert await ledger.state(C1) is None
    assert await ledger.finished(C1, "stitcher", "r") is None
    assert [drive async for drive in ledger.drives()] == []
    assert [state async for state in ledger.captures("dk/d1")] == []
    assert [entry async for entry in ledger.audit_chain("dk/d1")] == []


async def test_objects_gather_by_capture(ledger: Ledger) -> None:
    assert await ledger.saw(C1, FRONT) == {"front.jpg": FRONT}
    assert await ledger.saw(C1, FRONT) == {"front.jpg": FRONT}
    assert await ledger.saw(C2, FRONT) == {"front.jpg": FRONT}
    assert await ledger.saw(C1, BACK) == {"back.jpg": BACK, "front.jpg": FRONT}


async def test_a_new_version_of_an_object_takes_its_place(ledger: Ledger) -> None:
    await ledger.saw(C1, FRONT)
    newer = SeenObject("front.jpg", "cc", 0)
    assert await ledger.saw(C1, newer) == {"front.jpg": newer}


async def test_captures_whose_names_begin_alike_are_apart(ledger: Ledger) -> None:
    await ledger.saw(CaptureId("dk", "d1", "c10"), FRONT)
    assert await ledger.saw(C1, BACK) == {"back.jpg": BACK}


async def test_of_two_racing_objects_one_sees_both(ledger: Ledger) -> None:
    for number in range(10):
        capture_id = CaptureId("dk", "d1", f"r{number}")
        results = await asyncio.gather(ledger.saw(capture_id, FRONT), ledger.saw(capture_id, BACK))
        assert max(map(len, results)) == 2


async def test_a_seen_capture_is_receiving(ledger: Ledger) -> None:
    await ledger.saw(C1, FRONT)
    state = await ledger.state(C1)
    assert state is not None
    assert (state.capture_id, state.state, state.reason) == (C1, State.RECEIVING, "")
    assert state.since > 1.7e9


async def test_a_move_with_a_condition_leaves_other_states_alone(ledger: Ledger) -> None:
    capture_id = CaptureId("survey", "conditional", "000001")
    await ledger.move(capture_id, State.READY)
    await ledger.move(capture_id, State.QUARANTINED, "late", after=frozenset({State.RECEIVING}))
    found = await ledger.state(capture_id)
    assert found is not None
    assert found.state is State.READY
    await ledger.move(capture_id, State.QUARANTINED, "bad", after=frozenset({State.RECEIVING, State.READY}))
    found = await ledger.state(capture_id)
    assert found is not None
    assert (found.state, found.reason) == (State.QUARANTINED, "bad")


async def test_a_move_carries_a_grade_and_one_without_has_none(ledger: Ledger) -> None:
    capture_id = CaptureId("survey", "graded", "000001")
    grades = [Grade(0.8125, "Lens left shows nothing."), UNGRADED, Grade(0.0)]
    for state, grade in zip((State.READY, State.STITCHED, State.PUBLISHED), grades, strict=True):
        await ledger.move(capture_id, state, grade=grade)
        (found,) = [one async for one in ledger.captures(capture_id.drive_id)]
        assert (found.state, found.grade) == (state, grade)
        assert await ledger.state(capture_id) == found


async def test_moves_follow_the_rule(ledger: Ledger) -> None:
    for before, after in itertools.product(State, State):
        capture_id = CaptureId("dk", "d1", f"{before}-{after}")
        await ledger.move(capture_id, before, "was", "before")
        await ledger.move(capture_id, after, "is", "after")
        state = await ledger.state(capture_id)
        moved = before in MAY_FOLLOW[after]
        assert state is not None
        assert (state.state, state.reason, state.detail) == ((after, "is", "after") if moved else (before, "was", "before"))


def test_published_is_until_it_is_erased_and_unhappy_ends_move_on() -> None:
    assert [state for state in State if State.PUBLISHED in MAY_FOLLOW[state]] == [State.ERASED]
    assert not [state for state in State if State.ERASED in MAY_FOLLOW[state]]
    assert all(State.QUARANTINED in MAY_FOLLOW[state] for state in set(State) - {State.RECEIVING})
    assert {state for state in State if State.HELD in MAY_FOLLOW[state]} == ENDS


async def test_a_capture_is_erased_by_itself_or_with_its_drive_also_one_that_nobody_has_seen_yet(ledger: Ledger) -> None:
    await ledger.move(C1, State.PUBLISHED)
    await ledger.move(C2, State.PUBLISHED)
    await ledger.move(C1, State.ERASED)
    assert (await ledger.erased(C1), await ledger.erased(C2), await ledger.drive_erased(C1.drive_id)) == (True, False, False)
    for _ in range(2):
        await ledger.end_drive(C2.drive_id)
    assert await ledger.erased(C2)
    assert await ledger.drive_erased(C2.drive_id)
    assert await ledger.erased(CaptureId.parse(f"{C2.drive_id}/later"))
    assert not await ledger.erased(CaptureId("dk", "other", "c1"))


async def test_a_late_object_does_not_take_a_capture_back(ledger: Ledger) -> None:
    await ledger.move(C1, State.READY)
    await ledger.saw(C1, FRONT)
    state = await ledger.state(C1)
    assert state is not None
    assert state.state == State.READY


async def test_drives_and_captures_are_listed_in_order(ledger: Ledger) -> None:
    for name in ("c2", "c10", "c1"):
        await ledger.saw(CaptureId("dk", "d2", name), FRONT)
    await ledger.move(C1, State.QUARANTINED, "bad_manifest", "no frames")
    assert [drive async for drive in ledger.drives()] == ["dk/d1", "dk/d2"]
    assert [state.capture_id.capture async for state in ledger.captures("dk/d2")] == ["c1", "c10", "c2"]
    assert [(state.state, state.reason, state.detail) async for state in ledger.captures("dk/d1")] == [
        (State.QUARANTINED, "bad_manifest", "no frames")
    ]


async def test_the_first_to_finish_wins(ledger: Ledger) -> None:
    assert await ledger.finish(C1, "stitcher", "r1", b"\x00first") == b"\x00first"
    assert await ledger.finish(C1, "stitcher", "r1", b"second") == b"\x00first"
    assert await ledger.finished(C1, "stitcher", "r1") == b"\x00first"


async def test_stages_recipes_and_captures_finish_apart(ledger: Ledger) -> None:
    await ledger.finish(C1, "stitcher", "r1", b"x")
    assert await ledger.finished(C1, "stitcher", "r2") is None
    assert await ledger.finished(C1, "anonymizer", "r1") is None
    assert await ledger.finished(C2, "stitcher", "r1") is None


async def test_racers_of_finish_agree(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(ledger.finish(C1, "stitcher", "r", bytes([n])) for n in range(8)))
    assert len(set(answers)) == 1
    assert await ledger.finished(C1, "stitcher", "r") == answers[0]


async def test_an_audit_chain_grows_and_verifies(ledger: Ledger) -> None:
    first = await ledger.audit("dk/d1", {"what": "published", "score": 0.1, "boxes": (1, 2)})
    second = await ledger.audit("dk/d1", {"what": "held", "who": "Åse"})
    chain = [entry async for entry in ledger.audit_chain("dk/d1")]
    assert chain == [first, second]
    assert [entry.sequence for entry in chain] == [1, 2]
    assert chain[0].body == {"what": "published", "score": 0.1, "boxes": [1, 2]}
    assert verify_chain(chain, [second]) == []
    assert [entry async for entry in ledger.audit_chain("dk/d2")] == []


async def test_ten_racers_of_audit_make_one_chain(ledger: Ledger) -> None:
    entries = await asyncio.gather(*(ledger.audit("dk/d1", {"n": number % 3}) for number in range(10)))
    chain = [entry async for entry in ledger.audit_chain("dk/d1")]
    assert verify_chain(chain) == []
    assert [entry.sequence for entry in chain] == list(range(1, 11))
    assert sorted(entries, key=lambda entry: entry.sequence) == chain


async def test_what_is_audited_once_is_appended_once(ledger: Ledger) -> None:
    first = await ledger.audit("dk/d1", {"at": 1}, once="c1/r1/publication")
    other = await ledger.audit("dk/d1", {"at": 2}, once="c1/r2/publication")
    again = await ledger.audit("dk/d1", {"at": 3}, once="c1/r1/publication")
    elsewhere = await ledger.audit("dk/d2", {"at": 4}, once="c1/r1/publication")
    assert (again, elsewhere.sequence) == (first, 1)
    assert [entry async for entry in ledger.audit_chain("dk/d1")] == [first, other]


async def test_racers_who_audit_the_same_agree(ledger: Ledger) -> None:
    entries = await asyncio.gather(*(ledger.audit("dk/d1", {"n": number}, once="same") for number in range(8)))
    assert len({entry.hash for entry in entries}) == 1
    assert [entry async for entry in ledger.audit_chain("dk/d1")] == entries[:1]


async def test_the_head_is_the_end_of_the_chain(ledger: Ledger) -> None:
    assert await ledger.audit_head("dk/d1") is None
    for number in range(3):
        entry = await ledger.audit("dk/d1", {"n": number})
        assert await ledger.audit_head("dk/d1") == entry.head


TAMPERINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another body": lambda item: item | {"body": {"S": '{"drive_id":"dk/d1","n":9}'}},
    "the same body written otherwise": lambda item: item | {"body": {"S": item["body"]["S"].replace(",", ", ")}},
    "a body that is no JSON": lambda item: item | {"body": {"S": "{"}},
    "no body": lambda item: {name: value for name, value in item.items() if name != "body"},
    "another hash": lambda item: item | {"hash": {"S": "0" * 64}},
    "another predecessor": lambda item: item | {"previous": {"S": "0" * 64}},
    "no hash": lambda item: {name: value for name, value in item.items() if name != "hash"},
}


@pytest.mark.servers
@pytest.mark.parametrize("tampered", TAMPERINGS.values(), ids=list(TAMPERINGS))
async def test_an_entry_changed_in_the_table_is_told(emulator: str, tampered: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    async with audited(emulator) as store:
        item = await store._get({"pk": {"S": "dk/d1"}, "sk": {"S": "audit/000000000002"}})
        assert item is not None
        await store._put(tampered(item))
        assert (await faults(store))[0] == "entry 2 was altered"


@pytest.mark.servers
@pytest.mark.parametrize(
    ("gone", "finding"),
    [(1, "missing: 1 to 1"), (2, "missing: 2 to 2"), (3, "cut short: entry 3 is known to exist")],
)
async def test_an_entry_removed_from_the_table_is_told(emulator: str, gone: int, finding: str) -> None:
    async with audited(emulator) as store:
        await store._client.delete_item(TableName=store._table, Key={"pk": {"S": "dk/d1"}, "sk": {"S": f"audit/{gone:012}"}})
        assert await faults(store) == [finding]


@pytest.mark.servers
@pytest.mark.parametrize("place", ["audit/000000000004", "audit/1", "audit/-00000000001", "audit/another"])
async def test_an_entry_slipped_into_the_table_is_told(emulator: str, place: str) -> None:
    async with audited(emulator) as store:
        item = await store._get({"pk": {"S": "dk/d1"}, "sk": {"S": "audit/000000000003"}})
        assert item is not None
        await store._put(item | {"sk": {"S": place}})
        assert await faults(store)


@asynccontextmanager
async def audited(endpoint: str) -> AsyncIterator[DynamoLedger]:
    """A table with a chain of three."""
    table = f"t{uuid.uuid4().hex[:12]}"
    provision_table(table, REGION, endpoint)
    async with DynamoLedger(table, REGION, endpoint) as store:
        for number in range(3):
            await store.audit("dk/d1", {"drive_id": "dk/d1", "n": number})
        assert await faults(store) == []
        yield store


async def faults(store: Ledger) -> list[str]:
    head = await store.audit_head("dk/d1")
    assert head is not None
    return verify_chain([entry async for entry in store.audit_chain("dk/d1")], [head], "dk/d1")


async def test_memory_that_is_down_answers_unavailable() -> None:
    store = MemoryLedger()
    store.down = True
    await _all_unavailable(store)


async def test_dynamodb_that_is_down_answers_unavailable(nowhere: str) -> None:
    async with DynamoLedger("t", REGION, nowhere, HASTE) as store:
        await _all_unavailable(store)


async def _all_unavailable(store: Ledger) -> None:
    for attempt in (
        store.saw(C1, FRONT),
        store.move(C1, State.READY),
        store.state(C1),
        store.finished(C1, "stitcher", "r"),
        store.finish(C1, "stitcher", "r", b""),
        store.audit("dk/d1", {}),
        store.audit_head("dk/d1"),
        anext(aiter(store.drives())),
        anext(aiter(store.captures("dk/d1"))),
        anext(aiter(store.audit_chain("dk/d1"))),
        store.seen(C1),
        anext(aiter(store.receiving(FAR_FUTURE))),
        anext(aiter(store.unfinished(State.READY))),
        store.receive_again(C1),
        store.keep(entry_of(1)),
        store.kept("dk/d1", "c1/1"),
        anext(aiter(store.quarantined())),
        anext(aiter(store.quarantined_of("dk/d1"))),
        anext(aiter(store.messages("dk/d1", "stitcher"))),
        store.current(C1),
        store.point(C1, "r1", expected=None),
        anext(aiter(store.pointers("dk/d1"))),
    ):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert caught.value.dependency == "dynamodb"


@pytest.mark.servers
async def test_an_absent_table_is_a_setting_to_mend(emulator: str) -> None:
    async with DynamoLedger("absent", REGION, emulator) as store:
        with pytest.raises(Misconfigured, match="provision it"):
            await store.state(C1)


@pytest.mark.servers
async def test_provisioning_again_keeps_what_is_there(emulator: str) -> None:
    provision_table("twice", REGION, emulator)
    async with DynamoLedger("twice", REGION, emulator) as store:
        await store.saw(C1, FRONT)
        provision_table("twice", REGION, emulator)
        assert await store.state(C1) is not None


async def test_what_was_seen_is_read_without_noting_anything(ledger: Ledger) -> None:
    assert await ledger.seen(C1) == {}
    await ledger.saw(C1, FRONT)
    await ledger.saw(C1, BACK)
    assert await ledger.seen(C1) == {"back.jpg": BACK, "front.jpg": FRONT}
    assert await ledger.seen(C2) == {}


async def receiving(ledger: Ledger, before: float = FAR_FUTURE) -> set[CaptureId]:
    return {state.capture_id async for state in ledger.receiving(before)}


async def test_only_captures_that_are_receiving_are_swept(ledger: Ledger) -> None:
    captures = [CaptureId("dk", f"d{number % 3}", f"c{number}") for number in range(30)]
    for capture_id in captures:
        await ledger.saw(capture_id, FRONT)
    ends = itertools.cycle(set(State) - {State.RECEIVING})
    for capture_id, state in zip(captures[::2], ends, strict=False):
        await ledger.move(capture_id, state)
    assert await receiving(ledger) == set(captures[1::2])


async def test_only_captures_that_began_before_are_swept(ledger: Ledger) -> None:
    await ledger.saw(C1, FRONT)
    first = await ledger.state(C1)
    assert first is not None
    assert await receiving(ledger, first.since) == set()
    assert await receiving(ledger, first.since + 0.001) == {C1}
    (found,) = [state async for state in ledger.receiving(FAR_FUTURE)]
    assert found == first


async def test_unfinished_captures_are_found_by_their_state_and_ended_ones_are_not(ledger: Ledger) -> None:
    captures = {state: CaptureId("dk", f"d{number}", "c1") for number, state in enumerate(State)}
    for state, capture_id in captures.items():
        await ledger.move(capture_id, state)
    found = {state: [one async for one in ledger.unfinished(state)] for state in UNFINISHED}
    assert {state: [one.capture_id for one in ones] for state, ones in found.items()} == {
        state: [captures[state]] for state in UNFINISHED
    }
    (ready,) = found[State.READY]
    assert ready == await ledger.state(captures[State.READY])
    for capture_id in captures.values():
        await ledger.move(capture_id, State.PUBLISHED)
    assert [one for state in UNFINISHED async for one in ledger.unfinished(state)] == []


async def test_only_a_quarantined_capture_receives_again_as_if_it_began_now(ledger: Ledger) -> None:
    await ledger.receive_again(C1)
    assert await ledger.state(C1) is None
    for state in set(State) - {State.QUARANTINED}:
        capture_id = CaptureId("dk", "d3", state.value)
        await ledger.move(capture_id, state)
        before = await ledger.state(capture_id)
        await ledger.receive_again(capture_id)
        assert await ledger.state(capture_id) == before
    await ledger.move(C2, State.QUARANTINED, "frame_missing", "back.jpg")
    given_up = await ledger.state(C2)
    await ledger.receive_again(C2)
    again = await ledger.state(C2)
    assert given_up is not None
    assert again is not None
    assert (again.state, again.reason, again.detail) == (State.RECEIVING, "", "")
    assert again.since > given_up.since
    assert C2 in await receiving(ledger)


def entry_of(number: int, capture_id: CaptureId | str = C1, **changes: Any) -> QuarantineEntry:
    at = 1.7e9 + number
    made = QuarantineEntry(f"{number:012d}", "ingest", str(capture_id), "unknown_rig", "ring-v2", since=at, first=at)
    return replace(made, **changes)


async def test_a_quarantine_entry_is_kept_as_it_was_written(ledger: Ledger) -> None:
    first = entry_of(1, record="entries/x.json", attempts=4, because="å")
    assert await ledger.kept(first.drive_id, first.name) is None
    assert await ledger.keep(first)
    assert await ledger.kept(first.drive_id, first.name) == first


async def test_of_two_who_change_an_entry_one_is_told_to_look_again(ledger: Ledger) -> None:
    first = entry_of(1)
    assert await ledger.keep(first)
    assert not await ledger.keep(first)
    changes = [replace(first, version=2, redrives=number) for number in range(6)]
    assert sum(await asyncio.gather(*map(ledger.keep, changes))) == 1
    assert not await ledger.keep(replace(first, version=4))
    assert not await ledger.keep(entry_of(2, version=2))


async def test_what_lies_in_quarantine_is_listed_by_time(ledger: Ledger) -> None:
    entries = [entry_of(1, C2), entry_of(2), entry_of(3, "junk"), entry_of(4, CaptureId("dk", "d2", "c1"))]
    for entry in reversed(entries):
        await ledger.keep(entry)
    assert [entry async for entry in ledger.quarantined()] == entries
    assert [entry async for entry in ledger.quarantined(entries[1].since, entries[2].since)] == entries[1:3]
    assert [entry async for entry in ledger.quarantined_of("dk/d1")] == [entries[1], entries[0]]
    assert [entry async for entry in ledger.quarantined_of(NO_DRIVE)] == [entries[2]]


@pytest.mark.parametrize("fate", list(Fate))
async def test_what_is_done_with_leaves_the_list_and_stays_with_its_drive(ledger: Ledger, fate: Fate) -> None:
    first = entry_of(1)
    await ledger.keep(first)
    decided = replace(first, fate=fate, version=2)
    await ledger.keep(decided)
    assert [entry async for entry in ledger.quarantined()] == ([decided] if fate in LISTED else [])
    assert [entry async for entry in ledger.quarantined_of("dk/d1")] == [decided]


async def test_more_entries_than_a_page_are_all_listed(ledger: Ledger) -> None:
    entries = [entry_of(number, detail="x" * 30_000) for number in range(60)]
    for entry in entries:
        await ledger.keep(entry)
    assert [entry.entry_id async for entry in ledger.quarantined()] == [entry.entry_id for entry in entries]


@pytest.mark.servers
async def test_a_table_of_before_there_was_an_index_gets_it_and_what_was_unfinished_is_in_it(emulator: str) -> None:
    table = f"t{uuid.uuid4().hex[:12]}"
    client = plain_client("dynamodb", REGION, emulator)
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    for capture, state in (("c1", State.RECEIVING), ("c2", State.READY)):
        texts = {"pk": "dk/d1", "sk": f"state/{capture}", "state": state.value, "reason": "", "detail": ""}
        client.put_item(TableName=table, Item={**{name: {"S": text} for name, text in texts.items()}, "since": {"N": "1.5e9"}})
    for _ in range(2):
        provision_table(table, REGION, emulator)
    async with DynamoLedger(table, REGION, emulator) as store:
        assert await receiving(store) == {C1}
        assert [one.capture_id async for one in store.unfinished(State.READY)] == [C2]


async def messages(ledger: Ledger, stage: str, capture: str | None = None) -> list[tuple[str, str, bytes]]:
    found = [one async for one in ledger.messages("dk/d1", stage, capture)]
    assert {one.stage for one in found} <= {stage}
    assert {one.capture_id.drive_id for one in found} <= {"dk/d1"}
    return [(one.capture_id.capture, one.recipe_id, one.message) for one in found]


async def test_a_drives_messages_are_those_of_a_stage_by_capture_and_recipe(ledger: Ledger) -> None:
    c10, elsewhere = CaptureId("dk", "d1", "c10"), CaptureId("dk", "d10", "c1")
    for capture_id, stage, recipe in (
        (C2, "ingest", "1"), (C1, "stitcher", "r2"), (C1, "stitcher", "r1"), (c10, "stitcher", "r1"),
        (C1, "stitcher.light", "r1"), (elsewhere, "stitcher", "r1"),
    ):  # fmt: skip
        await ledger.finish(capture_id, stage, recipe, f"{capture_id} {stage} {recipe}".encode())
    assert await messages(ledger, "ingest") == [("c2", "1", b"dk/d1/c2 ingest 1")]
    assert [one[:2] for one in await messages(ledger, "stitcher")] == [("c1", "r1"), ("c1", "r2"), ("c10", "r1")]
    assert [one[:2] for one in await messages(ledger, "stitcher", "c1")] == [("c1", "r1"), ("c1", "r2")]
    assert await messages(ledger, "anonymizer") == []


async def pointed(ledger: Ledger, recipe_id: str, *, back: bool = False) -> Pointer:
    """The pointer of C1 after it was moved there from where it is."""
    assert await ledger.point(C1, recipe_id, expected=await ledger.current(C1), back=back)
    found = await ledger.current(C1)
    assert found is not None
    return found


async def test_nothing_is_current_until_something_is_pointed_to(ledger: Ledger) -> None:
    assert await ledger.current(C1) is None
    assert not await ledger.point(C1, "r1", expected=Pointer(C1, "r0", None, 0.0, 1))
    assert await ledger.current(C1) is None
    first = await pointed(ledger, "r1")
    assert (first.capture_id, first.recipe_id, first.previous, first.version) == (C1, "r1", None, 1)
    assert first.at > 1.7e9
    assert not await ledger.point(C1, "r2", expected=None)
    assert await ledger.current(C1) == first


async def test_a_pointer_that_is_moved_knows_what_was_current_before(ledger: Ledger) -> None:
    first = await pointed(ledger, "r1")
    moved = await pointed(ledger, "r2")
    assert (moved.recipe_id, moved.previous, moved.version) == ("r2", "r1", 2)
    assert not await ledger.point(C1, "r3", expected=first)
    assert await ledger.current(C1) == moved


async def test_a_pointer_moved_to_and_fro_is_not_where_it_was(ledger: Ledger) -> None:
    first = await pointed(ledger, "r1")
    await pointed(ledger, "r2")
    again = await pointed(ledger, "r1")
    assert not await ledger.point(C1, "r3", expected=first)
    assert await ledger.point(C1, "r3", expected=again)


async def test_a_pointer_moved_back_has_nothing_to_go_back_to(ledger: Ledger) -> None:
    await pointed(ledger, "r1")
    await pointed(ledger, "r2")
    back = await pointed(ledger, "r1", back=True)
    assert (back.recipe_id, back.previous, back.version) == ("r1", None, 3)


async def test_of_those_who_move_a_pointer_at_once_one_does(ledger: Ledger) -> None:
    assert sum(await asyncio.gather(*(ledger.point(C1, f"r{n}", expected=None) for n in range(6)))) == 1
    there = await ledger.current(C1)
    assert there is not None
    assert sum(await asyncio.gather(*(ledger.point(C1, f"s{n}", expected=there) for n in range(6)))) == 1


async def test_the_pointers_of_a_drive_are_listed_by_capture(ledger: Ledger) -> None:
    for capture_id in (C2, CaptureId("dk", "d1", "c10"), C1, CaptureId("dk", "d2", "c1")):
        await ledger.point(capture_id, "r1", expected=None)
    found = [pointer async for pointer in ledger.pointers("dk/d1")]
    assert [pointer.capture_id.capture for pointer in found] == ["c1", "c10", "c2"]
    assert found[0] == await ledger.current(C1)
