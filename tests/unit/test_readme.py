"""What the README says and the code knows is the same."""

from pathlib import Path

import pytest

from panoveil.contracts.reasons import ADVICE, Reason

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained_in_the_readme_as_in_the_code(reason: Reason) -> None:
    assert f"| `{reason}` | {ADVICE[reason]} |" in README
