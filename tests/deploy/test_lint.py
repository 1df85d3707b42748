"""Every template as cfn-lint reads it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.templates import FOLDER


def _found(path: Path) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(path)], check=False, capture_output=True, text=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_cfn_lint_finds_nothing(path: Path) -> None:
    assert not _found(path)


def test_cfn_lint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "data.yaml"
    broken.write_text((FOLDER / "data.yaml").read_text().replace("BillingMode: PAY_PER_REQUEST", "BillingMode: FREE"))
    assert "PAY_PER_REQUEST" in _found(broken)
