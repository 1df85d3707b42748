"""Entries as rows, tables and text. Never pixels: what is no JSON is only counted and hashed, long texts are cut."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from console import listing
from console.listing import age, iso
from console.quarantine.selection import Found
from panoveil.contracts.reasons import ADVICE, Reason
from panoveil.ledger import QuarantineEntry

_LONGEST_TEXT = 300
_COLUMNS = ("entry", "capture", "service", "reason", "age", "times", "redrives", "fate", "state")


def row(found: Found, now: datetime) -> dict[str, Any]:
    """Return the keys programs rely on; times are ISO 8601 in UTC, ages seconds."""
    entry, capture = found.entry, found.capture
    return {
        "entry": entry.entry_id,
        "capture": entry.partition_key,
        "service": entry.service,
        "reason": entry.reason,
        "detail": entry.detail,
        "fate": entry.fate.value,
        "state": capture.state.value if capture else None,
        "first": iso(entry.first),
        "since": iso(entry.since),
        "age_seconds": round(now.timestamp() - entry.since, 3),
        "attempts": entry.attempts,
        "times": entry.times,
        "redrives": entry.redrives,
        "decided_at": iso(entry.decided_at) if entry.decided_at else None,
        "decided_by": entry.decided_by,
        "because": entry.because,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what `list` shows to a person."""
    return listing.table(_COLUMNS, rows)


def details(found: Found, content: Mapping[str, Any] | None, problem: str, now: datetime) -> dict[str, Any]:
    """Return all that is known of an entry; `content` is what lies in the bucket, `problem` why it cannot be read."""
    stored = content or {}
    record = {name: stored[name] for name in ("shard_id", "sequence_number", "arrived_at") if name in stored}
    if "arrived_at" in record:
        record["arrived_at"] = iso(record["arrived_at"])
    return {
        **row(found, now),
        "advice": advice(found.entry),
        "traceback": stored.get("traceback", ""),
        "record": {**record, **decoded(stored["data"])} if content else None,
        "problem": problem,
    }


def advice(entry: QuarantineEntry) -> str:
    """Return what to do about it, "" for a reason of another version."""
    return ADVICE[Reason(entry.reason)] if entry.reason in set(Reason) else ""


def decoded(data: bytes) -> dict[str, Any]:
    """Return a record for reading: its JSON with long texts cut, or its size and SHA-256 where it is none."""
    facts: dict[str, Any] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        return facts | {"json": _cut(json.loads(data))}
    except (ValueError, RecursionError):
        return facts


def text(shown: Mapping[str, Any]) -> str:
    """Return what `show` prints for a person."""
    told = [f"{name:<12}{value}" for name, value in _facts(shown).items() if value not in {"", None}]
    record = shown["record"]
    if record is not None:
        told += ["", f"record, {record['bytes']} bytes, SHA-256 {record['sha256']}"]
        told += [json.dumps(record["json"], indent=2, ensure_ascii=False) if "json" in record else "It is no JSON: not shown."]
    return "\n".join([*told, *(["", shown["traceback"]] if shown["traceback"] else [])])


def _facts(shown: Mapping[str, Any]) -> dict[str, Any]:
    names = ("entry", "capture", "state", "service", "reason", "detail", "advice", "fate")
    first = "" if shown["first"] == shown["since"] else f", first {shown['first']}"
    decided = f"{shown['decided_at']} by {shown['decided_by']}" if shown["decided_at"] else ""
    return {
        **{name: shown[name] for name in names},
        "put away": f"{shown['since']}, {age(shown['age_seconds'])} ago{first}",
        "attempts": f"{shown['attempts']} by the handler; put away {shown['times']} times, redriven {shown['redrives']} times",
        "decided": decided,
        "because": shown["because"],
        "problem": shown["problem"],
    }


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, list):
        return [_cut(one) for one in value]
    return {_cut(key): _cut(one) for key, one in value.items()} if isinstance(value, dict) else value
