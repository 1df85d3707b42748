"""Prometheus beside the pipeline, what the ledger says as metrics, dashboards as code, and pictures of them."""
