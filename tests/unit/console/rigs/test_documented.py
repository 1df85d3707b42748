"""docs/rig.md says what the code does."""

import re
from pathlib import Path

import pytest

from console.rigs import importers
from console.rigs.importers import Format
from panoveil.contracts.rig import BrownConrady, Chromatic, KannalaBrandt, Lens, Photometry, Rig

_TEXT = (Path(__file__).parents[4] / "docs" / "rig.md").read_text()


def test_the_example_is_a_rig(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", _TEXT, re.DOTALL)
    assert example
    (tmp_path / "rig.json").write_text(example[1])
    rig = importers.load_rig(tmp_path / "rig.json")
    assert [lens.intrinsics.model for lens in rig.lenses] == ["kannala_brandt", "brown_conrady"]


@pytest.mark.parametrize("model", [Rig, Lens])
def test_every_field_is_explained(model: type[Rig | Lens]) -> None:
    table = _TEXT[_TEXT.index("### Fields") : _TEXT.index("Unknown fields")]
    assert [name for name in model.model_fields if f"`{name}`" not in table and f"[].{name}`" not in table] == []


@pytest.mark.parametrize("model", [BrownConrady, KannalaBrandt])
def test_every_coefficient_is_in_a_formula_or_its_text(model: type[BrownConrady | KannalaBrandt]) -> None:
    assert [name for name in model.model_fields if not re.search(rf"\b{name}\b", _TEXT[_TEXT.index("### `brown") :])] == []


def test_photometry_is_explained() -> None:
    section = _TEXT[_TEXT.index("### `photometry`") : _TEXT.index("## What")]
    assert [name for name in [*Photometry.model_fields, *Chromatic.model_fields] if f"`{name}`" not in section] == []


def test_every_format_has_a_row() -> None:
    said = {Format.PANOVEIL: "| our JSON", Format.DOUBLE_SPHERE: "| double sphere JSON", Format.NUSCENES: "| nuScenes-style"}
    rows = {kind: said.get(kind, f"| {kind}") for kind in Format}
    assert [kind for kind, row in rows.items() if row.lower() not in _TEXT.lower()] == []
