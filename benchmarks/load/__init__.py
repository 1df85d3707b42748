"""What the stream itself costs: throughput, latency, memory and CPU beside the work on pixels."""
