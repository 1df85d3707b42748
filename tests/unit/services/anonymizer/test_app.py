import pytest

from panoveil.contracts import examples
from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaStitched
from panoveil.contracts.reasons import Reason
from panoveil.streams import Record
from services.anonymizer import app


def _record(name: str) -> Record:
    return Record("shard", "1", "survey/drive/capture", examples.read(name), 0.0)


@pytest.mark.parametrize(("name", "carried"), [("panorama.stitched.1", 0), ("panorama.stitched.2", 2)])
def test_every_version_of_a_stitched_panorama_is_worked_on_as_todays(name: str, carried: int) -> None:
    message = app._stitched(_record(name))
    assert isinstance(message, PanoramaStitched)
    assert len(message.carried) == carried


def test_a_message_of_another_stage_is_refused() -> None:
    with pytest.raises(Rejected, match=r"capture\.ready") as caught:
        app._stitched(_record("capture.ready.1"))
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE
