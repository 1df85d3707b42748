"""The Kinesis Client Library as a `RecordSource`.

service process (asyncio)                     the daemon, a JVM                 one child a shard
KclSource ── starts, watches ──▶ MultiLangDaemon ── starts, stdin/stdout ──▶ child.py
Gateway ◀────────────────────────── Unix socket, length-prefixed frames ─────┘

The child only relays: the protocol is spoken by `session.py`, in the service.
"""
