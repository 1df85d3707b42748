import pytest
from pydantic import ValidationError

from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.reasons import Reason
from panoveil.ledger import MemoryLedger, State
from panoveil.runtime import _kcl, unless_erased
from panoveil.settings import Settings
from panoveil.streams import Record


def test_records_are_polled_for_unless_fan_out_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _kcl("ingest", Settings()).retrieval == "polling"
    monkeypatch.setenv("PANOVEIL_RETRIEVAL", "fanout")
    assert _kcl("ingest", Settings()).retrieval == "fanout"
    monkeypatch.setenv("PANOVEIL_RETRIEVAL", "telepathy")
    with pytest.raises(ValidationError, match="retrieval"):
        Settings()


def record(key: str) -> Record:
    return Record("shard", "1", key, b"{}", 0.0)


async def test_records_of_what_was_erased_pass_a_handler_by() -> None:
    ledger, worked = MemoryLedger(), list[str]()

    async def handler(record: Record) -> None:
        worked.append(record.partition_key)

    await ledger.move(CaptureId.parse("dk/d1/c1"), State.ERASED)
    await ledger.end_drive("dk/d2")
    for key in ("dk/d1/c1", "dk/d1/c2", "dk/d2/c1", "no capture"):
        await unless_erased(handler, ledger)(record(key))
    assert worked == ["dk/d1/c2", "no capture"]


@pytest.mark.parametrize("erased", [True, False])
async def test_what_was_erased_while_it_was_worked_on_is_not_put_away(*, erased: bool) -> None:
    ledger = MemoryLedger()

    async def handler(record: Record) -> None:
        if erased:
            await ledger.move(CaptureId.parse(record.partition_key), State.ERASED)
        raise Rejected(Reason.OBJECT_GONE, "")

    living = unless_erased(handler, ledger)
    if erased:
        await living(record("dk/d1/c1"))
    else:
        with pytest.raises(Rejected):
            await living(record("dk/d1/c1"))
