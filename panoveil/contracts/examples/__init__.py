"""An example of every version of everything that crosses a boundary: `<stream or type>.<version>.json`.

`capture` is the manifest in a drive folder, `rig` a calibration, `audit.*` the entries of an audit chain; `uploads.*` are the two forms
of an S3 event.
A version once released keeps its example for ever: tests read each of them.
"""

from collections.abc import Iterator
from importlib.resources import files


def names() -> list[str]:
    """Return the name of every example, ordered."""
    return sorted(file.name.removesuffix(".json") for file in files(__name__).iterdir() if file.name.endswith(".json"))


def read(name: str) -> bytes:
    """Return one example as it lies on the stream or disk: `read("capture.ready.1")`."""
    return (files(__name__) / f"{name}.json").read_bytes()


def messages() -> Iterator[tuple[str, bytes]]:
    """Yield name and text of every message that services send one another."""
    return ((name, read(name)) for name in names() if name.startswith(("capture.ready", "panorama.")))
