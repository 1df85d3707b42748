import pytest
from pydantic import ValidationError

from panoveil.contracts.rig import Chromatic, Lens, Photometry, Rig

OLD = """{"type":"rig","version":1,"rig_id":"old","lenses":[{"name":"one","width":100,"height":80,
"intrinsics":{"model":"brown_conrady","fx":50,"fy":50,"cx":49.5,"cy":39.5},"rotation":[[1,0,0],[0,1,0],[0,0,1]],
"photometry":{"gain":[1,1,1],"vignetting":[-0.2,0,0]}}]}"""


def test_a_rig_of_before_responses_is_read_as_it_was() -> None:
    lens: Lens = Rig.model_validate_json(OLD).lenses[0]
    assert lens.photometry == Photometry(vignetting=(-0.2, 0, 0), response=(0, 0, 0))
    assert lens.chromatic == Chromatic()


@pytest.mark.parametrize("response", [(0.9, 0, 0), (-0.9, 0, 0), (0.3, -0.4, 0.2), (0.0, 0.9, 0)])
def test_a_response_that_rises_is_taken(response: tuple[float, float, float]) -> None:
    assert Photometry(response=response).response == response


@pytest.mark.parametrize("response", [(1.2, 0, 0), (-1.0, 0, 0), (0, -3.0, 0), (0, 1.5, 0)])
def test_a_response_that_falls_or_is_flat_somewhere_is_refused(response: tuple[float, float, float]) -> None:
    with pytest.raises(ValidationError, match="its slope at"):
        Photometry(response=response)


def test_a_lateral_colour_of_a_twentieth_is_no_calibration() -> None:
    with pytest.raises(ValidationError):
        Chromatic(red=(0.06, 0))
