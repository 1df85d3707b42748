"""What the templates expect of the images that they name."""

from collections.abc import Iterator

import pytest

from tests.deploy.templates import FOLDER, resources

SERVICES = ("ingest", "stitcher", "anonymizer", "archivist")
RECIPES = dict.fromkeys(SERVICES, "Dockerfile") | {
    "metrics": "Dockerfile.console",
    "triton": "Dockerfile.triton",
    "prometheus": "Dockerfile.prometheus",
    "grafana": "Dockerfile.grafana",
}


def _mounts() -> Iterator[tuple[str, str]]:
    for name in ("services", "gpu", "observe"):
        for task in resources(name, "AWS::ECS::TaskDefinition").values():
            for container in task["ContainerDefinitions"]:
                yield from ((container["Name"], mount["ContainerPath"]) for mount in container.get("MountPoints", []))


@pytest.mark.parametrize(("name", "path"), list(_mounts()))
def test_what_a_task_mounts_is_a_volume_of_its_image(name: str, path: str) -> None:
    """Fargate gives what it mounts to root alone, with 0755, unless the image calls it a volume: nobody could write there."""
    lines = (FOLDER.parent / "images" / RECIPES[name]).read_text().splitlines()
    assert path in {volume for line in lines if line.startswith("VOLUME ") for volume in line.split()[1:]}
