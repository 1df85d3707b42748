import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.detection import KINDS, TritonDetector
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
        self.detector = TritonDetector("127.0.0.1:1")
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
        await asyncio.sleep(0)
        if self.loading:
            raise error("NOT_FOUND", f"Request for unknown model: {name!r} is not found")
        if crashed:
            raise error("INTERNAL", "Stub process 'face_0_0' is not healthy.")
        if self.fails:
            raise self.fails
        golden, sees = self.detector.golden, self.sees and shown <= self.blind_above
        boxes = np.array([[golden.boxes["face" if name == "face" else "plate"]]], np.float32)
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


def error(status: str, message: str = "sorry") -> InferenceServerException:
    return InferenceServerException(message, status=f"StatusCode.{status}")


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
    late = await asyncio.gather(server.detector._infer("face", IMAGE), return_exceptions=True)
    assert {*map(type, late), *await crowd} == {Unavailable}
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
