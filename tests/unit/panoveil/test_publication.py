"""The pointer to the current publication: whoever moves it, in whatever order, `current.json` says in the end what the ledger says."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panoveil import publication
from panoveil.blobs import Blobs, MemoryBlobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId, current_key, publication_key, published_key
from panoveil.contracts.messages import CurrentPublication, PanoramaPublished, Pose, encode
from panoveil.ledger import Ledger, MemoryLedger, Pointer, verify_chain
from panoveil.publication import Decision

CAPTURE = CaptureId("dk", "d1", "c1")
WHEN = datetime(2026, 11, 1, 8, tzinfo=UTC)
WHY = Decision("operator-4", "a better model", WHEN)
BACK = Decision("operator-4", "a worse model", WHEN, "rollback")
RECIPES = ("r1", "r2", "r3")


async def publish(blobs: MemoryBlobs, recipe_id: str) -> None:
    ref = published_key(str(CAPTURE), recipe_id)
    made = PanoramaPublished(
        capture_id=str(CAPTURE), recipe_id=recipe_id, stitch_recipe_id="s", captured_at=WHEN, pose=Pose(latitude=55, longitude=10),
        key=ref.key, sha256=recipe_id[-1] * 64, width=512, height=256, boxes=(), verification_rounds=1,
        size=9, derivatives=(),
    )  # fmt: skip
    await blobs.put(publication_key(str(CAPTURE), recipe_id), encode(made))


class World:
    """A capture published under three recipes."""

    def __init__(self) -> None:
        self.blobs, self.ledger = MemoryBlobs(), MemoryLedger()

    async def published(self) -> "World":
        for recipe_id in RECIPES:
            await publish(self.blobs, recipe_id)
        return self

    async def told(self) -> CurrentPublication:
        return CurrentPublication.model_validate_json(await self.blobs.get(current_key(str(CAPTURE))))

    async def flip(self, recipe_id: str) -> bool:
        return await publication.flip(CAPTURE, recipe_id, WHY, self.ledger, self.blobs)

    async def pointer(self) -> Pointer:
        found = await self.ledger.current(CAPTURE)
        assert found is not None
        return found

    async def entries(self) -> list[dict[str, Any]]:
        return [dict(entry.body) async for entry in self.ledger.audit_chain("dk/d1")]


@pytest.fixture(name="world")
async def a_world() -> World:
    return await World().published()


async def test_a_flip_is_audited_and_told(world: World) -> None:
    await publication.first(CAPTURE, "r1", world.ledger, world.blobs)
    assert await world.flip("r2")
    assert not await world.flip("r2")
    (entry,) = await world.entries()
    facts = {"kind": "flip", "action": "flip", "by": "operator-4", "because": "a better model", "instead_of": "r1", "place": 2}
    assert facts.items() <= entry.items()
    told = await world.told()
    assert (told.recipe_id, told.sha256) == ("r2", "2" * 64)


async def test_what_was_never_published_cannot_be_flipped_to(world: World) -> None:
    await world.flip("r1")
    with pytest.raises(Rejected, match="is not there"):
        await world.flip("r9")
    assert (await world.pointer()).recipe_id == "r1"
    assert len(await world.entries()) == 1


async def test_rolling_back_goes_to_what_was_before_and_again_goes_nowhere(world: World) -> None:
    await world.flip("r1")
    await world.flip("r2")
    assert await publication.roll_back(await world.pointer(), BACK, world.ledger, world.blobs)
    assert not await publication.roll_back(await world.pointer(), BACK, world.ledger, world.blobs)
    assert (await world.told()).recipe_id == "r1"
    assert [entry["action"] for entry in await world.entries()] == ["flip", "flip", "rollback"]


async def test_rolling_back_leaves_what_somebody_decided_since(world: World) -> None:
    await world.flip("r1")
    await world.flip("r2")
    seen = await world.pointer()
    await world.flip("r3")
    assert not await publication.roll_back(seen, BACK, world.ledger, world.blobs)
    assert (await world.told()).recipe_id == "r3"


async def test_telling_again_mends_what_whoever_died_left_behind(world: World) -> None:
    await world.flip("r1")
    await world.ledger.point(CAPTURE, "r2", expected=await world.pointer())
    assert (await world.told()).recipe_id == "r1"
    assert not await world.flip("r2")
    assert (await world.told()).recipe_id == "r2"


class Gate:
    """Passes every call on to a store once it is let through."""

    def __init__(self, store: object, waiting: "list[asyncio.Future[None]]") -> None:
        self._store, self._waiting = store, waiting

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        async def gated(*arguments: Any, **more: Any) -> Any:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
            return await call(*arguments, **more)

        return gated


async def interleaved(deeds: list[Coroutine[Any, Any, Any]], waiting: "list[asyncio.Future[None]]", chance: Random) -> None:
    """Run the deeds side by side; chance says which of the calls that wait goes next: often that of whoever went last."""
    tasks = [asyncio.ensure_future(deed) for deed in deeds]
    while not all(task.done() for task in tasks):
        for _ in range(20):
            await asyncio.sleep(0)
        if waiting:
            waiting.pop(-1 if chance.random() < 0.6 else chance.randrange(len(waiting))).set_result(None)
    await asyncio.gather(*tasks)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(["r1", "r2", "r3", "back", "first"]), min_size=2, max_size=5), st.integers(0, 2**32))
def test_whoever_moves_it_in_whatever_order_what_is_told_is_what_the_ledger_says(deeds: list[str], seed: int) -> None:
    async def race() -> None:
        world = await World().published()
        await world.flip("r1")
        waiting: list[asyncio.Future[None]] = []
        ledger, blobs = cast("Ledger", Gate(world.ledger, waiting)), cast("Blobs", Gate(world.blobs, waiting))

        def work(deed: str) -> Coroutine[Any, Any, Any]:
            if deed == "back":
                return back()
            if deed == "first":
                return publication.first(CAPTURE, "r3", ledger, blobs)
            return publication.flip(CAPTURE, deed, WHY, ledger, blobs)

        async def back() -> None:
            await publication.roll_back(await world.pointer(), BACK, ledger, blobs)

        await interleaved([work(deed) for deed in deeds], waiting, Random(seed))
        pointer, told = await world.pointer(), await world.told()
        assert (told.recipe_id, told.sha256) == (pointer.recipe_id, pointer.recipe_id[-1] * 64)
        chain = [entry async for entry in world.ledger.audit_chain("dk/d1")]
        assert verify_chain(chain) == []
        decided = {(entry.body["place"], entry.body["recipe_id"]) for entry in chain}
        assert (pointer.version, pointer.recipe_id) in decided

    asyncio.run(race())
