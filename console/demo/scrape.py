"""Reads the services' own metrics as Prometheus would."""

import urllib.request
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families


def mean_step_seconds(urls: Iterable[str]) -> dict[str, float]:
    """Return the mean wall-clock seconds by `service/step`, from `panoveil_stage_seconds`."""
    sums: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, float] = defaultdict(float)
    for name, step, value in _samples(urls):
        (sums if name.endswith("_sum") else counts)[step] += value
    return {step: total / counts[step] for step, total in sums.items() if counts[step]}


def _samples(urls: Iterable[str]) -> Iterable[tuple[str, str, float]]:
    for url in urls:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in {"panoveil_stage_seconds_sum", "panoveil_stage_seconds_count"}:
                    yield sample.name, f"{sample.labels['service']}/{sample.labels['step']}", sample.value
