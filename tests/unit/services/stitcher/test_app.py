import hashlib
import json

import pytest

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaHeld, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import CODE_VERSION, Model, StitchRecipe
from panoveil.streams import Record
from services.stitcher import app
from services.stitcher.settings import StitcherSettings


def _record(data: bytes) -> Record:
    return Record("shard", "1", "survey/drive/capture", data, 0.0)


def test_a_message_of_another_stage_is_refused() -> None:
    held = PanoramaHeld(capture_id="s/d/c", recipe_id="r", reason=Reason.NOT_VERIFIED, detail="")
    with pytest.raises(Rejected, match=r"panorama\.held") as caught:
        app._ready(_record(encode(held)))
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


def test_settings_reach_into_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOVEIL_STITCH__WIDTH", "4096")
    monkeypatch.setenv("PANOVEIL_STITCH__SEAM_WIDTH", "2")
    settings = StitcherSettings()
    assert (settings.stitch.width, settings.stitch.seam_width) == (4096, 2)
    assert settings.stitch.recipe_id != StitcherSettings().stitch.model_copy(update={"width": 8192}).recipe_id


MODEL = Model(name="face", version="1", sha256="0" * 64, threshold=0.2)


@pytest.mark.parametrize(
    ("view_plan", "second_source", "where"),
    [
        ("standard", None, None), ("thorough", None, "seams"), ("thorough", "off", None), ("fast", "everywhere", "everywhere"),
    ],
)  # fmt: skip
def test_frames_are_looked_at_where_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, view_plan: str, second_source: str | None, where: str | None
) -> None:
    monkeypatch.setenv("PANOVEIL_VIEW_PLAN", view_plan)
    if second_source:
        monkeypatch.setenv("PANOVEIL_SECOND_SOURCE", second_source)
    settings = StitcherSettings()
    source = settings.recipe(MODEL, MODEL).second_source
    assert settings.looks_at_frames == (where is not None)
    assert (source and source.where) == where
    assert source is None or source.view_plan == view_plan


def test_a_recipe_that_looks_nowhere_and_lacks_nothing_is_the_one_from_before_there_were_either() -> None:
    recipe = StitchRecipe()
    later = {"second_source", "without"}
    document = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in later}
    del document["gate"]["missing_lenses"]
    canonical = json.dumps({"code": CODE_VERSION, **document}, sort_keys=True, separators=(",", ":"))
    assert recipe.recipe_id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    looking = StitcherSettings(second_source="seams")
    assert looking.recipe(MODEL, MODEL).recipe_id != looking.stitch.recipe_id
    other = MODEL.model_copy(update={"sha256": "1" * 64})
    assert looking.recipe(MODEL, MODEL).recipe_id != looking.recipe(MODEL, other).recipe_id


async def test_without_looking_triton_is_not_asked() -> None:
    assert await app.recipe_of(StitcherSettings(second_source="off"), None)() == StitcherSettings().stitch
