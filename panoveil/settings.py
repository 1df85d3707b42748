"""What every service reads from its environment, once: `PANOVEIL_*`."""

import socket
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from panoveil.contracts.keys import Bucket, Stream

Retrieval = Literal["polling", "fanout"]


class Settings(BaseSettings):
    """Where the servers are and what things are called there; a service's own settings extend it."""

    model_config = SettingsConfigDict(env_prefix="PANOVEIL_", env_nested_delimiter="__", frozen=True, extra="ignore")

    endpoint_url: str | None = Field(default=None, description="of an AWS emulator; unset on AWS")
    region: str = "eu-north-1"
    namespace: str = Field(default="panoveil", pattern=r"^[a-z0-9-]{3,32}$", description="prefix of every resource's name")
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535, description="0 serves no metrics")
    java: str | None = Field(default=None, description="the java program that runs the KCL; found by itself where unset")
    worker_id: str = Field(
        default_factory=socket.gethostname, min_length=1, description="unique per task; two alike do work twice"
    )
    retrieval: Retrieval = Field(default="polling", description="polling, or fanout (low latency, billed per consumer and shard)")
    max_in_flight: int = Field(default=4, ge=1, le=1000, description="records worked on at once")
    wrapping_key: str | None = Field(
        default=None,
        description="id, ARN or alias of the KMS key that wraps the drives' data keys; unset: alias/NAMESPACE-wrapping",
    )
    log_level: str = "INFO"

    def bucket(self, role: Bucket) -> str:
        """Return the real name of a bucket."""
        return f"{self.namespace}-{role}"

    def stream(self, role: Stream) -> str:
        """Return the real name of a stream."""
        return f"{self.namespace}-{role}"

    def application(self, service: str) -> str:
        """Return the name of a service's KCL application, which is its lease table's too."""
        return f"{self.namespace}-{service}"

    @property
    def buckets(self) -> dict[Bucket, str]:
        """Every bucket's real name."""
        return {role: self.bucket(role) for role in Bucket}

    @property
    def streams(self) -> dict[Stream, str]:
        """Every stream's real name."""
        return {role: self.stream(role) for role in Stream}

    @property
    def wrapping_alias(self) -> str:
        """Return the KMS key that wraps the drives' data keys."""
        return self.wrapping_key or f"alias/{self.namespace}-wrapping"

    @property
    def table(self) -> str:
        """Return the ledger's table."""
        return f"{self.namespace}-ledger"
