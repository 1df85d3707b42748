"""The progress line, on a clock of its own."""

import io

import pytest

from services.agent.events import (
    CaptureFound,
    CaptureUploaded,
    DriveDone,
    Event,
    FrameUploaded,
    Listener,
    StillWritten,
    Waiting,
    both,
    but_not,
)
from services.agent.progress import Progress, ProgressLine

MB = 1_000_000
C1, C2 = "dk/d1/c1", "dk/d1/c2"
DONE = DriveDone("d1", 2, 2, 0, 0, 0, 0, 8, 100 * MB)


class Clock:
    """Seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """Two captures of 50 MB are found."""
    made = Progress(clock)
    for capture_id in (C1, C2):
        made(CaptureFound(capture_id, 2, 50 * MB))
    return made


def test_before_anything_is_sent_nothing_is_promised(progress: Progress) -> None:
    assert str(progress) == "0/2 captures · 0 B of 100.0 MB"


def test_rate_and_time_left_are_those_of_the_last_seconds(progress: Progress, clock: Clock) -> None:
    for _ in range(4):
        progress(FrameUploaded(C1, "a.jpg", 10 * MB))
        clock.now += 5
    assert str(progress) == "0/2 captures · 40.0 MB of 100.0 MB · 2.0 MB/s · 30 s left"


def test_the_rate_forgets_a_slow_beginning(progress: Progress, clock: Clock) -> None:
    progress(FrameUploaded(C1, "a.jpg", 1 * MB))
    for _ in range(40):
        clock.now += 1
        progress(FrameUploaded(C1, "b.jpg", 1 * MB))
    assert progress.rate == pytest.approx(MB, rel=0.1)


def test_what_went_in_an_earlier_run_is_not_waited_for(progress: Progress) -> None:
    progress(CaptureUploaded(C1, before=True))
    assert str(progress) == "1/2 captures · 50.0 MB of 100.0 MB"


@pytest.mark.parametrize(
    ("event", "words"),
    [(Waiting("s3", 3.0, "down"), "waiting for s3"), (StillWritten("d1", 3, 2.0), "3 still being written")],
)
def test_what_it_waits_for_is_said_until_something_goes(progress: Progress, event: Event, words: str) -> None:
    progress(event)
    assert str(progress).endswith(f" · {words}")
    progress(FrameUploaded(C1, "a.jpg", MB))
    assert words not in str(progress)


@pytest.mark.parametrize(("left", "words"), [(59, "59 s"), (150, "2 min"), (3600 * 5 + 60 * 7, "5 h 07 min")])
def test_the_time_left_is_said_as_people_say_it(clock: Clock, left: int, words: str) -> None:
    progress = Progress(clock)
    progress(CaptureFound(C1, 2, MB + left * MB))
    progress(FrameUploaded(C1, "a.jpg", MB))
    clock.now += 1
    assert str(progress).endswith(f"{words} left")


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def line(terminal: io.StringIO, clock: Clock) -> ProgressLine:
    return ProgressLine(terminal, lambda: 40, clock)


def test_the_line_is_drawn_over_itself_and_ends_with_the_drive(line: ProgressLine, terminal: io.StringIO, clock: Clock) -> None:
    for event in (CaptureFound(C1, 2, MB), FrameUploaded(C1, "a.jpg", MB), CaptureUploaded(C1), DONE):
        clock.now += 1
        line(event)
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().split("\r\x1b[K")[1:] == [
        "0/1 captures · 0 B of 1.0 MB",
        "0/1 captures · 1.0 MB of 1.0 MB",
        "1/1 captures · 1.0 MB of 1.0 MB · 1.0 M",
        "",
    ]


def test_the_line_never_wraps(line: ProgressLine, terminal: io.StringIO) -> None:
    line(CaptureFound("x", 2, 10**15))
    line(Waiting("s3", 3.0, "down"))
    assert max(map(len, terminal.getvalue().split("\r\x1b[K"))) == 39


def test_events_in_a_burst_are_drawn_once(line: ProgressLine, terminal: io.StringIO) -> None:
    for number in range(100):
        line(CaptureFound(f"c{number}", 2, MB))
    assert terminal.getvalue().count("\r") == 1


def test_log_lines_stand_above_it(line: ProgressLine, terminal: io.StringIO) -> None:
    line.write("begun\n")
    line(CaptureFound(C1, 2, MB))
    line.write("a warning\n")
    drawn = "0/1 captures · 0 B of 1.0 MB"
    assert terminal.getvalue().split("\r\x1b[K") == ["", "begun\n", drawn, "a warning\n", drawn]


def test_listeners_can_be_joined_and_one_kind_left_out() -> None:
    all_of_them: list[Event] = []
    others: list[Event] = []
    listener: Listener = both(all_of_them.append, but_not(Waiting, others.append))
    for event in (Waiting("s3", 1.0, ""), DONE):
        listener(event)
    assert (len(all_of_them), others) == (2, [DONE])
