import pytest
from pydantic import ValidationError

from panoveil.runtime import _kcl
from panoveil.settings import Settings


def test_records_are_polled_for_unless_fan_out_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _kcl("ingest", Settings()).retrieval == "polling"
    monkeypatch.setenv("PANOVEIL_RETRIEVAL", "fanout")
    assert _kcl("ingest", Settings()).retrieval == "fanout"
    monkeypatch.setenv("PANOVEIL_RETRIEVAL", "telepathy")
    with pytest.raises(ValidationError, match="retrieval"):
        Settings()
