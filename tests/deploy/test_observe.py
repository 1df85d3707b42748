"""Prometheus and Grafana on ECS: what they are told agrees with what the other templates name, and Prometheus understands it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.observe.prometheus import find
from tests.deploy.templates import FOLDER, resources

OBSERVE = FOLDER.parent / "observe"
SCRAPED: dict[str, Any] = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())
BY_NAME = {each["job_name"]: each["dns_sd_configs"][0] for each in SCRAPED["scrape_configs"] if "dns_sd_configs" in each}
BY_HAND = {"replay"}
"""A replay is a task that somebody starts, not a service: who wants it scraped registers it."""


def _registered() -> set[str]:
    found = [
        each for name in ("services", "gpu", "observe") for each in resources(name, "AWS::ServiceDiscovery::Service").values()
    ]
    (names,) = resources("network", "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    return {f"{each['Name']}.{names['Name']}" for each in found}


def test_everything_that_is_scraped_by_name_has_that_name() -> None:
    asked = {name for job, each in BY_NAME.items() for name in each["names"] if job not in BY_HAND}
    assert asked <= _registered()
    assert _registered() - asked == {"grafana.panoveil.local"}


def test_prometheus_may_reach_every_port_that_it_scrapes() -> None:
    (scrapers,) = (each for name, each in resources("network", "AWS::EC2::SecurityGroup").items() if name == "ScrapersGroup")
    assert {rule["FromPort"] for rule in scrapers["SecurityGroupEgress"]} == {each["port"] for each in BY_NAME.values()}


def test_every_name_is_that_of_a_service() -> None:
    for name in ("services", "gpu", "observe"):
        used = {
            each["ServiceRegistries"][0]["RegistryArn"]["GetAtt"].removesuffix(".Arn")
            for each in resources(name, "AWS::ECS::Service").values()
            if "ServiceRegistries" in each
        }
        assert used == set(resources(name, "AWS::ServiceDiscovery::Service"))


def test_prometheus_understands_what_the_task_makes_of_its_configuration(tmp_path: Path) -> None:
    program = find("promtool")
    if program is None:
        pytest.skip("no promtool: `make prometheus` installs it")
    (container,) = resources("observe", "AWS::ECS::TaskDefinition")["PrometheusTask"]["ContainerDefinitions"]
    here = {
        "${Metrics.PrometheusEndpoint}": "https://example.test/workspaces/ws-1/",
        "${AWS::Region}": "eu-north-1",
        "/etc/prometheus/prometheus.yml": "$CONFIGURATION",
        "/prometheus/": f"{tmp_path}/",
        "prometheus --enable-feature=agent --config.file=": f"{program} check config --agent --syntax-only ",
        " --storage.agent.path": " #",
        "$CONFIGURATION": str(OBSERVE / "prometheus.yml"),
    }
    command = container["Command"][0]["Sub"]
    for theirs, ours in here.items():
        command = command.replace(theirs, ours)
    done = subprocess.run([*container["EntryPoint"], command], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = yaml.safe_load((tmp_path / "agent.yml").read_text())
    assert made["remote_write"][0]["url"] == "https://example.test/workspaces/ws-1/api/v1/remote_write"
    assert made["scrape_configs"] == SCRAPED["scrape_configs"]


def test_grafana_on_ecs_has_the_one_source_that_dashboards_ask() -> None:
    sources = [
        yaml.safe_load((OBSERVE / "provisioning" / path).read_text())["datasources"]
        for path in ("datasources.yml", "ecs/datasources.yml")
    ]
    ((here,), (there,)) = sources
    assert {name: here[name] for name in ("name", "type", "isDefault")} == {
        name: there[name] for name in ("name", "type", "isDefault")
    }
    assert there["jsonData"]["sigV4Auth"] is True
