import pytest

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaHeld, encode
from panoveil.contracts.reasons import Reason
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
