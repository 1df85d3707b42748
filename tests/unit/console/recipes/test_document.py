"""A recipe's settings as a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import app
from console.recipes import document
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.recipe import Model, StitchRecipe

MODEL = Model(name="any", version="1", sha256="0" * 64, threshold=0.3)


def test_what_is_shown_and_read_again_is_the_same_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOVEIL_STITCH__WIDTH", "1024")
    monkeypatch.setenv("PANOVEIL_MARGIN", "0.4")
    monkeypatch.setenv("PANOVEIL_VIEW_PLAN", "thorough")
    file = tmp_path / "recipe.json"
    file.write_text(CliRunner().invoke(app, ["recipes", "show"]).stdout)
    services, read = document.running(), document.read(file)
    for name in ("PANOVEIL_STITCH__WIDTH", "PANOVEIL_MARGIN", "PANOVEIL_VIEW_PLAN"):
        monkeypatch.delenv(name)
    elsewhere = document.read(file)
    for other in (read, elsewhere):
        assert other.stitcher.recipe(MODEL, MODEL) == services.stitcher.recipe(MODEL, MODEL)
        assert other.anonymizer.recipe(MODEL, MODEL) == services.anonymizer.recipe(MODEL, MODEL)
    assert elsewhere.stitcher.stitch.width == 1024
    assert elsewhere.anonymizer.margin == 0.4


def test_what_a_file_leaves_out_stays_as_the_services_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOVEIL_STITCH__WIDTH", "1024")
    monkeypatch.setenv("PANOVEIL_OBFUSCATOR", "fill")
    changed = document.changed({"stitch": {"tone": 0.5}, "anonymize": {"margin": 0.3}, "detection": {"plate_threshold": 0.5}})
    assert changed.stitcher.stitch == StitchRecipe(width=1024, tone=0.5)
    assert (changed.anonymizer.obfuscator, changed.anonymizer.margin, changed.anonymizer.plate_threshold) == ("fill", 0.3, 0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stich": {}}, "a recipe has detection, stitch and anonymize"),
        ({"stitch": []}, "stitch must be an object"),
        ({"stitch": {"widht": 4096}}, "widht"),
        ({"stitch": {"width": 100}}, "width"),
        ({"stitch": {"without": ["left"]}}, "a capture's own"),
        ({"anonymize": {"margins": 0.3}}, "margins is no setting of it"),
        ({"anonymize": {"margin": 0.1}}, "margin"),
        ({"detection": {"triton_url": "elsewhere:1"}}, "triton_url is no setting of it"),
        ({"stitch": {"second_source": "sideways"}}, "second_source"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(wrong: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(wrong))
    with pytest.raises(Misconfigured, match=said) as caught:
        document.read(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("text", [None, "{"])
def test_a_file_that_cannot_be_read_is_said(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Misconfigured, match=r"cannot be read|no JSON"):
        document.read(file)
