"""What Prometheus is promised: names that lint clean, labels that are bounded, counters that begin at 0, figures that agree."""

import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from console.observe.prometheus import find
from panoveil import telemetry
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.reasons import Reason
from services.agent.events import SkipReason

LABELS = {
    "service",
    "stream",
    "outcome",
    "cause",
    "reason",
    "dependency",
    "step",
    "state",
    "direction",
    "rig",
    "lens",
    "kind",
    "height",
    "model",
    "result",
    "recipe_id",
    "stage",
    "le",
}
"""All labels there are. Before you add one: how many values can it have in a season, and does any name a capture, a drive or a person?"""


def prepare_everything() -> None:
    for service in ("ingest", "stitcher", "anonymizer", "archivist"):
        telemetry.prepare(service)
    telemetry.prepare_anonymizer(["face", "plate"])
    telemetry.prepare_archivist()
    telemetry.prepare_agent(SkipReason)
    telemetry.prepare_replay("stitcher", ["redone"])


def exposition() -> str:
    prepare_everything()
    return (generate_latest(REGISTRY) + generate_latest(telemetry.LEDGER)).decode()


def test_every_label_is_one_of_few() -> None:
    ours = [family for family in text_string_to_metric_families(exposition()) if family.name.startswith("panoveil_")]
    assert {label for family in ours for sample in family.samples for label in sample.labels} <= LABELS


def test_the_labels_in_the_code_are_those_too() -> None:
    declared = re.findall(r"\[((?:\"\w+\"(?:, )?)+)\]", Path(telemetry.__file__).read_text())
    assert {label for group in declared for label in re.findall(r"\w+", group)} <= LABELS


@pytest.mark.skipif(find("promtool") is None, reason="no promtool on this machine: `make prometheus`")
def test_promtool_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(find("promtool")), "check", "metrics"], input=exposition().encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_first_event_has_a_rate_because_its_counter_began_at_0() -> None:
    prepare_everything()
    for reason in Reason:
        assert REGISTRY.get_sample_value("panoveil_quarantined_total", {"service": "ingest", "reason": reason}) is not None
    assert REGISTRY.get_sample_value("panoveil_detector_failures_total", {"model": "face", "cause": "blind"}) is not None
    assert REGISTRY.get_sample_value("panoveil_agent_left_behind_total", {"reason": "no_pose"}) is not None


def test_a_scrape_reads_publications_before_the_verifications_they_follow() -> None:
    text = exposition()
    assert text.index("panoveil_publications_total") < text.index("panoveil_verifications_total")


@pytest.mark.parametrize(
    ("pixels", "name"),
    [(-1.0, "00-08"), (0.0, "00-08"), (7.99, "00-08"), (8.0, "08-12"), (47.0, "24-48"), (48.0, "48+"), (900.0, "48+")],
)
def test_heights_have_names_that_rise_in_the_alphabet(pixels: float, name: str) -> None:
    assert telemetry.height_name(pixels) == name
    assert list(telemetry.HEIGHTS) == sorted(telemetry.HEIGHTS)


def test_only_the_recipe_in_use_is_told() -> None:
    def told() -> dict[str, float]:
        samples = next(iter(telemetry.RECIPE.collect())).samples
        return {sample.labels["recipe_id"]: sample.value for sample in samples if sample.labels["service"] == "a service"}

    telemetry.recipe_in_use("a service", "r1")
    telemetry.recipe_in_use("a service", "r1")
    assert told() == {"r1": 1.0}
    telemetry.recipe_in_use("a service", "r2")
    assert told() == {"r2": 1.0}


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misconfigured, match="PANOVEIL_METRICS_PORT"):
            telemetry.serve("127.0.0.1", taken.getsockname()[1], CollectorRegistry())


def test_port_0_serves_nothing() -> None:
    telemetry.serve("127.0.0.1", 0)


def process(folder: Path, pid: int, parent: int, *ticks: int) -> None:
    (folder / str(pid)).mkdir(exist_ok=True)
    (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} 0 0 0 0 0 0 0 0 0 {' '.join(map(str, ticks))} 20 0\n")


def seconds(cpu: telemetry.TaskCpu) -> float:
    ((sample,),) = [family.samples for family in cpu.collect()]
    return float(sample.value)


def test_a_tasks_cpu_is_that_of_all_its_descendants_and_never_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 10)
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    process(tmp_path, 12, 11, 50, 0, 0, 0)  # a grandchild, listed before its parent
    process(tmp_path, 10, 1, 100, 100, 0, 0)
    process(tmp_path, 11, 10, 200, 0, 30, 20)
    process(tmp_path, 20, 1, 9999, 0, 0, 0)
    cpu = telemetry.TaskCpu(tmp_path)
    assert seconds(cpu) == 5.0
    (tmp_path / "12" / "stat").unlink()
    assert seconds(cpu) == 5.0
    process(tmp_path, 10, 1, 1000, 0, 0, 0)
    assert seconds(cpu) == 12.5


def test_what_nobody_scrapes_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_TASK", telemetry.TaskCpu())
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
    telemetry.linger()


def test_what_is_scraped_waits_for_one_more_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    task = telemetry.TaskCpu()
    monkeypatch.setattr(telemetry, "_TASK", task)
    task.scrapes.extend([time.monotonic() - 100, time.monotonic()])
    waits: list[float] = []

    def sleep(pause: float) -> None:
        waits.append(pause)
        if len(waits) == 3:
            task.scrapes.append(time.monotonic())

    monkeypatch.setattr("time.sleep", sleep)
    telemetry.linger()
    assert len(waits) == 3


def test_a_scraper_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    task, now = telemetry.TaskCpu(), [1000.0]
    monkeypatch.setattr(telemetry, "_TASK", task)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda pause: now.__setitem__(0, now[0] + pause))
    task.scrapes.extend([998.0, 1000.0])
    telemetry.linger()
    assert 1004.0 <= now[0] < 1005.0
