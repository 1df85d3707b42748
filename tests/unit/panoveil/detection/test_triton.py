import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.detection import KINDS, Choice, Kind, Retry, TritonDetector
from panoveil.detection._triton import checked

SHAPE = (2, 64, 96, 3)
BOXES = np.zeros((2, 3, 4), np.float32)
SCORES = np.zeros((2, 3), np.float32)
BOXES[0, 0] = (10, 10, 30, 40)
SCORES[0, 0] = 0.9


def changed(array: np.ndarray, index: tuple[int, ...], value: Any) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


def test_an_answer_loses_its_padding_and_is_clipped() -> None:
    first, second = checked(changed(BOXES, (0, 0), (-5, 10, 30, 70)), SCORES, SHAPE)
    assert first.boxes.tolist() == [[0, 10, 30, 64]]
    assert second.scores.size == 0


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (None, SCORES),
        (BOXES, None),
        (BOXES.astype(np.float64), SCORES),
        (BOXES[:1], SCORES[:1]),
        (BOXES[..., :3], SCORES),
        (BOXES, SCORES[:, :2]),
        (changed(BOXES, (1, 1, 1), np.nan), SCORES),
        (changed(BOXES, (1, 1, 1), np.inf), SCORES),
        (BOXES, changed(SCORES, (0, 0), np.nan)),
        (BOXES, changed(SCORES, (0, 0), 1.5)),
        (BOXES, changed(SCORES, (0, 2), -0.1)),
        (BOXES, changed(SCORES, (0, 2), 0.5)),
        (changed(BOXES, (0, 0), (30, 10, 10, 40)), SCORES),
        (changed(BOXES, (0, 0), (10, 10, 3000, 40)), SCORES),
    ],
)
def test_nonsense_is_no_answer(boxes: Any, scores: Any) -> None:
    with pytest.raises(Unavailable, match="nonsense"):
        checked(boxes, scores, SHAPE)


def error(status: str, message: str = "sorry") -> InferenceServerException:
    return InferenceServerException(message, status=f"StatusCode.{status}")


class Server:
    """What a Triton client would return, from a script; `fails` raises the error once it is set."""

    def __init__(self) -> None:
        self.fails: InferenceServerException | None = None
        self.sees = True
        self.sha256 = "a" * 64
        self.asked: list[str] = []
        self.reloaded: list[str] = []
        self.widths: list[int] = []
        self.instances = 1
        self.was_asked, self.unloaded = asyncio.Event(), asyncio.Event()
        self.crashed = self.loading = False
        self.load_fails = 0
        self.blind_above = 10_000
        self.fails_times = 10_000
        self.room, self.inside = 1_000, 0
        self.state = "READY"
        self._channel = SimpleNamespace(get_state=lambda: SimpleNamespace(name=self.state))
        self.detector = TritonDetector("127.0.0.1:1", retry=Retry(attempts=1))
        self.detector._client = self

    async def get_model_metadata(self, name: str, **_: Any) -> Any:
        return SimpleNamespace(versions=["1", "10"])

    async def get_model_config(self, name: str, **_: Any) -> Any:
        parameters = {"sha256": SimpleNamespace(string_value=self.sha256)} if self.sha256 else {}
        groups = [SimpleNamespace(count=self.instances, gpus=[])]
        return SimpleNamespace(config=SimpleNamespace(parameters=parameters, instance_group=groups))

    async def infer(self, name: str, inputs: Any, **_: Any) -> Any:
        self.asked.append(name)
        self.was_asked.set()
        self.widths.append(shown := inputs[0].shape()[2])
        crashed = self.crashed
        if self.inside >= self.room:
            raise error("UNAVAILABLE", "Exceeds maximum queue size")
        self.inside += 1
        for _turn in range(3):
            await asyncio.sleep(0)
        self.inside -= 1
        if self.loading:
            raise error("NOT_FOUND", f"Request for unknown model: {name!r} is not found")
        if crashed:
            raise error("INTERNAL", "Stub process 'face_0_0' is not healthy.")
        if self.fails and self.fails_times:
            self.fails_times -= 1
            raise self.fails
        golden, sees = self.detector.golden, self.sees and shown <= self.blind_above
        boxes = np.array([[golden.boxes["face" if "face" in name else "plate"]]], np.float32)
        answer = {"boxes": boxes, "scores": np.full((1, 1), 0.9 if sees else 0.0, np.float32)}
        return SimpleNamespace(as_numpy=answer.get)

    async def unload_model(self, name: str, **_: Any) -> None:
        self.reloaded.append(f"unload {name}")
        self.loading = True
        self.unloaded.set()
        await asyncio.sleep(0)

    async def load_model(self, name: str, **_: Any) -> None:
        self.reloaded.append(f"load {name}")
        for _turn in range(5):
            await asyncio.sleep(0)
        if self.load_fails:
            self.load_fails -= 1
            raise error("UNAVAILABLE", "cannot load")
        self.crashed = self.loading = False

    async def close(self) -> None:
        self.reloaded.append("close")


@pytest.fixture(name="server")
async def a_server() -> Server:
    return Server()


IMAGE = np.zeros((1, 320, 320, 3), np.uint8)


def patient(server: Server, attempts: int) -> TritonDetector:
    server.detector.retry = Retry(attempts, first=0.0)
    return server.detector


async def test_both_models_see_the_golden_picture_before_the_first_answer(server: Server) -> None:
    (found,) = await server.detector.detect("face", IMAGE)
    await server.detector.detect("face", IMAGE)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert server.asked == ["face", "plate", "face", "face"]


async def test_a_blind_model_is_not_believed(server: Server) -> None:
    server.sees = False
    with pytest.raises(Unavailable, match="golden picture"):
        await server.detector.detect("plate", IMAGE)


async def test_after_a_failure_the_golden_picture_is_shown_again(server: Server) -> None:
    await server.detector.detect("face", IMAGE)
    server.fails = error("UNAVAILABLE")
    with pytest.raises(Unavailable, match="UNAVAILABLE"):
        await server.detector.detect("face", IMAGE)
    server.fails, server.sees, server.asked = None, False, []
    with pytest.raises(Unavailable, match="golden picture"):
        await server.detector.detect("face", IMAGE)
    assert server.asked == ["face"]


async def test_the_golden_picture_is_shown_again_after_a_while(server: Server) -> None:
    server.detector.recheck = 0.0
    for _ in range(2):
        await server.detector.detect("face", IMAGE)
    assert server.asked == ["face", "plate", "face"] * 2


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        ("UNAVAILABLE", Unavailable),
        ("DEADLINE_EXCEEDED", Unavailable),
        ("INTERNAL", Unavailable),
        ("RESOURCE_EXHAUSTED", Unavailable),
        ("INVALID_ARGUMENT", Misconfigured),
        ("NOT_FOUND", Unavailable),
    ],
)
async def test_every_failure_has_its_consequence(server: Server, status: str, raised: type[Exception]) -> None:
    server.fails = error(status)
    with pytest.raises(raised):
        await server.detector.detect("face", IMAGE)
    assert server.reloaded == []


async def test_a_crashed_instance_is_loaded_anew(server: Server) -> None:
    server.fails = error("INTERNAL", "Stub process 'face_0_0' is not healthy.")
    with pytest.raises(Unavailable, match="not healthy"):
        await server.detector.detect("face", IMAGE)
    assert server.reloaded == ["unload face", "load face"]


async def test_a_model_that_was_never_there_is_a_mistake_of_the_operator(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> Any:
        raise error("NOT_FOUND")

    monkeypatch.setattr(server, "get_model_metadata", unknown)
    with pytest.raises(Misconfigured, match="refuses the model"):
        await server.detector.detect("face", IMAGE)


async def outcomes(server: Server, count: int) -> set[type]:
    answers = await asyncio.gather(*(server.detector.detect("face", IMAGE) for _ in range(count)), return_exceptions=True)
    return {type(answer) for answer in answers}


async def test_a_crash_under_load_is_mended_once_and_stops_nobody(server: Server) -> None:
    await server.detector.prove()
    server.crashed = True
    crowd = asyncio.create_task(outcomes(server, 3))
    await server.unloaded.wait()
    with pytest.raises(Unavailable):
        await server.detector._infer("face", IMAGE)
    assert await crowd == {Unavailable}
    assert server.reloaded == ["unload face", "load face"]
    assert await outcomes(server, 4) == {list}


async def test_a_second_crash_is_mended_too(server: Server) -> None:
    for _ in range(2):
        await server.detector.prove()
        server.crashed = True
        assert await outcomes(server, 2) == {Unavailable}
    assert server.reloaded == ["unload face", "load face"] * 2


async def test_a_reload_that_stopped_half_way_is_gone_on_with(server: Server) -> None:
    await server.detector.prove()
    server.crashed, server.load_fails = True, 1
    assert await outcomes(server, 1) == {Unavailable}
    assert await outcomes(server, 1) == {Unavailable}
    assert server.reloaded == ["unload face", "load face", "load face"]
    assert await outcomes(server, 1) == {list}


async def test_every_instance_gets_a_golden_picture_that_no_batch_can_join(server: Server) -> None:
    server.instances = 2
    await server.detector.prove()
    assert server.asked == ["face", "face", "plate", "plate"]
    assert server.widths == [320, 352] * 2


async def test_one_blind_instance_is_enough_to_be_disbelieved(server: Server) -> None:
    server.instances = 2
    await server.detector.prove()
    server.blind_above = 320
    with pytest.raises(Unavailable, match="golden picture"):
        await server.detector.prove()
    server.asked = []
    with pytest.raises(Unavailable, match="golden picture"):
        await server.detector.detect("face", IMAGE)


async def test_proofs_asked_for_together_share_a_look_that_began_after_all_of_them(server: Server) -> None:
    first = asyncio.create_task(server.detector.prove())
    await server.was_asked.wait()
    await asyncio.gather(*(server.detector.prove() for _ in range(3)), first)
    assert server.asked == ["face", "plate"] * 2


async def test_other_weights_than_at_the_start_are_refused(server: Server) -> None:
    facts = await server.detector.facts()
    assert {facts[kind].version for kind in KINDS} == {"10"}
    server.sha256 = "b" * 64
    with pytest.raises(Misconfigured, match="restart"):
        await server.detector.prove()


async def test_weights_without_a_hash_are_refused(server: Server) -> None:
    server.sha256 = ""
    with pytest.raises(Misconfigured, match="triton_stamp"):
        await server.detector.facts()


async def test_the_channel_is_closed(server: Server) -> None:
    async with server.detector:
        pass
    assert server.reloaded == ["close"]


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
async def test_a_failure_that_passes_is_not_the_callers_business(server: Server, status: str) -> None:
    server.fails, server.fails_times = error(status), 2
    (found,) = await patient(server, 3).detect("face", IMAGE)
    assert found.scores.size == 1


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
async def test_attempts_are_bounded(server: Server, status: str) -> None:
    server.fails = error(status)
    with pytest.raises(Unavailable, match=status):
        await patient(server, 3).detect("face", IMAGE)
    assert server.asked == ["face"] * 3


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "INTERNAL"])
async def test_what_will_not_pass_is_not_tried_again(server: Server, status: str) -> None:
    await server.detector.prove()
    server.fails, server.asked = error(status), []
    with pytest.raises((Unavailable, Misconfigured)):
        await patient(server, 3).detect("face", IMAGE)
    assert server.asked == ["face"]


@given(attempts=st.integers(1, 20), first=st.floats(0.01, 2), longest=st.floats(0.01, 20))
def test_waits_grow_are_bounded_and_are_never_the_same_for_all(attempts: int, first: float, longest: float) -> None:
    waits = list(Retry(attempts, first, longest).waits())
    assert len(waits) == attempts - 1
    for number, wait in enumerate(waits):
        whole = min(first * 2**number, longest)
        assert whole / 2 <= wait <= whole


def test_a_crowd_does_not_come_back_at_once() -> None:
    assert len({next(Retry().waits()) for _ in range(20)}) == 20


async def test_a_crashed_instance_is_not_the_callers_business(server: Server) -> None:
    await server.detector.prove()
    server.crashed = True
    (found,) = await patient(server, 2).detect("face", IMAGE)
    assert found.scores.size == 1
    assert server.detector.interruptions


@pytest.mark.parametrize(
    ("failure", "interruptions"),
    [
        (error("UNAVAILABLE", "failed to connect to all addresses"), 1),
        (error("UNAVAILABLE", "in ensemble 'face', Exceeds maximum queue size"), 0),
        (error("UNAVAILABLE", "Request timeout expired"), 0),
        (error("DEADLINE_EXCEEDED"), 0),
        (error("NOT_FOUND"), 1),
    ],
)
async def test_what_was_seen_before_the_server_was_lost_counts_for_nothing(
    server: Server, failure: InferenceServerException, interruptions: int
) -> None:
    await server.detector.prove()
    since = server.detector.interruptions
    server.fails, server.fails_times = failure, 1
    await patient(server, 2).detect("face", IMAGE)
    assert server.detector.interruptions - since == interruptions
    if interruptions:
        with pytest.raises(Unavailable, match="was lost"):
            await server.detector.prove(since)
    else:
        await server.detector.prove(since)


async def test_a_server_with_too_much_to_do_is_asked_again_and_stays_trusted(server: Server) -> None:
    await server.detector.prove()
    server.fails, server.fails_times, server.asked = error("UNAVAILABLE", "Exceeds maximum queue size"), 2, []
    assert len(await patient(server, 2).detect("face", IMAGE)) == 1
    assert server.asked == ["face"] * 3


async def test_a_crowd_that_is_too_much_gets_smaller_until_it_is_served(server: Server) -> None:
    await server.detector.prove()
    server.room = 1
    patient(server, 2)
    assert await outcomes(server, 4) == {list}


async def test_a_server_that_went_away_in_silence_must_prove_itself_again(server: Server) -> None:
    await server.detector.prove()
    since, server.state, server.asked = server.detector.interruptions, "IDLE", []
    await server.detector.detect("plate", IMAGE)
    assert server.asked == ["face", "plate", "plate"]
    server.state = "READY"
    with pytest.raises(Unavailable, match="was lost"):
        await server.detector.prove(since)


async def test_those_who_waited_for_a_look_that_failed_share_its_failure(server: Server) -> None:
    server.fails = error("DEADLINE_EXCEEDED")
    assert await outcomes(server, 8) == {Unavailable}
    assert server.asked == ["face"]


async def test_models_go_by_the_names_that_were_chosen(server: Server) -> None:
    server.detector.models = {"face": Choice("egoblur_face", 0.5), "plate": Choice("egoblur_plate", 0.8)}
    facts = await server.detector.facts()
    await server.detector.detect("plate", IMAGE)
    assert server.asked == ["egoblur_face", "egoblur_plate", "egoblur_plate"]
    assert facts["plate"].as_model().model_dump() == {
        "name": "egoblur_plate", "version": "10", "sha256": "a" * 64, "threshold": 0.8, "longest_side": None,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_a_golden_object_below_the_models_own_threshold_was_not_seen(server: Server, kind: Kind) -> None:
    server.detector.models = {**server.detector.models, kind: Choice(kind, 0.95)}
    with pytest.raises(Unavailable, match="golden picture"):
        await server.detector.prove()


async def test_a_picture_too_large_for_the_model_is_shown_in_pieces(server: Server) -> None:
    server.detector.models = {**server.detector.models, "face": Choice("face", 0.5, 640)}
    await server.detector.prove()
    server.widths = []
    (found,) = await server.detector.detect("face", np.zeros((1, 320, 1024, 3), np.uint8))
    assert server.widths == [640, 640]
    x0 = server.detector.golden.boxes["face"][0]
    assert found.boxes[:, 0].tolist() == pytest.approx([x0, x0 + 384])
