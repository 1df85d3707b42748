"""Every alert on what it is for, by promtool itself: k8s-or-ecs/observe/rule-tests."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.observe.prometheus import RULES, configuration, find

OBSERVE = RULES.parent
TESTS = sorted((OBSERVE / "rule-tests").glob("*.yml"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = find("promtool")
    if program is None:
        pytest.skip("no promtool on this machine: `make prometheus`")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_on_what_they_are_for(path: Path) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def alerts(path: Path, key: str) -> set[str]:
    """Names of alerts in a file of rules, or of those that a file of tests expects to fire."""
    text: dict[str, Any] = yaml.safe_load(path.read_text())
    if key == "groups":
        return {rule["alert"] for group in text["groups"] for rule in group["rules"] if "alert" in rule}
    return {one["alertname"] for test in text["tests"] for one in test["alert_rule_test"] if one["exp_alerts"]}


def test_every_alert_is_seen_to_fire() -> None:
    defined = {name for path in RULES.glob("*.yml") for name in alerts(path, "groups")}
    assert defined == {name for path in TESTS for name in alerts(path, "tests")}


def test_the_configuration_on_ecs_holds() -> None:
    done = promtool("check", "config", str(OBSERVE / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_beside_a_demo_holds_and_has_the_same_jobs(tmp_path: Path) -> None:
    jobs = [one["job_name"] for one in yaml.safe_load((OBSERVE / "prometheus.yml").read_text())["scrape_configs"]]
    file = tmp_path / "prometheus.yml"
    file.write_text(configuration(dict.fromkeys(jobs, "127.0.0.1:1"), 0.5))
    done = promtool("check", "config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load(file.read_text())["global"]["scrape_interval"] == "500ms"
