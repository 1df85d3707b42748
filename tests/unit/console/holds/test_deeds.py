"""What a person decides about a hold, and what comes of it."""

from typing import Any

import pytest

from console.audit import verify
from console.holds.cases import Case, captures
from console.holds.deeds import Drawn, Operator, Wish, awaited, keep, known_recipes, planned, release
from panoveil.contracts.audit import HoldDecision
from panoveil.contracts.errors import Misconfigured, PanoveilError, Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream
from panoveil.contracts.messages import PanoramaHeld, PanoramaPublished, encode
from panoveil.contracts.review import Review
from panoveil.ledger import Ledger, State, note
from panoveil.runtime import Connections
from services.anonymizer.handler import REVIEW
from tests.unit.console.holds.worlds import BY, DRIVE, NOW, OTHER, World, never
from tests.unit.console.replay.worlds import Killed, Life, Mortal
from tests.unit.services.anonymizer.test_handler import CAPTURE, DRIFTED

ALL = Wish(all_left=True)
FACE_BOX = Drawn("face", 500, 110, 20, 145)
PLATE_BOX = Drawn("plate", 190, 120, 235, 145)


@pytest.fixture(name="world")
async def a_held_capture() -> World:
    return await World().hold()


async def numbers(world: World) -> dict[str, int]:
    case = await world.case()
    return {one.box.kind: one.number for one in case.finds(case.hold)}


async def test_what_is_accepted_is_published_and_the_chain_says_who_decided_before_anything_was_sent(world: World) -> None:
    assert isinstance(await world.release(ALL), PanoramaPublished)
    assert await world.kinds() == ["hold", "review", "publication"]
    case = await world.case()
    (decision,) = case.decisions
    assert (decision.action, decision.by, decision.because, decision.at) == ("release", BY.by, BY.because, NOW)
    assert (decision.held, decision.inputs) == (case.hold.recipe_id, case.hold.inputs)
    assert (await verify(world.ledger, world.blobs, DRIVE, None)).findings == ()


async def test_what_is_left_after_a_release_has_other_numbers_and_is_decided_by_them(world: World) -> None:
    first = await numbers(world)
    held = await world.release(Wish(accept=(first["face"],)))
    assert isinstance(held, PanoramaHeld)
    second = await numbers(world)
    assert (sorted(first.values()), second) == ([1, 2], {"plate": 3})
    assert isinstance(await world.release(Wish(accept=(3,))), PanoramaPublished)


async def test_a_decision_that_is_given_again_is_only_told_of(world: World) -> None:
    published = await world.release(ALL)
    assert await world.release(ALL, Operator("another", "again", BY.now)) == published
    assert await world.kinds() == ["hold", "review", "publication"]
    assert len(world.streams.records(Stream.PANORAMAS)) == 1


@pytest.mark.parametrize("all_left", [True, False])
async def test_a_decision_that_is_given_again_after_it_was_held_again_accepts_nothing_new(
    world: World, *, all_left: bool
) -> None:
    """The second hold leaves a plate that nobody has looked at: `--accept all` or `--accept 1` of before must not mean it."""
    wish = ALL if all_left else Wish(accept=(1, 2))
    held = await _held_again(world, wish)
    assert await world.release(wish) == held
    assert await world.release(wish) == held
    assert await world.published() == []


async def _held_again(world: World, wish: Wish) -> PanoramaHeld:
    """Release while the panorama holds something that was not there when it was decided."""
    meant = await world.plan(wish)
    world.live.awake = False
    await release(meant, BY, world.connections)
    world.live.awake = True
    recipe_id, left = meant.recipe.recipe_id, (meant.hold.left[0].model_copy(update={"north": 40.0, "south": 30.0}),)
    held = PanoramaHeld(capture_id=str(CAPTURE), recipe_id=recipe_id, reason=meant.hold.reason, detail="", left=left)
    again = meant.hold.model_copy(update={"recipe_id": recipe_id, "recipe": meant.recipe, "left": left})
    await note(world.ledger, again)
    await world.ledger.finish(CAPTURE, "anonymizer", recipe_id, encode(held))
    return held


async def test_a_hold_of_before_is_not_released_any_more(world: World) -> None:
    await _held_again(world, Wish(accept=(1, 2)))
    with pytest.raises(Misconfigured, match="held again since: what is left now is 3"):
        await world.plan(Wish(accept=(1,)))


async def test_what_was_drawn_by_hand_is_hidden_in_what_is_published(world: World) -> None:
    published = await world.release(Wish(hide=(FACE_BOX, PLATE_BOX)))
    assert isinstance(published, PanoramaPublished)
    assert sorted((box.kind, box.score) for box in published.boxes) == [("face", 1.0), ("plate", 1.0)]
    face = next(box for box in published.boxes if box.kind == "face")
    assert face.west > 160 > -150 > face.east


async def test_a_later_decision_holds_beside_the_earlier_one(world: World) -> None:
    await world.release(Wish(hide=(FACE_BOX,)))
    meant = await world.plan(Wish(accept=((await numbers(world))["plate"],)))
    assert [(len(meant.review.hide), len(meant.review.accept))] == [(1, 1)]


async def test_a_waived_gate_lets_it_be_looked_at() -> None:
    world = await World().hold(hold=DRIFTED)
    held = await world.release(Wish(waive=True))
    assert isinstance(held, PanoramaHeld)
    assert isinstance(await world.release(ALL), PanoramaPublished)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(), "Nothing was decided"),
        (Wish(accept=(7,)), "has the number 7; there are 1, 2"),
        (Wish(waive=True), "not held by the quality gate"),
        (Wish(hide=(Drawn("face", 10, 10, 513, 20),)), "does not lie in the panorama, which is 512 x 256"),
        (Wish(hide=(Drawn("face", 10, 10, 20, 257),)), "does not lie in the panorama"),
        (Wish(hide=(Drawn("face", 10, 10, 10, 20),)), "is empty"),
        (Wish(hide=(Drawn("face", 10, 20, 30, 20),)), "is empty"),
    ],
)
async def test_what_cannot_be_decided_is_refused_in_a_sentence_and_nothing_is_noted(world: World, wish: Wish, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        await world.plan(wish)
    assert await world.kinds() == ["hold"]


async def test_a_capture_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(Misconfigured, match="No capture fyn-2026"):
        await planned(OTHER, ALL, world.connections)


async def test_a_capture_that_was_never_held_is_refused(world: World) -> None:
    await world.ledger.move(OTHER, State.STITCHED)
    with pytest.raises(Misconfigured, match="is not held: it is stitched"):
        await planned(OTHER, ALL, world.connections)


async def test_a_gate_must_be_waived_before_anything_else_is_decided() -> None:
    world = await World().hold(hold=DRIFTED)
    with pytest.raises(Misconfigured, match="--waive-quality"):
        await world.plan(Wish(hide=(FACE_BOX,)))


async def erased(world: World) -> None:
    await world.ledger.move(CAPTURE, State.ERASED)


async def published_otherwise(world: World) -> None:
    await world.ledger.move(CAPTURE, State.PUBLISHED)


async def expired(world: World) -> None:
    await world.blobs.delete(BlobRef(Bucket.STITCHED, (await world.case()).hold.inputs[0].key))


@pytest.mark.parametrize(
    ("meanwhile", "error", "said"),
    [
        (erased, Rejected, "was erased"),
        (published_otherwise, Misconfigured, "not held any more: it is published"),
        (expired, Rejected, "not there any more"),
    ],
)
async def test_what_came_about_meanwhile_is_not_overruled(
    world: World, meanwhile: Any, error: type[PanoveilError], said: str
) -> None:
    await meanwhile(world)
    with pytest.raises(error, match=said):
        await world.plan(ALL)


async def test_a_hold_by_another_version_is_looked_at_by_this_one_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.holds.deeds.CODE_VERSION", "another")
    with pytest.raises(Misconfigured, match="panoveil replay --stage anonymizer --capture"):
        await world.plan(ALL)


async def test_a_service_with_other_settings_decides_anew_and_that_is_told(world: World) -> None:
    meant = await world.plan(ALL)
    world.changes["margin"] = 0.5
    known = await known_recipes(CAPTURE, world.ledger)
    await release(meant, BY, world.connections)
    told = await awaited(meant, known, world.ledger, never)
    assert isinstance(told, PanoramaHeld)
    assert told.recipe_id not in {*known, meant.recipe.recipe_id}


async def test_nothing_came_of_it_yet(world: World) -> None:
    world.live.awake = False
    assert await world.release(ALL) is None
    world.live.awake = True
    assert isinstance(await world.release(ALL), PanoramaPublished)
    assert await world.kinds() == ["hold", "review", "publication"]


async def test_whoever_was_killed_in_between_releases_it_with_the_same_command(world: World) -> None:
    ticks = 0
    while True:
        life, another = Life(ticks), await World().hold()
        meant = await another.plan(ALL)
        connections = Connections(another.blobs, _mortal(another.ledger, life), another.streams)
        try:
            await release(meant, BY, connections)
        except Killed:
            assert isinstance(await another.release(ALL), PanoramaPublished)
            assert await another.kinds() == ["hold", "review", "publication"]
            ticks += 1
        else:
            break
    assert ticks == 4


def _mortal(ledger: Ledger, life: Life) -> Any:
    return Mortal(ledger, life)


async def test_what_is_kept_stays_held_is_noted_once_and_may_be_released_later(world: World) -> None:
    for _ in range(2):
        await keep(CAPTURE, Operator("reviewer-3", "a crowd", BY.now), world.connections)
    assert await world.kinds() == ["hold", "review"]
    decision = (await world.case()).decision
    assert decision is not None
    assert (decision.action, decision.because) == ("keep", "a crowd")
    assert isinstance(await world.release(ALL), PanoramaPublished)


async def test_what_is_published_cannot_be_kept_held(world: World) -> None:
    await world.release(ALL)
    with pytest.raises(Misconfigured, match="not held any more"):
        await keep(CAPTURE, BY, world.connections)


async def listed(world: World, *, every: bool = False) -> dict[str, Case | None]:
    return {str(state.capture_id): case async for state, case in captures(None, world.ledger, every=every)}


async def test_what_is_held_is_listed_and_what_once_was_only_where_it_is_asked_for(world: World) -> None:
    await world.hold(OTHER)
    await world.release(ALL)
    assert set(await listed(world)) == {str(OTHER)}
    assert set(await listed(world, every=True)) == {str(CAPTURE), str(OTHER)}


async def test_a_hold_of_which_no_chain_tells_is_listed_too(world: World) -> None:
    lost = CaptureId.parse(f"{DRIVE}/000009")
    await world.ledger.move(lost, State.HELD, "not_verified")
    assert (await listed(world))[str(lost)] is None


async def test_the_anonymizer_finds_the_decision_under_the_recipe_that_comes_of_it(world: World) -> None:
    meant = await world.plan(Wish(accept=(1,)))
    await world.release(Wish(accept=(1,)))
    noted = await world.ledger.finished(CAPTURE, REVIEW, meant.recipe.recipe_id)
    assert noted is not None
    assert HoldDecision.model_validate_json(noted).review == Review(accept=meant.review.accept)
