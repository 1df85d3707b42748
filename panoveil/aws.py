"""The one door to AWS clients: how long they wait, and what their failures mean in Panoveil's error tree.

A client's failure becomes
    Unavailable      no connection, no answer in time, 5xx, throttling, a transfer damaged on the way
    Misconfigured    no or wrong credentials, no permission, no such bucket, table or stream, a wrong clock
    Refused          anything else; the caller asked for it (a condition, an absent key), or it is a bug
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import boto3
import botocore.exceptions as aws_errors
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as TransportError
from botocore.config import Config
from botocore.parsers import ResponseParserError

from panoveil.contracts.errors import Misconfigured, PanoveilError, Unavailable

_SERVER_ERROR = 500
_TOO_MANY = 429
_CONNECTIONS = 32
_BUSY = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "KMSThrottlingException",
        "KMS.ThrottlingException",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "XAmzContentChecksumMismatch",
    }
)
_MEND = {
    "400": "the request was not understood: check the region and the endpoint",
    "403": "access is denied: grant this role the action (and s3:ListBucket, without which an absent object reads as denied)",
    "AccessDenied": "access is denied: grant this role the action (and s3:ListBucket, without which an absent object reads as denied)",
    "AccessDeniedException": "access is denied: grant this role the action on this resource",
    "AuthorizationHeaderMalformed": "the region is wrong: set PANOVEIL_REGION to the bucket's region",
    "ExpiredToken": "the credentials have expired: renew them",
    "ExpiredTokenException": "the credentials have expired: renew them",
    "IncompleteSignature": "the credentials are damaged: set them again",
    "InvalidAccessKeyId": "the access key is unknown: check AWS_ACCESS_KEY_ID or the role",
    "InvalidClientTokenId": "the access key is unknown: check AWS_ACCESS_KEY_ID or the role",
    "InvalidSignatureException": "the secret key does not match: check AWS_SECRET_ACCESS_KEY and the machine's clock",
    "InvalidToken": "the session token is wrong: renew the credentials",
    "KMSAccessDeniedException": "access to the encryption key is denied: grant this role kms:Decrypt and kms:GenerateDataKey",
    "NoSuchBucket": "the bucket does not exist: provision it, or check PANOVEIL_NAMESPACE",
    "PermanentRedirect": "the region is wrong: set PANOVEIL_REGION to the bucket's region",
    "RequestExpired": "the machine's clock is wrong: set it",
    "RequestTimeTooSkewed": "the machine's clock is wrong: set it",
    "ResourceNotFoundException": "the table or stream does not exist: provision it, or check its name in the settings",
    "SignatureDoesNotMatch": "the secret key does not match: check AWS_SECRET_ACCESS_KEY",
    "UnrecognizedClientException": "the access key is unknown: check AWS_ACCESS_KEY_ID or the role",
}
_UNCONFIGURED = (
    aws_errors.NoCredentialsError,
    aws_errors.PartialCredentialsError,
    aws_errors.ProfileNotFound,
    aws_errors.NoRegionError,
    aws_errors.InvalidRegionError,
    aws_errors.TokenRetrievalError,
    aws_errors.UnauthorizedSSOTokenError,
)
_UNANSWERED = (
    aws_errors.ConnectionError,
    aws_errors.HTTPClientError,
    aws_errors.IncompleteReadError,
    aws_errors.FlexibleChecksumError,
    aws_errors.CredentialRetrievalError,
    aws_errors.MetadataRetrievalError,
    ResponseParserError,
    TransportError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may take: seconds to connect, seconds without a byte, attempts."""

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    attempts: int = 3


PATIENT = Patience()
_SLOWEST_UPLINK = 16 * 1024  # bytes a second; anything slower counts as no connection


class Refused(Exception):
    """AWS answered no for a reason that only the caller can judge; `code` is AWS's own."""

    def __init__(self, code: str, detail: str) -> None:
        """`detail` is AWS's sentence."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Expecting:
    """A block in which a refusal with one of `codes` ends the block and nothing more; put it outside of `translated`."""

    def __init__(self, codes: frozenset[str]) -> None:
        self._codes = codes

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        return isinstance(error, Refused) and error.code in self._codes


def open_client(service: str, region: str, endpoint_url: str | None, patience: Patience) -> AbstractAsyncContextManager[Any]:
    """Return an asyncio client that closes with the block; `endpoint_url` is None on AWS."""
    config = AioConfig(**_config(endpoint_url, patience))
    create: Any = get_session().create_client
    opened: AbstractAsyncContextManager[Any] = create(service, region_name=region, endpoint_url=endpoint_url, config=config)
    return opened


def plain_client(service: str, region: str, endpoint_url: str | None) -> Any:
    """Return a blocking client, for provisioning."""
    create: Any = boto3.client
    return create(service, region_name=region, endpoint_url=endpoint_url, config=Config(**_config(endpoint_url, PATIENT)))


def deadline(patience: Patience, size: int) -> asyncio.Timeout:
    """Bound a whole call that sends `size` bytes; put it inside of `translated`.

    A client's read timeout begins when its request is out. A server that takes no bytes, or never says "100 Continue",
    would be waited for without end.
    """
    once = patience.connect_seconds + patience.read_seconds + size / _SLOWEST_UPLINK
    return asyncio.timeout(patience.attempts * once)


@contextmanager
def translated(dependency: str, what: str) -> Iterator[None]:
    """Raise AWS failures inside the block as this module's top says; `what` names the resource for a person."""
    try:
        yield
    except aws_errors.ClientError as error:
        raise _judged(dependency, what, error) from error
    except _UNCONFIGURED as error:
        message = f"{dependency} cannot be asked for {what}: {error}"
        raise Misconfigured(message) from error
    except _UNANSWERED as error:
        raise Unavailable(dependency, f"{what}: {type(error).__name__}: {error}") from error


def _judged(dependency: str, what: str, error: aws_errors.ClientError) -> PanoveilError | Refused:
    answer = error.response.get("Error", {})
    code, detail = str(answer.get("Code", "")), str(answer.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= _SERVER_ERROR or status == _TOO_MANY or code in _BUSY:
        return Unavailable(dependency, f"{what}: {code} {detail}")
    if code in _MEND:
        return Misconfigured(f"{dependency}, {what}: {_MEND[code]} ({detail})")
    return Refused(code, detail)


def _config(endpoint_url: str | None, patience: Patience) -> dict[str, Any]:
    return {
        "connect_timeout": patience.connect_seconds,
        "read_timeout": patience.read_seconds,
        "max_pool_connections": _CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": patience.attempts},
        # A server named by its address has no virtual host for each bucket.
        "s3": {"addressing_style": "path" if endpoint_url else "auto"},
    }
