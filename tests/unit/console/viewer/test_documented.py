"""docs/published.md shows commands that there are, and the objects that are published."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli import app
from panoveil.contracts.keys import current_key, published_keys, suffix

PAGE = (Path(__file__).parents[4] / "docs" / "published.md").read_text()
COMMANDS = re.findall(r"^panoveil (\w+)(.*?)(?:#.*)?$", PAGE, re.MULTILINE)


def test_the_page_shows_commands() -> None:
    assert {name for name, _ in COMMANDS} == {"catalogue", "view"}


@pytest.mark.parametrize(("name", "rest"), COMMANDS)
def test_a_command_knows_the_options_that_the_page_gives_it(name: str, rest: str) -> None:
    known = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    assert [option for option in re.findall(r"--[a-z-]+", rest) if option not in known] == []


def test_every_object_that_is_published_is_on_the_page() -> None:
    names = {f"<recipe>{suffix(ref.key)}" for ref in published_keys("s/d/c", "r")} | {current_key("s/d/c").key.rsplit("/", 1)[1]}
    assert [name for name in names if f"`{name}`" not in PAGE] == []
