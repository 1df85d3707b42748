"""`panoveil holds …` as a reviewer types it, over a drive in memory."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import app
from panoveil.contracts.errors import PanoveilError
from panoveil.runtime import Connections
from panoveil.settings import Settings
from tests.unit.console.holds.worlds import OTHER, World
from tests.unit.services.anonymizer.test_handler import CAPTURE, DRIFTED

DECIDED = ("--by", "reviewer-3", "--because", "faces on a poster")


@pytest.fixture(name="world")
def two_held_captures(monkeypatch: pytest.MonkeyPatch) -> World:
    """One of which something was left, one that the quality gate holds; commands find them."""
    world = World()
    asyncio.run(_held(world))

    @contextlib.asynccontextmanager
    async def connect(_settings: Settings) -> AsyncIterator[Connections]:
        yield world.connections

    monkeypatch.setenv("PANOVEIL_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("console.status.connect", connect)
    return world


async def _held(world: World) -> None:
    await world.hold()
    await world.hold(OTHER, hold=DRIFTED)


def run(*arguments: str) -> tuple[int, str]:
    """The exit code, and all that was said; one of our errors has the code that `panoveil` ends with."""
    answer = CliRunner().invoke(app, ["holds", *arguments])
    if isinstance(answer.exception, PanoveilError):
        return answer.exception.exit_code, str(answer.exception)
    return answer.exit_code, answer.stdout + answer.stderr


def rows(*arguments: str) -> list[dict[str, Any]]:
    answer = CliRunner().invoke(app, ["holds", *arguments, "--json"])
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_what_waits_for_a_person_is_listed_with_why_and_how_much_was_left(world: World) -> None:
    assert [(row["capture"], row["reason"], row["left"], row["decided"]) for row in rows("list")] == [
        (str(CAPTURE), "not_verified", 2, "waiting"),
        (str(OTHER), "rig_drifted", 0, "waiting"),
    ]
    assert [row["capture"] for row in rows("list", CAPTURE.drive_id, "--reason", "rig_drifted")] == [str(OTHER)]
    assert "2 wait for a decision." in run("list")[1]


def test_what_somebody_keeps_held_is_listed_with_who_and_why_where_it_is_asked_for(world: World) -> None:
    assert run("keep", str(CAPTURE), "--by", "reviewer-3", "--because", "a crowd")[0] == 0
    assert [row["capture"] for row in rows("list")] == [str(OTHER)]
    kept = next(row for row in rows("list", "--all") if row["capture"] == str(CAPTURE))
    assert (kept["decided"], kept["by"], kept["because"], kept["state"]) == ("keep", "reviewer-3", "a crowd", "held")
    assert "1 wait for a decision. 1 more are kept held" in run("list")[1]


def test_what_was_left_is_shown_with_numbers_and_pixels(world: World) -> None:
    (shown,) = rows("show", str(CAPTURE))
    assert [(one["number"], one["left"]) for one in shown["regions"]] == [(1, True), (2, True)]
    plate = next(one for one in shown["regions"] if one["kind"] == "plate")
    assert [abs(pixel - there) < 8 for pixel, there in zip(plate["pixels"], (200, 130, 224, 138), strict=True)] == [True] * 4
    code, text = run("show", str(CAPTURE))
    assert code == 0
    assert "2 were left" in text


def test_a_picture_is_written_only_where_it_is_asked_for_and_with_a_warning(world: World, tmp_path: Path) -> None:
    _, text = run("show", str(CAPTURE), "--picture", str(tmp_path / "look.jpg"))
    assert (tmp_path / "look.jpg").exists()
    assert "personal data" in text
    run("show", str(OTHER))
    assert [file.name for file in tmp_path.iterdir()] == ["look.jpg"]


def test_a_release_publishes_and_says_so_once_and_again(world: World) -> None:
    for _ in range(2):
        code, text = run("release", str(CAPTURE), "--accept", "all", *DECIDED, "--yes")
        assert (code, "published by recipe" in text) == (0, True)
    (told,) = rows("release", str(CAPTURE), "--accept", "1,2", *DECIDED, "--yes")
    assert (told["outcome"], told["by_recipe"]) == ("published", told["recipe"])


def test_a_release_of_which_something_is_left_says_that_it_is_held_again(world: World) -> None:
    code, text = run("release", str(CAPTURE), "--accept", "1", *DECIDED, "--yes")
    assert (code, "held again" in text) == (65, True)


def test_a_box_drawn_by_hand_is_hidden_and_may_go_round_the_edge(world: World) -> None:
    boxes = ("--hide", "500,110,20,145", "--hide", "plate:190,120,235,145")
    (told,) = rows("release", str(CAPTURE), *boxes, *DECIDED, "--yes")
    assert [(box["kind"], box["west"] > box["east"]) for box in told["review"]["hide"]] == [("face", True), ("plate", False)]
    assert told["outcome"] == "published"


@pytest.mark.parametrize(("option", "code"), [("--dry-run", 0), (None, 64)])
def test_a_release_that_is_only_looked_at_changes_nothing(world: World, option: str | None, code: int) -> None:
    arguments = ("release", str(CAPTURE), "--accept", "all", *DECIDED, *([option] if option else []))
    ended, text = run(*arguments)
    assert (ended, "2 finds accepted" in text) == (code, True)
    assert [row["decided"] for row in rows("list")] == ["waiting", "waiting"]


def test_nobody_waits_longer_than_they_said(world: World) -> None:
    world.live.awake = False
    code, text = run("release", str(CAPTURE), "--accept", "all", *DECIDED, "--yes", "--patience", "0")
    assert (code, "nothing came of it yet" in text) == (75, True)
    assert [row["decided"] for row in rows("list", "--all")][:1] == ["release"]


def test_a_waived_gate_is_told_by_what_is_left_then(world: World) -> None:
    asyncio.run(_held_by_the_gate_only(world))
    code, _ = run("release", str(OTHER), "--waive-quality", *DECIDED, "--yes")
    assert code == 65
    (shown,) = rows("show", str(OTHER))
    assert (shown["reason"], shown["review"]["waive"], [one["number"] for one in shown["regions"]]) == (
        "not_verified",
        True,
        [1, 2],
    )


async def _held_by_the_gate_only(world: World) -> None:
    assert (await world.case(OTHER)).hold.verification.rounds == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("release", "fyn-2026/car7-0601/000009", "--accept", "1", *DECIDED), 78, "No capture"),
        (("release", "fyn-2026", "--accept", "1", *DECIDED), 65, "unknown_key"),
        (("release", str(CAPTURE), *DECIDED), 78, "Nothing was decided"),
        (("release", str(CAPTURE), "--accept", "9", *DECIDED), 78, "the number 9; there are 1, 2"),
        (("release", str(CAPTURE), "--accept", "x", *DECIDED), 2, "a number"),
        (("release", str(CAPTURE), "--accept", "all", "--accept", "1", *DECIDED), 2, "goes with no number"),
        (("release", str(CAPTURE), "--hide", "1,2,3", *DECIDED), 2, "X0,Y0,X1,Y1"),
        (("release", str(CAPTURE), "--hide", "1,2,600,9", *DECIDED), 78, "does not lie in the panorama"),
        (("release", str(CAPTURE), "--waive-quality", *DECIDED), 78, "not held by the quality gate"),
        (("release", str(OTHER), "--accept", "all", *DECIDED), 78, "Nothing was left"),
        (("release", str(CAPTURE), "--accept", "1", "--by", "Ann Lee", "--because", "x"), 2, "no person's name"),
        (("release", str(CAPTURE), "--accept", "1", "--by", "r", "--because", " "), 2, "say why"),
        (("keep", str(CAPTURE), "--by", "r"), 2, "--because"),
        (("show", "fyn-2026/car7-0601/000009"), 78, "No capture"),
    ],
)
def test_wrong_input_is_one_sentence_and_an_exit_code(world: World, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended, text = run(*arguments)
    assert ended == code
    assert said in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("command", ["list", "show", "release", "keep"])
def test_every_command_has_examples(command: str) -> None:
    code, text = run(command, "--help")
    assert (code, "Examples:" in text) == (0, True)
