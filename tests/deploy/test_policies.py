"""Who can read and write what, both ways: every role, every bucket, stream, table and key; what is not listed here is denied."""

import itertools

import pytest

from panoveil.contracts.keys import Bucket, Stream, current_key
from panoveil.quarantine import CONSUMES
from tests.deploy.templates import Role, listed, roles, text

ROLES = {role.name: role for role in roles()}
PEOPLE = {"agent", "reader", "operator", "restorer", "custodian", "reviewer", "replayer", "watcher"}

BUCKETS = {
    ("ingest", Bucket.RAW): "r",
    ("ingest", Bucket.REGISTRY): "r",
    ("ingest", Bucket.QUARANTINE): "w",
    ("stitcher", Bucket.RAW): "r",
    ("stitcher", Bucket.REGISTRY): "r",
    ("stitcher", Bucket.STITCHED): "w",
    ("stitcher", Bucket.QUARANTINE): "w",
    ("anonymizer", Bucket.STITCHED): "r",
    ("anonymizer", Bucket.PUBLISHED): "rwd",
    ("anonymizer", Bucket.QUARANTINE): "w",
    ("archivist", Bucket.RAW): "r",
    ("archivist", Bucket.ARCHIVE): "rw",
    ("archivist", Bucket.KEYS): "rw",
    ("archivist", Bucket.QUARANTINE): "w",
    ("restorer", Bucket.ARCHIVE): "r",
    ("restorer", Bucket.KEYS): "r",
    ("restorer", Bucket.RAW): "w",
    ("custodian", Bucket.RAW): "d",
    ("custodian", Bucket.STITCHED): "d",
    ("custodian", Bucket.PUBLISHED): "rd",
    ("custodian", Bucket.ARCHIVE): "d",
    ("custodian", Bucket.QUARANTINE): "d",
    ("custodian", Bucket.KEYS): "rwd",
    ("agent", Bucket.RAW): "w",
    ("reader", Bucket.PUBLISHED): "r",
    ("operator", Bucket.QUARANTINE): "rwd",
    ("operator", Bucket.PUBLISHED): "r",
    ("operator", Bucket.REGISTRY): "rw",
    ("reviewer", Bucket.STITCHED): "r",
    ("replayer", Bucket.RAW): "r",
    ("replayer", Bucket.REGISTRY): "r",
    ("replayer", Bucket.STITCHED): "rw",
    ("replayer", Bucket.PUBLISHED): "rwd",
}
LISTED = {("restorer", Bucket.RAW), *(("custodian", bucket) for bucket in set(Bucket) - {Bucket.REGISTRY})}
"""Who sees what is there besides those who read it."""
STREAMS = {
    ("archivist", Stream.PUBLICATIONS): "r",
    ("ingest", Stream.UPLOADS): "r",
    ("ingest", Stream.CAPTURES): "w",
    ("stitcher", Stream.CAPTURES): "r",
    ("stitcher", Stream.PANORAMAS): "w",
    ("anonymizer", Stream.PANORAMAS): "r",
    ("anonymizer", Stream.PUBLICATIONS): "w",
    ("agent", Stream.UPLOADS): "w",
    ("operator", Stream.UPLOADS): "w",
    ("operator", Stream.CAPTURES): "w",
    ("operator", Stream.PANORAMAS): "w",
    ("reviewer", Stream.PANORAMAS): "w",
    ("replayer", Stream.CAPTURES): "r",
    ("replayer", Stream.PANORAMAS): "r",
    ("replayer", Stream.PUBLICATIONS): "w",
}
LEDGER = {"ingest", "stitcher", "anonymizer", "archivist", "operator", "restorer", "custodian", "reviewer", "replayer"}
S3 = {"s3:GetObject": "r", "s3:PutObject": "w", "s3:DeleteObject": "d"}
KINESIS = {"kinesis:GetRecords": "r", "kinesis:PutRecords": "w", "kinesis:PutRecord": "x", "kinesis:DeleteStream": "x"}


def _granted(role: Role, actions: dict[str, str], resource: str) -> str:
    return "".join(letter for action, letter in actions.items() if role.may(action, resource))


def test_the_roles_are_these() -> None:
    assert set(ROLES) == set(CONSUMES) | PEOPLE | {"triton"}


def test_an_operator_writes_catalogues_and_pointers_and_nothing_else_of_what_is_published() -> None:
    bucket = "arn:aws:s3:::panoveil-published"
    assert _granted(ROLES["operator"], S3, f"{bucket}/_catalogue/survey/drive/items.geojson") == "rwd"
    assert _granted(ROLES["operator"], S3, f"{bucket}/{current_key('survey/drive/capture').key}") == "rw"
    for name in (".jpg", ".json", "/tiles.pmtiles"):
        assert _granted(ROLES["operator"], S3, f"{bucket}/survey/drive/capture/recipe{name}") == "r"


@pytest.mark.parametrize(("name", "bucket"), list(itertools.product(sorted(ROLES), Bucket)))
def test_who_reads_writes_and_deletes_objects(name: str, bucket: Bucket) -> None:
    granted = _granted(ROLES[name], S3, f"arn:aws:s3:::panoveil-{bucket}/survey/drive/capture/front.jpg")
    assert granted == BUCKETS.get((name, bucket), "")


@pytest.mark.parametrize(("name", "stream"), list(itertools.product(sorted(ROLES), Stream)))
def test_who_reads_and_writes_streams(name: str, stream: Stream) -> None:
    granted = _granted(ROLES[name], KINESIS, f"arn:aws:kinesis:eu-north-1:1:stream/panoveil-{stream}")
    assert granted == STREAMS.get((name, stream), "")


@pytest.mark.parametrize("name", sorted(ROLES))
def test_who_keeps_the_ledger_and_nobody_deletes_from_it(name: str) -> None:
    table = "arn:aws:dynamodb:eu-north-1:1:table/panoveil-ledger"
    reads = [ROLES[name].may(action, table) for action in ("dynamodb:GetItem", "dynamodb:Query")]
    assert reads == [name in LEDGER or name == "watcher"] * 2
    assert ROLES[name].may("dynamodb:PutItem", table) == (name in LEDGER)
    assert ROLES[name].may("dynamodb:UpdateItem", table) == (name == "ingest")  # what it saw of a capture is one item
    assert not any(ROLES[name].may(f"dynamodb:{action}", table) for action in ("DeleteItem", "DeleteTable"))


@pytest.mark.parametrize(("name", "application"), list(itertools.product(sorted(ROLES), sorted(CONSUMES))))
def test_a_service_shares_the_shards_of_its_own_application_only(name: str, application: str) -> None:
    for suffix in ("", "-CoordinatorState", "-WorkerMetricStats"):
        table = f"arn:aws:dynamodb:eu-north-1:1:table/panoveil-{application}{suffix}"
        assert ROLES[name].may("dynamodb:UpdateItem", table) == (name == application)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_who_replays_makes_and_removes_tables_of_replays_only(name: str) -> None:
    tables = "arn:aws:dynamodb:eu-north-1:1:table/panoveil"
    for action in ("CreateTable", "DeleteTable", "UpdateItem", "Scan"):
        assert ROLES[name].may(f"dynamodb:{action}", f"{tables}-replay-0a1b2c-CoordinatorState") == (name == "replayer")
    assert not any(ROLES[name].may("dynamodb:DeleteTable", f"{tables}-{service}") for service in CONSUMES)


def test_triton_may_nothing_but_tell_how_long_requests_wait() -> None:
    actions = {action for statement in ROLES["triton"].statements for action in listed(statement["Action"])}
    assert {action.split(":")[0] for action in actions} == {"logs"}


@pytest.mark.parametrize(("name", "bucket"), list(itertools.product(sorted(ROLES), Bucket)))
def test_who_reads_a_bucket_may_decrypt_it_and_tell_gone_from_forbidden(name: str, bucket: Bucket) -> None:
    """Without ListBucket S3 says 403 of an object that is not there, which is no answer that the services can work with."""
    role, granted = ROLES[name], BUCKETS.get((name, bucket), "")
    assert role.may("s3:ListBucket", f"arn:aws:s3:::panoveil-{bucket}") == ("r" in granted or (name, bucket) in LISTED)
    if name != "agent":  # it decrypts the parts of its own multipart uploads
        assert role.may("kms:Decrypt", f"panoveil-{bucket}-key") == ("r" in granted)
    catalogues = (name, bucket) == ("operator", Bucket.PUBLISHED)  # and pointers
    assert role.may("kms:GenerateDataKey", f"panoveil-{bucket}-key") == ("w" in granted or catalogues)


UNWRAPS = {"archivist": ["kms:Decrypt", "kms:GenerateDataKey"], "restorer": ["kms:Decrypt"]}


@pytest.mark.parametrize("name", sorted(ROLES))
def test_who_unwraps_a_drives_key(name: str) -> None:
    """Who erases cannot look, and who can look cannot erase."""
    asked = ("kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion")
    assert [action for action in asked if ROLES[name].may(action, "panoveil-wrapping-key")] == UNWRAPS.get(name, [])


@pytest.mark.parametrize("name", sorted(ROLES))
def test_who_asks_the_archive_and_who_removes_every_version(name: str) -> None:
    archived = "arn:aws:s3:::panoveil-archive/survey/drive/capture/index.tar.aesgcm"
    assert ROLES[name].may("s3:RestoreObject", archived) == (name == "restorer")
    assert ROLES[name].may("s3:DeleteObjectVersion", archived) == (name == "custodian")
    assert ROLES[name].may("s3:ListBucketVersions", "arn:aws:s3:::panoveil-archive") == (name == "custodian")


def test_no_role_may_anything_everywhere() -> None:
    for role in ROLES.values():
        for statement in role.statements:
            assert all("*" not in action for action in listed(statement["Action"]))
            assert all(text(on) != "*" for on in listed(statement["Resource"]))
