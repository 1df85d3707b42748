"""Everything the simulation takes for granted, one value a line with its unit, its source and its reason; and what is measured instead."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from panoveil.contracts.errors import Misconfigured

Source = Literal["published", "assumed", "code", "list price"]


def _is(value: float, unit: str, source: Source, why: str) -> Any:
    return field(default=value, metadata={"unit": unit, "source": source, "why": why})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The season, the cars, the cloud, and what goes wrong."""

    panoramas: float = _is(30e6, "panoramas", "published", "150 million lens images of five lenses, 108,000 km")
    spacing_m: float = _is(3.6, "m", "published", "108,000 km divided by 30 million")
    year: float = _is(2027, "year", "assumed", "which days are weekends; the season is 1 April to 30 September")
    latitude: float = _is(56, "° north", "published", "Denmark")
    sun_above: float = _is(20, "°", "assumed", "lower than this the light is too flat and the lenses are dazzled")
    shift_h: float = _is(8, "h/day", "assumed", "a driver's day, where daylight allows as much")
    weather_lost: float = _is(
        0.38, "share of weekdays", "assumed", "rain, wet lenses, service of cars; every day drawn by itself"
    )
    availability: float = _is(0.92, "share of cars", "assumed", "the others are in repair or on the way to another region")
    productive: float = _is(
        0.62, "share of the shift", "assumed", "the rest is driving there and back, roads driven twice, breaks"
    )
    town_kmh: float = _is(28, "km/h", "assumed", "mean speed of a leg in town")
    country_kmh: float = _is(55, "km/h", "assumed", "mean speed of a leg in the country")
    town_share: float = _is(0.55, "share of legs", "assumed", "legs are 15 minutes")
    cars: float = _is(0, "cars", "assumed", "0: as few as finish the season")
    mobile_mbit: float = _is(
        60, "Mbit/s a car", "assumed", "what a car uploads while it drives; the rest waits for the depot; 0: depot only"
    )
    depot_mbit: float = _is(1000, "Mbit/s a car", "assumed", "the depot's line, each car's share")
    depot_after_h: float = _is(0.75, "h", "assumed", "from the last panorama to the plug at the depot")
    records_per_capture: float = _is(
        6, "records", "code", "five frames and a manifest on `uploads`; one record on every later stream"
    )
    record_kb: float = _is(1.5, "kB", "assumed", "an S3 event notification; later messages are about as long")
    capture_mb: float = _is(
        25, "MB", "assumed", "five real frames of 5 megapixels; those of the simulator's street are a fifth of it"
    )
    panorama_mb: float = _is(12, "MB", "assumed", "a real panorama of 8192 × 4096; the simulator's street is a third of it")
    derivatives: float = _is(0.3, "of a panorama", "code", "thumbnail and tiles: 26 % of the demo's, 35 % of two real ones")
    shard_mb: float = _is(1, "MB/s", "published", "what a Kinesis shard takes in")
    shard_records: float = _is(1000, "records/s", "published", "what a Kinesis shard takes in")
    drain_h: float = _is(
        10, "h", "assumed", "planned for: the busiest day is worked off in so long, or its busiest hour as it comes"
    )
    headroom: float = _is(1.25, "times", "assumed", "on what is planned for, so that failures do not add up")
    efficiency: float = _is(0.85, "share", "assumed", "the pure functions' CPU-seconds of all that a busy task spends")
    cpu_factor: float = _is(
        1.0, "times", "assumed", "CPU-seconds on Fargate beside this machine's; a Fargate vCPU is half a core"
    )
    ingest_vcpu: float = _is(1, "vCPU a task", "assumed", "2 GB a vCPU everywhere")
    stitcher_vcpu: float = _is(4, "vCPU a task", "assumed", "the rig's tables are held once a task")
    anonymizer_vcpu: float = _is(2, "vCPU a task", "assumed", "without inference, which is Triton's; GPUs follow these tasks")
    gpu_s: float = _is(0.5, "GPU-s/panorama", "assumed", "both models, both looks, TensorRT FP16; not measured: vary it")
    io_s: float = _is(0.6, "s/stage", "assumed", "polling, S3 and DynamoDB of one record, while the CPU does others")
    task_start_s: float = _is(75, "s", "assumed", "Fargate places, pulls, starts; the KCL takes leases")
    gpu_start_s: float = _is(240, "s", "assumed", "an EC2 instance, its image, TensorRT's engines from the cache")
    tick_s: float = _is(30, "s", "assumed", "how often lag is looked at; capacity is constant in between")
    lease_takeover_s: float = _is(30, "s", "assumed", "a crashed task's shards stand still for so long")
    in_flight: float = _is(4, "records a task", "assumed", "what a crashed task had begun, and another one does again")
    spot_per_h: float = _is(0.01, "a task-hour", "assumed", "Fargate Spot and GPU spot alike; two minutes' notice: drained")
    crash_per_h: float = _is(0.002, "a task-hour", "assumed", "out of memory, host lost; no notice")
    zone_outages: float = _is(2, "a season", "assumed", "an hour each while panoramas arrive, a third of all tasks and GPUs")
    dependency_outages: float = _is(
        6, "a season", "assumed", "S3, DynamoDB or Triton away for 20 minutes while panoramas arrive: nothing moves"
    )
    hot_days: float = _is(14, "days", "assumed", "originals and stitched panoramas in S3 Standard, then one archive object")
    puts_per_panorama: float = _is(
        13, "requests", "code", "six raw, stitched, panorama, thumbnail, tiles, two of JSON, catalogue"
    )
    gets_per_panorama: float = _is(20, "requests", "code", "ingest 7, stitcher 6, anonymizer 2, archive 5")
    writes_per_panorama: float = _is(
        16, "write units", "code", "objects seen, states, outcomes, audit, checkpoints; not counted on a bill"
    )
    reads_per_panorama: float = _is(10, "read units", "code", "is it finished; not counted on a bill")

    @property
    def published_mb(self) -> float:
        """Megabytes that are published a panorama, with what is made of it."""
        return self.panorama_mb * (1 + self.derivatives)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars. List prices of AWS from memory, eu-west-1, 2025: verify before you believe the last digit."""

    fargate_vcpu_h: float = _is(0.04048, "$/vCPU-h", "list price", "on demand: Spot is cheaper, so this is the upper bound")
    fargate_gb_h: float = _is(0.004445, "$/GB-h", "list price", "on demand")
    gpu_h: float = _is(0.587, "$/h", "list price", "g4dn.xlarge, on demand")
    shard_h: float = _is(0.017, "$/shard-h", "list price", "provisioned, all year round the clock")
    put_units_million: float = _is(0.0165, "$/million", "list price", "of 25 kB")
    s3_puts_thousand: float = _is(0.005, "$/thousand", "list price", "PUT, COPY, POST")
    s3_gets_thousand: float = _is(0.0004, "$/thousand", "list price", "GET")
    archive_puts_thousand: float = _is(0.05, "$/thousand", "list price", "PUT into Deep Archive")
    s3_gb_month: float = _is(0.023, "$/GB-month", "list price", "Standard, first 50 TB: larger is cheaper")
    archive_gb_month: float = _is(0.00099, "$/GB-month", "list price", "Deep Archive, at least 180 days")
    writes_million: float = _is(0.705, "$/million", "list price", "DynamoDB on demand")
    reads_million: float = _is(0.1415, "$/million", "list price", "DynamoDB on demand")


@dataclass(frozen=True, slots=True)
class Measured:
    """What this machine said: CPU-seconds a panorama by stage."""

    ingest_cpu_s: float
    stitcher_cpu_s: float
    anonymizer_cpu_s: float


MEASURED = {
    "ingest_cpu_s": ("CPU-s/panorama", "hashing and decoding the frames of a capture"),
    "stitcher_cpu_s": ("CPU-s/panorama", "JPEGs in, JPEG out, mode best, 8192 × 4096"),
    "anonymizer_cpu_s": ("CPU-s/panorama", "all but the models: decode, sample the views of both looks, obfuscate, patch, scan"),
}


def changed(assumptions: Assumptions, changes: list[str]) -> Assumptions:
    """Return them with `name=value` applied; `Misconfigured` names what cannot be understood."""
    known = {each.name for each in fields(Assumptions)}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known:
            raise Misconfigured(f"there is no assumption {name!r}: --markdown lists them")
        assumptions = replace(assumptions, **{name: _number(name, value)})
    return assumptions


def rows(values: Assumptions | Prices) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield name, value, unit, source and reason."""
    for each in fields(values):
        meta = each.metadata
        yield each.name, f"{getattr(values, each.name):.10g}", meta["unit"], meta["source"], meta["why"]


def measured_rows(measured: Measured | None) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the same of what is measured in every run; without a measurement there is no value."""
    for name, (unit, why) in MEASURED.items():
        value = "in every run" if measured is None else f"{getattr(measured, name):.3g}"
        yield name, value, unit, "measured", why


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise Misconfigured(f"{name} must be a number, 0 or more, not {value!r}")
    return number
