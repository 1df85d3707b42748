"""Triton as a `Detector`: the only module that speaks to it, and it believes nothing unproven.

Before the first answer, after any failure and every ten minutes the golden picture must be seen right by both models, and the models
must be the ones the recipe names. Until then, and on any answer that makes no sense, `Unavailable("triton")`: nothing is published.
A model that goes blind in between answers well-formed emptiness, so whoever publishes asks for one more look first: `prove`; and since
a server may be replaced by a blind one and back in between, it says which `interruptions` it has counted when it began.

One URL is one server: behind a balancer the golden picture would vouch for whichever server happened to get it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from panoveil import telemetry
from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.contracts.recipe import Model
from panoveil.detection._choice import Choice, Retry
from panoveil.detection._golden import Golden, street
from panoveil.detection._port import KINDS, Detections, Images, Kind
from panoveil.detection._regions import Regions, is_orphan
from panoveil.detection._settings import DetectorSettings
from panoveil.detection._tiles import joined, tiles

T = TypeVar("T")

DEPENDENCY = "triton"
_UNAVAILABLE, _LATE, _NOT_FOUND = "StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.NOT_FOUND"
_MISCONFIGURED = {
    "StatusCode.INVALID_ARGUMENT",
    _NOT_FOUND,
    "StatusCode.UNIMPLEMENTED",
    "StatusCode.PERMISSION_DENIED",
}
_CRASHED = "is not healthy"
_UNKNOWN_REGION = "shared memory region"
_TOO_MUCH = ("maximum queue size", "timeout expired")
"""What Triton says where its queue is full or a request waited in it for too long: `UNAVAILABLE`, though the server is as it was."""


class _Passing(Unavailable):
    """Unavailable, but not for long, most likely: worth asking again."""


class _Busy(_Passing):
    """Refused by a server that is well and has enough to do."""


_CHOICES: dict[Kind, Choice] = {"face": Choice("face"), "plate": Choice("plate")}


@dataclass(frozen=True, slots=True)
class Facts:
    """A model as the server describes it, and as it was chosen; `sha256` is the parameter of that name in its config.pbtxt."""

    name: str
    version: str
    sha256: str
    threshold: float = 0.0
    longest_side: int | None = None

    def as_model(self) -> Model:
        """Return the recipe's entry."""
        return Model(
            name=self.name, version=self.version, sha256=self.sha256, threshold=self.threshold, longest_side=self.longest_side
        )


@dataclass(slots=True)
class TritonDetector:
    """A detector over one gRPC channel.

    `url` is host:port of one server; `in_flight` bounds requests under way; `deadline` is seconds a request may take; `recheck` seconds
    between two looks at the golden picture; `shared_memory` hands pictures over in it, to a server on this machine.
    `interruptions` counts how often the server was lost or a model loaded anew.
    """

    url: str
    models: Mapping[Kind, Choice] = field(default_factory=lambda: dict(_CHOICES))
    in_flight: int = 4
    deadline: float = 60.0
    recheck: float = 600.0
    retry: Retry = field(default_factory=Retry)
    golden: Golden = field(default_factory=street)
    shared_memory: bool = False
    interruptions: int = field(init=False, default=0)
    _client: Any = field(init=False, repr=False)
    _slots: asyncio.Semaphore = field(init=False, repr=False)
    _regions: Regions = field(init=False, repr=False)
    _lane: asyncio.Lock = field(init=False, repr=False, default_factory=asyncio.Lock)
    _proof: asyncio.Lock = field(init=False, repr=False, default_factory=asyncio.Lock)
    _looks: int = field(init=False, default=0)
    _last_good_look: int = field(init=False, default=0)
    _failure: Unavailable | None = field(init=False, default=None)
    _trusted_until: float = field(init=False, default=0.0)
    _connected: bool = field(init=False, default=False)
    _facts: dict[Kind, Facts] = field(init=False, default_factory=dict)
    _reload: asyncio.Lock = field(init=False, repr=False, default_factory=asyncio.Lock)
    _reloads: Counter[Kind] = field(init=False, default_factory=Counter)
    _unloaded: set[Kind] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Open the channel; it connects by itself, and again after the server was away."""
        self._client = aio.InferenceServerClient(self.url)
        self._slots = asyncio.Semaphore(self.in_flight)
        self._regions = Regions(self, lambda: self.interruptions)

    @classmethod
    def of(cls, settings: DetectorSettings) -> Self:
        """Return the detector that the settings name; `async with` closes it."""
        return cls(
            settings.triton_url,
            settings.models,
            in_flight=settings.triton_in_flight,
            deadline=settings.triton_deadline,
            recheck=settings.golden_every,
            retry=Retry(settings.triton_attempts),
            shared_memory=settings.triton_shared_memory,
        )

    async def __aenter__(self) -> Self:
        """Return the detector."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the channel."""
        await self.close()

    async def close(self) -> None:
        """Close the channel, and let go of what the server shares with us, if it still answers."""
        with contextlib.suppress(Unavailable):
            await self._regions.close()
        await self._client.close()

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return what the model found in each of uint8 [N, H, W, 3] RGB.

        `Unavailable("triton")` where the server is down or late for longer than `retry` bears with it, unproven or talks nonsense;
        `Misconfigured` where it refuses the request.
        """
        pieces = tiles(images.shape[2], images.shape[1], self.models[kind].longest_side)
        found = [await self._patiently(partial(self._seen, kind, tile.of(images))) for tile in pieces]
        return joined(pieces, found)

    async def facts(self) -> dict[Kind, Facts]:
        """Return the models as the server describes them; from the first call on, others are refused."""
        await self._patiently(self._trusted)
        return dict(self._facts)

    async def prove(self, since: int | None = None) -> None:
        """Return once both models have seen the golden picture right, in a look that began after this call; callers may share one.

        `since` is what `interruptions` was when the caller began: where more have come, what it saw may be another server's word.

        Each model gets the picture as often at once as it has instances, in sizes that cannot share a batch. An idle server gives one
        to each instance; on a busy one the same instance may take two in turn, so a single blind instance can slip through a look.
        """
        await self._patiently(self._proven)
        if since not in {None, self.interruptions}:
            raise Unavailable(DEPENDENCY, "the server was lost or a model loaded anew while it was looked at the picture")

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again where the failure may pass."""
        try:
            return await self._repeated(ask, _Passing)
        except _Passing as failure:
            raise Unavailable(DEPENDENCY, failure.detail) from failure

    async def _repeated(self, ask: Callable[[], Awaitable[T]], passing: type[_Passing]) -> T:
        for wait in self.retry.waits():
            try:
                return await ask()
            except passing:
                await asyncio.sleep(wait)
        return await ask()

    async def _seen(self, kind: Kind, images: Images) -> list[Detections]:
        await self._trusted()
        return await self._infer(kind, images)

    async def _proven(self) -> None:
        before = self._looks
        async with self._proof:
            self._notice_a_lost_connection()
            if self._last_good_look <= before:
                await self._look()

    async def _trusted(self) -> None:
        """Look at the golden picture where that is due; whoever waited for a look that failed shares its failure."""
        self._notice_a_lost_connection()
        if time.monotonic() < self._trusted_until:
            return
        before = self._failure
        async with self._proof:
            if time.monotonic() < self._trusted_until:
                return
            if self._failure is not None and self._failure is not before:
                raise type(self._failure)(DEPENDENCY, self._failure.detail)
            await self._look()

    def _notice_a_lost_connection(self) -> None:
        """Tell a server that went away while nobody asked it anything: its channel fell idle."""
        # The client shows its channel's state nowhere else.
        if self._connected and self._client._channel.get_state().name != "READY":  # noqa: SLF001
            self._interrupted()

    def _interrupted(self) -> None:
        self.interruptions += 1
        self._connected = False
        self._trusted_until = 0.0

    async def _look(self) -> None:
        self._looks += 1
        before = self.interruptions
        try:
            for kind in KINDS:
                await self._prove_model(kind)
            if self.interruptions != before:
                raise _Passing(DEPENDENCY, "the server was lost while it was shown the golden picture")
        except Unavailable as failure:
            self._failure = failure
            raise
        self._last_good_look = self._looks
        self._trusted_until = time.monotonic() + self.recheck

    async def _prove_model(self, kind: Kind) -> None:
        facts, instances = await self._described(kind)
        known = self._facts.setdefault(kind, facts)
        if known != facts:
            raise Misconfigured(f"Triton now serves {facts} instead of {known}: restart the service to take it into its recipe")
        looks = (self._infer(kind, picture) for picture in _sizes(self.golden.picture, instances))
        answers = await asyncio.gather(*looks, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            if not all(self._is_found(kind, found) for found in answer):
                self._trusted_until = 0.0
                self._count(kind, "blind")
                raise Unavailable(DEPENDENCY, f"model {facts.name!r} does not see the {kind} in the golden picture")

    def _is_found(self, kind: Kind, found: Detections) -> bool:
        """Whether the model saw what it had to in the golden picture, and would have counted it in any other."""
        counted = found.above(self.models[kind].threshold)
        return self.golden.is_found(kind, counted.boxes, counted.scores)

    async def _described(self, kind: Kind) -> tuple[Facts, int]:
        """Return the model and how many instances serve it."""
        choice = self.models[kind]
        metadata = await self._answered(self._client.get_model_metadata(choice.name, client_timeout=self.deadline), kind)
        answer = await self._answered(self._client.get_model_config(choice.name, client_timeout=self.deadline), kind)
        config = answer.config
        if "sha256" not in config.parameters:
            raise Misconfigured(
                f"the config.pbtxt of model {choice.name!r} names no sha256: python -m console.stack.triton_stamp"
            )
        instances = sum(group.count * max(1, len(group.gpus)) for group in config.instance_group)
        sha256 = config.parameters["sha256"].string_value
        version = max(metadata.versions, key=int)
        return Facts(choice.name, version, sha256, choice.threshold, choice.longest_side), max(1, instances)

    async def _infer(self, kind: Kind, images: Images) -> list[Detections]:
        async with self._slots, self._packed(images) as tensor:
            answer = await self._in_turn(partial(self._requested, kind, tensor))
        try:
            return checked(answer.as_numpy("boxes"), answer.as_numpy("scores"), images.shape)
        except Unavailable:
            self._trusted_until = 0.0
            self._count(kind, "nonsense")
            raise

    @contextlib.asynccontextmanager
    async def _packed(self, images: Images) -> AsyncIterator[Any]:
        """Lend a request's input that holds the pictures, or says where they are."""
        tensor = aio.InferInput("image", list(images.shape), "UINT8")
        if not self.shared_memory:
            tensor.set_data_from_numpy(np.ascontiguousarray(images))
            yield tensor
            return
        async with self._regions.holding(images) as region:
            tensor.set_shared_memory(region.name, images.nbytes)
            yield tensor

    async def registered(self, name: str, size: int) -> None:
        """For `Regions`: have the server take up shared memory, and forget what clients left that are gone."""
        try:
            known = await self._client.get_system_shared_memory_status(client_timeout=self.deadline)
            for orphan in filter(is_orphan, known.regions):
                await self.let_go(orphan)
            await self._client.register_system_shared_memory(name, f"/{name}", size, client_timeout=self.deadline)
        except InferenceServerException as error:
            said = f"{error.status()}: {error.message()}"[:300]
            if error.status() not in {_UNAVAILABLE, _LATE}:
                raise Misconfigured(
                    f"Triton does not see this machine's /dev/shm, set PANOVEIL_TRITON_SHARED_MEMORY=false: {said}"
                ) from error
            self._interrupted()
            raise _Passing(DEPENDENCY, said) from error

    async def let_go(self, name: str) -> None:
        """For `Regions`: have the server forget shared memory."""
        try:
            await self._client.unregister_system_shared_memory(name, client_timeout=self.deadline)
        except InferenceServerException as error:
            raise _Passing(DEPENDENCY, f"{error.status()}: {error.message()}"[:300]) from error

    async def _in_turn(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask; where the server has enough to do, again and one after another, so that the crowd gets smaller until it is served."""
        try:
            return await ask()
        except _Busy:
            async with self._lane:
                return await self._repeated(ask, _Busy)

    async def _requested(self, kind: Kind, tensor: Any) -> Any:
        known = self._facts.get(kind)
        version = known.version if known else ""
        request = self._client.infer(self.models[kind].name, [tensor], model_version=version, client_timeout=self.deadline)
        return await self._answered(request, kind)

    async def _answered(self, request: Awaitable[T], kind: Kind) -> T:
        reloads = self._reloads[kind]
        try:
            answer = await request
        except InferenceServerException as error:
            status, said = str(error.status()), str(error.message())
            raise await self._consequence(kind, status, said, reloads) from error
        self._connected = True
        return answer

    async def _consequence(self, kind: Kind, status: str, said: str, reloads: int) -> Unavailable | Misconfigured:
        """Return the error to raise, once a crashed model is loaded anew."""
        message = f"{status}: {said}"[:300]
        if status == _UNAVAILABLE and any(words in said for words in _TOO_MUCH):
            self._count(kind, "busy")
            return _Busy(DEPENDENCY, message)
        self._trusted_until = 0.0
        if _CRASHED in said or kind in self._unloaded:
            self._interrupted()
            self._count(kind, "crashed")
            await self._reloaded(kind, reloads)
            return _Passing(DEPENDENCY, message)
        if (
            status == _NOT_FOUND and kind in self._facts
        ) or _UNKNOWN_REGION in said:  # another client loads it anew, or it was restarted
            self._interrupted()
            self._count(kind, "unavailable")
            return _Passing(DEPENDENCY, message)
        if status in _MISCONFIGURED:
            return Misconfigured(f"Triton refuses the model {self.models[kind].name!r}: {message}")
        if status == _UNAVAILABLE:
            self._interrupted()
        self._count(kind, "late" if status == _LATE else "unavailable")
        return (_Passing if status in {_UNAVAILABLE, _LATE} else Unavailable)(DEPENDENCY, message)

    def _count(self, kind: Kind, cause: str) -> None:
        telemetry.DETECTOR_FAILURES.labels(self.models[kind].name, cause).inc()

    async def _reloaded(self, kind: Kind, reloads: int) -> None:
        """Ask for a fresh instance: a crashed one stays broken for ever while the server calls itself ready.

        Once for all requests that failed on the same crash: those sent after so many `reloads`. A reload that stops half-way leaves
        no model at all, which no request would call unhealthy, so whichever fails next goes on with it.
        """
        name = self.models[kind].name
        async with self._reload:
            if self._reloads[kind] != reloads:
                return
            try:
                if kind not in self._unloaded:
                    self._unloaded.add(kind)
                    await self._client.unload_model(name, client_timeout=self.deadline)
                await self._client.load_model(name, client_timeout=self.deadline)
            except InferenceServerException as error:
                raise _Passing(DEPENDENCY, f"reload of {name!r}: {error.message()}"[:300]) from error
            self._unloaded.discard(kind)
            self._reloads[kind] += 1


def _sizes(picture: Images, count: int) -> list[Images]:
    """Return [1, H, W + 32 i, 3] of [H, W, 3]: more of the right edge each time, since Triton batches only what is of one size."""
    return [np.pad(picture, ((0, 0), (0, 32 * extra), (0, 0)), mode="edge")[None] for extra in range(count)]


def checked(boxes: Any, scores: Any, shape: tuple[int, ...]) -> list[Detections]:
    """Return the answer for images of `shape` [N, H, W, 3], or raise `Unavailable` where it cannot be one.

    `boxes` must be float32 [N, K, 4], `scores` float32 [N, K] in 0..1 and descending, both finite, no box further outside of its image
    than the image is wide. Padding is dropped and boxes are clipped.
    """
    complaint = _nonsense(boxes, scores, shape)
    if complaint:
        raise Unavailable(DEPENDENCY, f"nonsense: {complaint}")
    return [_detections(*pair, shape) for pair in zip(boxes, scores, strict=True)]


def _nonsense(boxes: Any, scores: Any, shape: tuple[int, ...]) -> str:
    if not isinstance(boxes, np.ndarray) or not isinstance(scores, np.ndarray):
        return "an output is missing"
    if boxes.dtype != np.float32 or scores.dtype != np.float32:
        return f"types {boxes.dtype} and {scores.dtype}"
    if scores.ndim != 2 or boxes.shape != (*scores.shape, 4) or scores.shape[0] != shape[0]:  # noqa: PLR2004 - [N, K]
        return f"shapes {boxes.shape} and {scores.shape} for {shape[0]} images"
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        return "values that are not finite"
    if scores.size and (scores.min() < 0 or scores.max() > 1 or (np.diff(scores, axis=1) > 0).any()):
        return "scores out of range or out of order"
    return _misplaced(boxes[scores > 0], shape)


def _misplaced(boxes: NDArray[np.float32], shape: tuple[int, ...]) -> str:
    height, width = shape[1:3]
    if (boxes[:, 2:] < boxes[:, :2]).any():
        return "boxes turned inside out"
    sides = np.array([width, height, width, height], np.float32)
    return "boxes far outside of the image" if ((boxes < -sides) | (boxes > 2 * sides)).any() else ""


def _detections(boxes: NDArray[np.float32], scores: NDArray[np.float32], shape: tuple[int, ...]) -> Detections:
    height, width = shape[1:3]
    inside = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    real = (scores > 0) & (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    return Detections(inside[real], scores[real])
