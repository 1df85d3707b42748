"""The error tree. Each class carries its consequence.

PanoveilError
├── Rejected         the input is at fault: quarantine it at once, with `reason`
├── Unavailable      a dependency is down: wait and try again, never quarantine
└── Misconfigured    this process cannot work as configured: stop, with exit code 78

Any other exception in a handler is unforeseen: retried a bounded number of times, then quarantined.
"""

from typing import ClassVar


class PanoveilError(Exception):
    """Base of every error Panoveil raises on purpose."""

    exit_code: ClassVar[int] = 1


class Rejected(PanoveilError):
    """Input that cannot be processed; `reason` is one of `panoveil.contracts.reasons.Reason`."""

    exit_code: ClassVar[int] = 65

    def __init__(self, reason: str, detail: str = "") -> None:
        """`reason` is stable and countable, `detail` is one sentence for a person."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Unavailable(PanoveilError):
    """A dependency (S3, Kinesis, DynamoDB, Triton) gives no valid answer now."""

    exit_code: ClassVar[int] = 69

    def __init__(self, dependency: str, detail: str = "") -> None:
        """`dependency` names who is down, for logs and metrics."""
        super().__init__(f"{dependency} is unavailable: {detail}")
        self.dependency = dependency
        self.detail = detail


class Misconfigured(PanoveilError):
    """A setting, credential or resource is missing; the message says how to mend it."""

    exit_code: ClassVar[int] = 78
