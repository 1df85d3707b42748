"""The services as they run on ECS: each in a container that cannot write, is nobody, and has so much memory and no more."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
import pytest_asyncio
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from console.demo.drives import SURVEY, existing_drive
from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from console.stack.processes import free_port
from panoveil.ledger import ENDS, CaptureState, State
from panoveil.runtime import Connections, connect
from services.agent.app import connect as agent_connect
from services.agent.app import upload_drive
from services.agent.settings import AgentSettings
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

MEGABYTES = {"ingest": 1024, "stitcher": 1536, "anonymizer": 1536}
WIDTH, CAPTURES = 1024, 3
_PATIENCE = 300.0
_DRAINED = 60


def _daemon_answers() -> bool:
    """Docker's own client leaves its socket open where nobody answers."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with socket.socket(socket.AF_UNIX) as probe:
        return address.startswith("unix://") and probe.connect_ex(address.removeprefix("unix://")) == 0


@pytest.fixture(scope="module", name="images")
def images_of_this_checkout() -> dict[str, str]:
    if not _daemon_answers():
        pytest.skip("no Docker daemon: k8s-or-ecs/images/local-docker starts one")
    with contextlib.closing(docker.from_env()) as client:
        known = {tag for image in client.images.list() for tag in image.tags}
    names = {service: f"panoveil/{service}:latest" for service in stacks.SERVICES}
    if missing := set(names.values()) - known:
        pytest.skip(f"no images {sorted(missing)}: `make images` builds them")
    return names


@pytest.fixture(scope="module", name="drive")
def photographed(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Drive:
    folder: Path = tmp_path_factory.mktemp("drive")
    photograph(Street(3, CAPTURES, WIDTH), demo_rig(WIDTH), folder, SURVEY, "contained", CAPTURES, 3)
    return existing_drive(folder, WIDTH)


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="servers")
async def emulator_and_triton(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[stacks.Stack]:
    """No service runs beside them."""
    extra = {"PANOVEIL_STITCH__WIDTH": str(WIDTH)}
    async with stacks.running(tmp_path_factory.mktemp("servers"), extra, services=()) as stack:
        yield stack


@pytest.fixture(scope="module", name="containers")
def services_in_containers(images: dict[str, str], servers: stacks.Stack) -> Iterator[dict[str, DockerContainer]]:
    testcontainers_config.ryuk_disabled = True  # its own container would have to be pulled
    with ExitStack() as closing:
        yield {
            service: closing.enter_context(_container(service, image, servers.environment)) for service, image in images.items()
        }


def _container(service: str, image: str, environment: Mapping[str, str]) -> DockerContainer:
    own = {
        "PANOVEIL_METRICS_HOST": "127.0.0.1",
        "PANOVEIL_METRICS_PORT": str(free_port()),
        "PANOVEIL_TABLES": "/tmp/tables",  # noqa: S108
        "PANOVEIL_TRITON_SHARED_MEMORY": "false",  # a container's /dev/shm is its own
    }
    container = (
        DockerContainer(image)
        .with_tmpfs_mount("/tmp", "size=512m")  # noqa: S108 - its own
        .with_kwargs(
            network_mode="host",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=f"{MEGABYTES[service]}m",
            memswap_limit=f"{MEGABYTES[service]}m",
        )
    )
    for name, value in {**environment, **own}.items():
        container = container.with_env(name, value)
    return container


def _facts(container: DockerContainer) -> dict[str, Any]:
    wrapped = container.get_wrapped_container()
    wrapped.reload()
    facts: dict[str, Any] = wrapped.attrs
    return facts


async def _ended(drive: Drive, world: Connections, containers: Mapping[str, DockerContainer]) -> list[CaptureState]:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        states = [state async for state in world.ledger.captures(drive.drive_id)]
        if len(states) == CAPTURES and all(state.state in ENDS for state in states):
            return states
        for service, container in containers.items():
            if not _facts(container)["State"]["Running"]:
                pytest.fail(f"{service} ended: {container.get_logs()[1].decode()[-2000:]}")
        await asyncio.sleep(0.5)
    return pytest.fail(f"the drive did not end in {_PATIENCE:.0f} s")


async def test_a_drive_is_published_by_containers(
    drive: Drive, servers: stacks.Stack, containers: dict[str, DockerContainer]
) -> None:
    async with connect(servers.settings) as world, agent_connect(AgentSettings()) as ports:
        await import_rig(drive.folder, world)
        await upload_drive(drive.folder, ports, lambda _event: None)
        states = await _ended(drive, world, containers)
    assert {state.state for state in states} <= {State.PUBLISHED, State.HELD}, states


@pytest.mark.parametrize("service", stacks.SERVICES)
async def test_a_container_is_nobody_and_can_write_nowhere(service: str, containers: dict[str, DockerContainer]) -> None:
    wrapped = containers[service].get_wrapped_container()
    code, who = wrapped.exec_run(["sh", "-c", "id -u; touch /app/x /etc/x; grep CapEff /proc/self/status"])
    assert isinstance(who, bytes)
    said = who.decode()
    assert code == 0
    assert "10001\n" in said
    assert said.count("Read-only file system") == 2
    assert "CapEff:\t0000000000000000" in said


@pytest.mark.parametrize("service", stacks.SERVICES)
async def test_a_container_is_healthy_within_its_memory(service: str, containers: dict[str, DockerContainer]) -> None:
    wrapped = containers[service].get_wrapped_container()
    check = _facts(containers[service])["Config"]["Healthcheck"]["Test"][1:]
    assert wrapped.exec_run(check).exit_code == 0
    assert not _facts(containers[service])["State"]["OOMKilled"]
    used: Any = wrapped.stats(stream=False)
    assert 50e6 < used["memory_stats"]["usage"] < MEGABYTES[service] * 2**20


async def test_containers_drain_when_told_to_stop(containers: dict[str, DockerContainer]) -> None:
    """As ECS stops a task: SIGTERM, and SIGKILL only much later. Comes last."""
    wrapped = [container.get_wrapped_container() for container in containers.values()]
    await asyncio.gather(*(asyncio.to_thread(each.stop, timeout=_DRAINED) for each in wrapped))
    assert [_facts(container)["State"]["ExitCode"] for container in containers.values()] == [0, 0, 0]
