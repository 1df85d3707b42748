"""All dashboards, and the files that they become."""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from console.observe.dashboards import cost, health, progress, quality, replay, triton
from console.stack.stack import HOME

FOLDER = HOME / "k8s-or-ecs" / "observe" / "dashboards"
PAGES = (progress.page, health.page, quality.page, triton.page, replay.page, cost.page)


def texts() -> dict[str, str]:
    """Return the text of every provisioned file by its name."""
    return {f"{page.name}.json": _text(page.built()) for page in (make() for make in PAGES)}


def _text(built: object) -> str:
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(built)), indent=2, sort_keys=True) + "\n"
