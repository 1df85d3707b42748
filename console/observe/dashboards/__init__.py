"""The dashboards as code: one file each, `python -m console.observe.dashboards` writes what Grafana provisions. Needs the dev group."""
