"""What a thousand panoramas cost on AWS, item by item: `python -m benchmarks.season.thousand` prints the table of docs/operations.md.

Prices and assumptions are the season's; CPU seconds are what its calibration measured once. What does not grow with
panoramas (shards, endpoints, a task that waits) is not in it.
"""

from collections.abc import Iterator

from benchmarks.season.assumptions import Assumptions, Measured, Prices
from benchmarks.season.report import markdown

MEASURED = Measured(ingest_cpu_s=0.18, stitcher_cpu_s=1.5, anonymizer_cpu_s=1.8)
"""Two cores that had other work besides: an upper bound."""
_GB_A_VCPU = 2
_HOURS = 1000 / 3600
"""Hours for a thousand panoramas, a second each."""
_MONTH_DAYS = 30


def rows(cpu: Measured, world: Assumptions, prices: Prices) -> Iterator[tuple[str, float, str]]:
    """Yield what is paid for, US dollars, and how that comes about."""
    vcpu_s = (cpu.ingest_cpu_s + cpu.stitcher_cpu_s + cpu.anonymizer_cpu_s) * world.cpu_factor / world.efficiency
    vcpu_h = prices.fargate_vcpu_h + _GB_A_VCPU * prices.fargate_gb_h
    hot_gb, archived_gb = world.capture_mb + world.panorama_mb, world.capture_mb  # MB each, a thousand times: GB
    yield "Fargate", vcpu_s * _HOURS * vcpu_h, f"{vcpu_s:.1f} vCPU-s a panorama, measured here, {_GB_A_VCPU} GB a vCPU"
    yield "GPU", world.gpu_s * _HOURS * prices.gpu_h, f"{world.gpu_s:g} s a panorama: assumed, never measured"
    yield "Kinesis records", (world.records_per_capture + 3) * prices.put_units_million / 1000, "without the shards"
    puts, gets = world.puts_per_panorama * prices.s3_puts_thousand, world.gets_per_panorama * prices.s3_gets_thousand
    yield "S3 requests", puts + gets, f"{world.puts_per_panorama:g} writes and {world.gets_per_panorama:g} reads a panorama"
    yield "archiving", prices.archive_puts_thousand, "one object a capture"
    units = world.writes_per_panorama * prices.writes_million + world.reads_per_panorama * prices.reads_million
    yield "DynamoDB", units / 1000, f"{world.writes_per_panorama:g} writes and {world.reads_per_panorama:g} reads a panorama"
    hot = hot_gb * prices.s3_gb_month * world.hot_days / _MONTH_DAYS
    yield "originals and stitched, while hot", hot, f"{hot_gb:g} GB for {world.hot_days:g} days"
    yield (
        "published, a month",
        world.published_mb * prices.s3_gb_month,
        f"{world.published_mb:g} GB, thumbnails and tiles included",
    )
    yield "archived originals, a year", archived_gb * prices.archive_gb_month * 12, f"{archived_gb:g} GB in Deep Archive"


def table(cpu: Measured = MEASURED, world: Assumptions | None = None, prices: Prices | None = None) -> str:
    """Return the table as Markdown, its sum last: what the first month costs, with a year of archive."""
    items = list(rows(cpu, world or Assumptions(), prices or Prices()))
    body = [(what, f"{dollars:.2f}", how) for what, dollars, how in items]
    return markdown(("for 1,000 panoramas", "$", "how"), [*body, ("together", f"{sum(item[1] for item in items):.2f}", "")])


if __name__ == "__main__":
    print(table())
