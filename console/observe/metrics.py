"""`python -m console.observe.metrics` writes the table of all metrics into docs/observe.md."""

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from console.stack.stack import HOME
from panoveil import telemetry

PAGE = HOME / "docs" / "observe.md"
_BEGIN, _END = "<!-- metrics: python -m console.observe.metrics -->\n", "<!-- end -->"


def rows() -> list[str]:
    """Return a line of the table for each metric: name, kind, labels, meaning."""
    ours = [metric for metric in vars(telemetry).values() if isinstance(metric, MetricWrapperBase)]
    found = [row for metric in ours for row in _row(metric)]
    (task,) = telemetry.TaskCpu().collect()
    return sorted([*found, f"| `{task.name}_total` | counter | | {task.documentation} |"])


def _row(metric: MetricWrapperBase) -> list[str]:
    labels = ", ".join(metric._labelnames)  # noqa: SLF001 - there is no other door
    return [
        f"| `{one.name}{'_total' if one.type == 'counter' else ''}` | {one.type} | {labels} | {one.documentation} |"
        for one in metric.describe()
    ]


def page(text: str) -> str:
    """Return the page with the table as it should be."""
    before, rest = text.split(_BEGIN)
    table = "\n".join(["", "| metric | kind | labels | meaning |", "|---|---|---|---|", *rows(), "", ""])
    return before + _BEGIN + table + _END + rest.split(_END)[1]


if __name__ == "__main__":
    Path(PAGE).write_text(page(PAGE.read_text()))
