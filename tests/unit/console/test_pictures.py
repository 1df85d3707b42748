import pytest

from console.pictures import Running
from console.stack import triton
from panoveil.contracts.recipe import Model
from services.anonymizer.settings import AnonymizerSettings

MODEL = Model(name="face", version="1", sha256="0" * 64, threshold=0.3)


def test_what_is_asked_for_goes_into_the_recipe_and_the_rest_stays_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PANOVEIL_OBFUSCATOR", "fill")
    monkeypatch.setenv("PANOVEIL_MARGIN", "0.4")
    assert AnonymizerSettings().recipe(MODEL, MODEL).obfuscator == "fill"
    settings = Running(plan="fast", obfuscator="blur").settings("host:1")
    assert (settings.view_plan, settings.obfuscator, settings.margin, settings.triton_url) == ("fast", "blur", 0.4, "host:1")
    assert Running().settings("host:1").obfuscator == "fill"


@pytest.mark.parametrize("room", [True, False])
def test_only_a_triton_of_ones_own_gets_pictures_through_shared_memory(monkeypatch: pytest.MonkeyPatch, *, room: bool) -> None:
    monkeypatch.setattr(triton, "can_share_memory", lambda: room)
    assert Running().settings("127.0.0.1:1").triton_shared_memory is room
    assert not Running("gpu-host:8001").settings("gpu-host:8001").triton_shared_memory
