"""The data template: what the code asks for, and what emulators take without a word and do not do."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from console.stack.emulator import CREDENTIALS, start_emulator
from panoveil.contracts.keys import Bucket, Stream
from panoveil.ledger import provision_table
from panoveil.quarantine import CONSUMES
from panoveil.runtime import provision
from panoveil.settings import Settings
from panoveil.streams import provision_application
from tests.deploy.templates import FOLDER, resources, template, text

PICTURES = {text(each["BucketName"]).removeprefix("panoveil-"): each for each in resources("data", "AWS::S3::Bucket").values()}
OURS = sorted(Bucket)


def test_there_is_a_bucket_for_every_role_and_one_for_access_logs() -> None:
    assert set(PICTURES) == set(Bucket) | {"access-logs"}


@pytest.mark.parametrize("role", sorted(PICTURES))
def test_no_bucket_can_be_made_public(role: str) -> None:
    block = PICTURES[role]["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)


def _default(bucket: dict[str, Any]) -> dict[str, Any]:
    rules: list[dict[str, Any]] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    found: dict[str, Any] = rules[0]["ServerSideEncryptionByDefault"]
    return found


def test_every_bucket_of_ours_has_a_key_of_its_own() -> None:
    keys = [_default(PICTURES[role]) for role in OURS]
    assert all(key["SSEAlgorithm"] == "aws:kms" for key in keys)
    assert len({str(key["KMSMasterKeyID"]) for key in keys}) == len(OURS)


@pytest.mark.parametrize("kind", ["AWS::KMS::Key"])
def test_keys_rotate(kind: str) -> None:
    assert all(key["EnableKeyRotation"] is True for key in resources("data", kind).values())


def _denied(policy: dict[str, Any]) -> dict[str, Any]:
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"}


def test_buckets_are_reached_by_tls_only_and_take_no_other_key() -> None:
    policies = {policy["Bucket"]["Ref"]: _denied(policy) for policy in resources("data", "AWS::S3::BucketPolicy").values()}
    assert set(policies) == {f"{role.capitalize()}Bucket" for role in Bucket} | {"LogBucket"}
    for bucket, denied in policies.items():
        assert denied["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        if bucket != "LogBucket":  # a missing header is the default key; a condition on it alone would deny that too
            assert denied["NoOtherKey"]["Condition"]["Null"] == {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"}


def _rules(role: str) -> dict[str, Any]:
    return {rule["Id"]: rule for rule in PICTURES[role]["LifecycleConfiguration"]["Rules"]}


def test_originals_are_moved_by_nobody_but_the_archivist_and_unblurred_panoramas_go() -> None:
    for role in ("raw", "archive", "keys"):
        assert set(_rules(role)) == {"uploads-that-never-ended"}
    assert _rules("stitched")["unblurred-panoramas-go"]["ExpirationInDays"] == {"Ref": "StitchedDays"}
    assert not any("ExpirationInDays" in rule for rule in _rules("published").values())


def test_nothing_keeps_a_copy_of_what_is_erased() -> None:
    for role in OURS:
        assert not {"VersioningConfiguration", "ReplicationConfiguration", "ObjectLockConfiguration"} & PICTURES[role].keys()


def test_no_key_is_written_over() -> None:
    (policy,) = (each for each in resources("data", "AWS::S3::BucketPolicy").values() if each["Bucket"]["Ref"] == "KeysBucket")
    assert _denied(policy)["NothingIsWrittenOver"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}


def test_the_wrapping_key_has_the_alias_that_the_code_looks_for() -> None:
    (alias,) = resources("data", "AWS::KMS::Alias").values()
    assert (text(alias["AliasName"]), alias["TargetKeyId"]) == (Settings().wrapping_alias, {"Ref": "WrappingKey"})


def test_streams_are_encrypted_and_keep_their_records() -> None:
    streams = resources("data", "AWS::Kinesis::Stream").values()
    assert {text(each["Name"]).removeprefix("panoveil-") for each in streams} == set(Stream)
    assert all(each["StreamEncryption"]["EncryptionType"] == "KMS" for each in streams)
    assert all(each["RetentionPeriodHours"] == {"Ref": "RetentionHours"} for each in streams)
    assert template("data")["Parameters"]["RetentionHours"]["Default"] >= 168


def test_nothing_that_holds_data_is_deleted_with_the_stack() -> None:
    keeping = {"AWS::S3::Bucket", "AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::KMS::Key"}
    kept = [each for each in template("data")["Resources"].values() if each["Type"] in keeping]
    assert {(each["DeletionPolicy"], each["UpdateReplacePolicy"]) for each in kept} == {("Retain", "Retain")}


def test_the_ledger_can_be_restored_to_any_second_and_is_not_deleted() -> None:
    ledger = resources("data", "AWS::DynamoDB::Table")["Ledger"]
    assert ledger["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert ledger["DeletionProtectionEnabled"] is True


@pytest.fixture(scope="module", name="endpoint")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        process, url = start_emulator(tmp_path_factory.mktemp("emulator"))
        try:
            cloudformation: Any = boto3.client("cloudformation", endpoint_url=url)
            cloudformation.create_stack(StackName="data", TemplateBody=(FOLDER / "data.yaml").read_text())
            cloudformation.get_waiter("stack_create_complete").wait(
                StackName="data", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
            yield url
        finally:
            process.stop(8)


def _schema(endpoint: str, table: str) -> dict[str, Any]:
    described: Any = boto3.client("dynamodb", endpoint_url=endpoint).describe_table(TableName=table)["Table"]
    found = described.get("GlobalSecondaryIndexes") or []
    indexes = [(each["IndexName"], each["KeySchema"], each["Projection"]) for each in found]
    attributes = sorted(described["AttributeDefinitions"], key=lambda each: str(each["AttributeName"]))
    return {"keys": described["KeySchema"], "attributes": attributes, "indexes": indexes}


@pytest.mark.servers
def test_the_ledger_is_the_one_that_the_code_makes(endpoint: str) -> None:
    provision_table("other-ledger", CREDENTIALS["AWS_DEFAULT_REGION"], endpoint)
    assert _schema(endpoint, "panoveil-ledger") == _schema(endpoint, "other-ledger")


@pytest.mark.servers
@pytest.mark.parametrize("suffix", ["", "-CoordinatorState", "-WorkerMetricStats"])
@pytest.mark.parametrize("service", sorted(CONSUMES))
def test_the_tables_of_leases_are_those_that_the_code_makes(service: str, suffix: str, endpoint: str) -> None:
    provision_application(f"other-{service}", f"panoveil-{CONSUMES[service]}", CREDENTIALS["AWS_DEFAULT_REGION"], endpoint)
    assert _schema(endpoint, f"panoveil-{service}{suffix}") == _schema(endpoint, f"other-{service}{suffix}")


@pytest.mark.servers
def test_provisioning_finds_everything_there(endpoint: str) -> None:
    """What the template made is what the services look for: provisioning adds nothing."""
    s3: Any = boto3.client("s3", endpoint_url=endpoint)
    kinesis: Any = boto3.client("kinesis", endpoint_url=endpoint)
    dynamodb: Any = boto3.client("dynamodb", endpoint_url=endpoint)

    def there() -> list[list[str]]:
        buckets = sorted(each["Name"] for each in s3.list_buckets()["Buckets"])
        return [buckets, sorted(kinesis.list_streams()["StreamNames"]), sorted(dynamodb.list_tables()["TableNames"])]

    before = there()
    provision(Settings(endpoint_url=endpoint, region=CREDENTIALS["AWS_DEFAULT_REGION"]))
    assert there() == before
