"""What the README claims, measurable by anyone: `python -m benchmarks.<name> --help`."""
