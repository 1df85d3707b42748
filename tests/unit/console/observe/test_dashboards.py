"""The provisioned dashboards are what the code says, and ask only for what somebody serves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from console.observe.dashboards.pages import FOLDER, texts
from console.observe.prometheus import RULES
from panoveil import telemetry

BOARDS = sorted(FOLDER.glob("*.json"))
_NAME = re.compile(r"\b(panoveil_\w+|nv_\w+|up|process_\w+)\b(?=[{\[ )]|$)")
_OTHERS = {
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_pending_request_count",
    "nv_cpu_utilization",
    "nv_cpu_memory_used_bytes",
    "nv_gpu_utilization",
    "nv_gpu_memory_used_bytes",
}


def served() -> dict[str, str]:
    """What every name of a sample of ours is a part of: the metric's own name."""
    kinds = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "info": ("",)}
    found: dict[str, str] = {}
    for registry in (REGISTRY, telemetry.LEDGER):
        for metric in registry.collect():
            found |= {
                metric.name + end: metric.name for end in kinds.get(metric.type, ("",)) if metric.name.startswith("panoveil_")
            }
    return found


def expressions() -> list[str]:
    boards = [json.loads(path.read_text()) for path in BOARDS]
    asked = [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", [])]
    return asked + [rule["expr"] for path in sorted(RULES.glob("*.yml")) for rule in rules(path)]


def rules(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def test_the_files_are_what_the_code_says() -> None:
    there = {path.name: path.read_text() for path in BOARDS}
    assert there == texts(), "run `python -m console.observe.dashboards`"


def test_every_metric_that_is_asked_for_is_served() -> None:
    asked = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert asked - served().keys() - _OTHERS == set()


def test_every_metric_that_is_served_is_looked_at_somewhere() -> None:
    asked = " ".join(expressions())
    unseen = {
        metric for name, metric in served().items() if not any(one in asked for one, of in served().items() if of == metric)
    }
    assert unseen == set()


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_board_can_be_provisioned(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"] == f"panoveil-{path.stem}"
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["description"]
            assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]


def test_panels_that_name_an_alert_name_one_there_is() -> None:
    text = " ".join(path.read_text() for path in BOARDS)
    alerts = {rule["alert"] for path in RULES.glob("*.yml") for rule in rules(path) if "alert" in rule}
    assert set(re.findall(r"Runbook: (\w+)", text)) <= alerts


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_alert_says_what_and_what_to_do_in_one_line_each(path: Path) -> None:
    for rule in rules(path):
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"].keys() == {"summary", "runbook"}
            assert "\n" not in rule["annotations"]["runbook"]
