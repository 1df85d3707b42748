"""What dashboards are made of: a question as the title, PromQL that answers it, its unit, and what to do where the answer is bad."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row, TextBoxVariable, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models import common, dashboard, units

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE, HALF, THIRD, QUARTER, SIXTH = 24, 12, 8, 6, 4
TALL, LOW = 8, 4

SECONDS, SHARE, BYTES, BYTES_PER_SECOND = units.Seconds, units.PercentUnit, units.BytesSI, units.BytesPerSecondSI
COUNT, PER_SECOND, DOLLARS, DEGREES = units.Short, units.CountsPerSecond, units.Dollars, units.Degrees
PER_HOUR = COUNT

Builder = Timeseries | Stat | BarGauge


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and the name of its series; `{{label}}` in it is a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on an answer is bad: red above it, or below it where `low`."""

    value: float
    low: bool = False

    def built(self) -> ThresholdsConfig:
        """Return Grafana's thresholds."""
        first, second = ("red", "green") if self.low else ("green", "red")
        steps = [dashboard.Threshold(value=None, color=first), dashboard.Threshold(value=self.value, color=second)]
        return ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str,
    help_text: str,
    unit: str,
    *queries: Query,
    span: int = HALF,
    height: int = TALL,
    stacked: bool = False,
    limit: Limit | None = None,
) -> Timeseries:
    """Return series over time."""
    panel = (
        Timeseries()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(height)
        .min(0)
        .line_width(2)
        .fill_opacity(35 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(StackingConfig().mode(common.StackingMode.NORMAL))
    if limit:
        dashed = GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds(limit.built()).thresholds_style(dashed)
    for target in _targets(queries, instant=False):
        panel = panel.with_target(target)
    return panel


def number(title: str, help_text: str, unit: str, *queries: Query, span: int = SIXTH, limit: Limit | None = None) -> Stat:
    """Return the newest value, large."""
    panel = (
        Stat()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(LOW)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
    )
    if limit:
        panel = panel.thresholds(limit.built())
    for target in _targets(queries, instant=True):
        panel = panel.with_target(target)
    return panel


def bars(title: str, help_text: str, unit: str, *queries: Query, span: int = HALF, height: int = TALL) -> BarGauge:
    """Return the newest values as bars side by side."""
    panel = (
        BarGauge()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(height)
        .min(0)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    for target in _targets(queries, instant=True):
        panel = panel.with_target(target)
    return panel


def _targets(queries: Sequence[Query], *, instant: bool) -> list[Dataquery]:
    return [_target(query, chr(ord("A") + number), instant=instant) for number, query in enumerate(queries)]


def _target(query: Query, ref_id: str, *, instant: bool) -> Dataquery:
    target = Dataquery().ref_id(ref_id).expr(query.expression).legend_format(query.legend or "__auto")
    return target.instant() if instant else target.range()


Section = tuple[str, Sequence[Builder]]
Age = Literal["now-1h", "now-6h", "now-24h", "now-7d"]


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard before it is built: `name` is its file's, `variables` are values that a viewer may change."""

    name: str
    title: str
    help_text: str
    since: Age
    sections: Sequence[Section]
    variables: Sequence[tuple[str, str, str]] = ()

    def built(self) -> dashboard.Dashboard:
        """Return Grafana's dashboard."""
        page = (
            Dashboard(self.title)
            .uid(f"panoveil-{self.name}")
            .description(self.help_text)
            .tags(["panoveil"])
            .refresh("30s")
            .time(self.since, "now")
            .timezone("browser")
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
            .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        )
        for name, label, value in self.variables:
            page = page.with_variable(TextBoxVariable(name).label(label).default_value(value))
        numbers = count(1)
        for heading, panels in self.sections:
            page = page.with_row(Row(heading).id(next(numbers)))
            for panel in panels:
                page = page.with_panel(panel.id(next(numbers)))
        return page.build()
