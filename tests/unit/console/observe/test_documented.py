"""docs/observe.md lists every metric, dashboard and alert there is."""

import re
from pathlib import Path

import yaml

from console.observe.dashboards.pages import PAGES
from console.observe.metrics import PAGE, page, rows
from console.observe.prometheus import RULES

TEXT = Path(PAGE).read_text()


def test_the_table_of_metrics_is_what_the_code_says() -> None:
    assert page(TEXT) == TEXT, "run `python -m console.observe.metrics`"


def test_every_metric_has_a_meaning_of_a_sentence() -> None:
    for row in rows():
        meaning = row.rsplit("|", 2)[1].strip()
        assert meaning
        assert len(meaning.split()) > 3, row


def test_every_alert_is_listed() -> None:
    groups = [group for path in RULES.glob("*.yml") for group in yaml.safe_load(path.read_text())["groups"]]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    listed = re.findall(r"^\| (`[A-Z].*?) \|", TEXT, re.MULTILINE)
    assert {name for cell in listed for name in re.findall(r"`(\w+)`", cell)} == alerts


def test_every_dashboard_is_listed() -> None:
    titles = [make().title.removeprefix("Panoveil: ") for make in PAGES]
    assert [title for title in titles if f"| {title} |" not in TEXT] == []
