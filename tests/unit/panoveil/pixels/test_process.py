from collections.abc import Iterator

import cv2
import pytest

from panoveil.pixels import process


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_opencv_is_left_one_thread() -> None:
    process.prepare()
    assert cv2.getNumThreads() == 1


def test_it_may_be_asked_for_twice() -> None:
    process.prepare()
    process.prepare()
    assert cv2.getNumThreads() == 1


def test_without_glibc_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    process.prepare()
    assert cv2.getNumThreads() == 1
