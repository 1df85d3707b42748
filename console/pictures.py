"""`panoveil anonymize`: a Triton of its own (or one that runs), a progress bar, and how it ended."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from console.anonymize import Counts, Event, Finished, Started, anonymize_folder
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.recipe import Obfuscator
from panoveil.detection import TritonDetector
from panoveil.detection.views import PlanName
from services.anonymizer.app import recipe_of
from services.anonymizer.settings import AnonymizerSettings


@dataclass(frozen=True)
class Running:
    """What detects: the gRPC host:port of a Triton that runs (None starts one for as long as it takes), and another view plan or obfuscator."""

    triton_url: str | None = None
    plan: PlanName | None = None
    obfuscator: Obfuscator | None = None

    def settings(self, url: str) -> AnonymizerSettings:
        """Return the environment's settings with these in their place; a Triton of our own gets pictures through shared memory."""
        shared = self.triton_url is None and triton.can_share_memory()
        wanted = {"view_plan": self.plan, "obfuscator": self.obfuscator, "triton_shared_memory": shared}
        return AnonymizerSettings(triton_url=url).model_copy(update={name: value for name, value in wanted.items() if value})


async def anonymize_pictures(source: Path, target: Path, report: Path, running: Running, console: Console) -> Counts:
    """Anonymise the folder with a progress bar."""
    _require_pictures(source)
    async with _triton(running.triton_url) as url:
        settings = running.settings(url)
        async with TritonDetector.of(settings) as detector:
            recipe = await recipe_of(settings, detector)()
            with _bar(console) as bar:
                return await anonymize_folder(source, target, report, detector, recipe, _Listener(bar))


def _require_pictures(source: Path) -> None:
    if not source.is_dir():
        raise Misconfigured(f"{source} is no folder: name one that holds JPEG or PNG pictures.")


@contextlib.asynccontextmanager
async def _triton(url: str | None) -> AsyncIterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="panoveil-") as state:
        async with triton.running(MODELS, TRITON_VENV, Path(state)) as server:
            yield server.grpc_url


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


class _Listener:
    """Moves the bar; names every picture that was not published."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("anonymising", total=None)

    def __call__(self, event: Event) -> None:
        match event:
            case Started(total=total):
                self._bar.update(self._task, total=total)
            case Finished(image=image, outcome=outcome):
                if outcome != "published":
                    self._bar.console.print(f"{outcome}: {image}", markup=False, soft_wrap=True)
                self._bar.advance(self._task)
