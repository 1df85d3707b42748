"""Write the SHA-256 of every model's weights into its `config.pbtxt`, where Triton passes it on and recipes take it from.

`python -m console.stack.triton_stamp [REPOSITORY]`, to be run after a model was trained anew.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
_LINE = re.compile(r'parameters \{ key: "sha256" value: \{ string_value: "([0-9a-f]*)" \} \}')


def main(arguments: Sequence[str]) -> int:
    """Stamp every model of the repository."""
    for folder, weights in models(Path(arguments[0]) if arguments else REPOSITORY):
        stamp(folder / "config.pbtxt", hashlib.sha256(weights.read_bytes()).hexdigest())
    return 0


def models(repository: Path) -> Iterator[tuple[Path, Path]]:
    """Yield every model's folder and the weights of its newest version, where it has any."""
    for config in sorted(repository.glob("*/config.pbtxt")):
        versions = sorted(config.parent.glob("[0-9]*/model.onnx"), key=lambda path: int(path.parent.name))
        if versions:
            yield config.parent, versions[-1]


def stamped(config: Path) -> str:
    """Return the hash that a config.pbtxt names, or nothing."""
    found = _LINE.search(config.read_text(encoding="utf-8"))
    return found.group(1) if found else ""


def stamp(config: Path, sha256: str) -> None:
    """Put the hash into the file, in the place of the old one or at its end."""
    text = config.read_text(encoding="utf-8")
    line = f'parameters {{ key: "sha256" value: {{ string_value: "{sha256}" }} }}'
    config.write_text(_LINE.sub(line, text) if _LINE.search(text) else f"{text.rstrip()}\n{line}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
