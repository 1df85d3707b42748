"""The templates deployed one after the other in an emulator that runs ECS services as containers: they publish a drive.

What is changed of them, and nothing else, is in `_without_index`, `_known` and `_local`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
import pytest_asyncio
import yaml
from botocore.exceptions import WaiterError

from console.demo.drives import SURVEY, existing_drive
from console.demo.run import Drive, import_rig
from console.stack import triton
from console.stack.emulator import CREDENTIALS, start_emulator
from console.stack.processes import free_port
from console.stack.stack import ARCHIVIST, MODELS, TRITON_VENV, environ
from panoveil.ledger import ENDS, CaptureState, State
from panoveil.runtime import Connections, connect
from panoveil.settings import Settings
from services.agent.app import connect as agent_connect
from services.agent.app import upload_drive
from services.agent.settings import AgentSettings
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street
from tests.deploy.templates import FOLDER
from tests.deploy.test_containers import images_of_this_checkout

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

WIDTH, CAPTURES = 1024, 2
SERVICES = ("ingest", "stitcher", "anonymizer", "archivist")
_PATIENCE = 420.0
_REGION = CREDENTIALS["AWS_DEFAULT_REGION"]
__all__ = ["images_of_this_checkout"]


def _text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text()


def _without_index(data: str) -> str:
    """Return the data without the index of leases: the emulator never calls one active that a template made; the KCL makes its own."""
    index = data[
        data.index("      GlobalSecondaryIndexes:\n        - IndexName: LeaseOwner") : data.index("\n  IngestCoordinator:")
    ]
    return data.replace(index, "").replace(", {AttributeName: leaseOwner, AttributeType: S}]", "]")


def _known(network: str) -> str:
    """Return the network without its flow log, which is the one thing in these templates that the emulator does not know."""
    before, flow_log = network.split("  FlowLog:\n")
    return before + flow_log[flow_log.index("Outputs:") :]


def _local(services: str, endpoint: str) -> str:
    """Return the services as this machine can run them: in its network, each with a port, asking the emulator, drawing small panoramas."""
    ours = f"""            - {{Name: PANOVEIL_ENDPOINT_URL, Value: "{endpoint}"}}
            - {{Name: PANOVEIL_STITCH__WIDTH, Value: "{WIDTH}"}}
            - {{Name: PANOVEIL_METRICS_HOST, Value: 127.0.0.1}}
"""
    theirs = "            - {Name: PANOVEIL_METRICS_HOST, Value: 0.0.0.0}\n"
    text = services.replace("NetworkMode: awsvpc", "NetworkMode: host").replace(theirs, ours)
    while (port := 'PANOVEIL_METRICS_PORT, Value: "9400"') in text:
        text = text.replace(port, f'PANOVEIL_METRICS_PORT, Value: "{free_port()}"', 1)
    return text


def _deploy(endpoint: str, name: str, body: str, parameters: Mapping[str, str]) -> None:
    cloudformation: Any = boto3.client("cloudformation", endpoint_url=endpoint)
    told = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation.create_stack(StackName=name, TemplateBody=body, Parameters=told)
    try:
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except WaiterError:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"] == "CREATE_FAILED"]
        pytest.fail(f"{name}: {[(each['LogicalResourceId'], each.get('ResourceStatusReason')) for each in failed]}")


@pytest.fixture(scope="module", name="drive")
def photographed(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Drive:
    folder: Path = tmp_path_factory.mktemp("drive")
    photograph(Street(3, CAPTURES, WIDTH), demo_rig(WIDTH), folder, SURVEY, "on-ecs", CAPTURES, 3)
    return existing_drive(folder, WIDTH)


@pytest.fixture(scope="module", name="endpoint")
def emulated(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = start_emulator(tmp_path_factory.mktemp("emulator"))
    settings = {"PANOVEIL_ENDPOINT_URL": url, "PANOVEIL_REGION": _REGION}
    with environ({**CREDENTIALS, **settings}):
        try:
            yield url
        finally:
            _stopped(url)
            process.stop(8)


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="server")
async def triton_here(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[triton.Command]:
    async with triton.running(MODELS, TRITON_VENV, tmp_path_factory.mktemp("triton")) as server:
        yield server


@pytest.fixture(scope="module", name="deployed")
def every_stack(endpoint: str, server: triton.Command, images: dict[str, str]) -> str:
    _deploy(endpoint, "data", _without_index(_text("data")), {"UploadShards": "1", "HeavyShards": "2"})
    _deploy(endpoint, "network", _known(_text("network")), {})
    told = {f"{service.capitalize()}Image": f"panoveil/{service}:latest" for service in SERVICES}
    # With scaling on, the template names no number of tasks, and ECS starts one each.
    _deploy(endpoint, "services", _local(_text("services"), endpoint), told | {"TritonUrl": server.grpc_url, "Scaling": "on"})
    return endpoint


def _stopped(endpoint: str) -> None:
    """Let ECS stop its containers."""
    ecs: Any = boto3.client("ecs", endpoint_url=endpoint)
    for service in SERVICES:
        with contextlib.suppress(ecs.exceptions.ClientError):
            ecs.update_service(cluster="panoveil", service=f"panoveil-{service}", desiredCount=0)


def _containers() -> dict[str, Any]:
    with contextlib.closing(docker.from_env()) as client:
        found = client.containers.list(filters={"label": "com.amazonaws.ecs.container-name"})
        return {each.labels["com.amazonaws.ecs.container-name"]: each for each in found}


async def _ended(drive: Drive, world: Connections) -> list[CaptureState]:
    """Wait until every capture has its end, and the originals of what is published lie in the archive."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        states = [state async for state in world.ledger.captures(drive.drive_id) if state.state in ENDS]
        archived = [message async for message in world.ledger.messages(drive.drive_id, ARCHIVIST)]
        if len(states) == CAPTURES and len(archived) == sum(state.state is State.PUBLISHED for state in states):
            return states
        await asyncio.sleep(1)
    said = {name: each.logs(tail=20).decode() for name, each in _containers().items()}
    return pytest.fail(f"the drive did not end in {_PATIENCE:.0f} s: {yaml.safe_dump(said)}")


async def test_services_of_the_template_publish_and_archive_a_drive(deployed: str, drive: Drive) -> None:
    async with connect(Settings()) as world, agent_connect(AgentSettings()) as ports:
        await import_rig(drive.folder, world)
        await upload_drive(drive.folder, ports, lambda _event: None)
        states = await _ended(drive, world)
    assert {state.state for state in states} == {State.PUBLISHED}, states
    assert set(_containers()) == set(SERVICES)
