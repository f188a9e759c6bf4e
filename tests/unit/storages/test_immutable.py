"""What a bucket keeps of what is deleted: how it is asked, and what its answers mean."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from pgwarden.contract.status import Immutable
from pgwarden.storages.s3 import immutable, signature
from pgwarden.storages.s3.immutable import Bucket
from pgwarden.storages.s3.signature import Keys

#: Of AWS's page "Signature Calculations for the Authorization Header": its examples of a GET without more headers.
EXAMPLE = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
PUBLISHED = {
    "the lifecycle of a bucket": (
        {"lifecycle": ""},
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "its objects": (
        {"max-keys": "2", "prefix": "J"},
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}
XML = '<?xml version="1.0" encoding="UTF-8"?>'
NO_LOCK = (404, f"{XML}<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>")
DENIED = (403, f"{XML}<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")


def versioning(status: str) -> tuple[int, str]:
    inner = f"<Status>{status}</Status>" if status else ""
    return 200, f"{XML}<VersioningConfiguration>{inner}</VersioningConfiguration>"


def lock(mode: str, period: str) -> tuple[int, str]:
    rule = f"<Rule><DefaultRetention><Mode>{mode}</Mode>{period}</DefaultRetention></Rule>" if mode else ""
    enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
    return 200, f"{XML}<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>"


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_signature_is_the_one_that_aws_publishes(case: str):
    query, published = PUBLISHED[case]
    now = datetime(2013, 5, 24, tzinfo=UTC)
    made = signature.headers("examplebucket.s3.amazonaws.com", "/", query, "us-east-1", EXAMPLE, now)
    assert made["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={published}"
    )


def test_a_temporary_key_brings_its_token_and_keys_are_not_shown():
    keys = Keys("a", "b", "token")
    made = signature.headers("h", "/", {}, "r", keys, datetime(2013, 5, 24, tzinfo=UTC))
    assert (made["x-amz-security-token"], "x-amz-security-token," in made["authorization"]) == ("token", True)
    assert repr(keys) == "Keys(…)"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((versioning("Enabled"), NO_LOCK), Immutable(repo=1, versioning="Enabled")),
        ((versioning("Suspended"), NO_LOCK), Immutable(repo=1, versioning="Suspended")),
        ((versioning(""), NO_LOCK), Immutable(repo=1, versioning="Off")),
        (
            (versioning("Enabled"), lock("COMPLIANCE", "<Days>30</Days>")),
            Immutable(repo=1, versioning="Enabled", lock_mode="COMPLIANCE", lock_days=30),
        ),
        (
            (versioning("Enabled"), lock("GOVERNANCE", "<Years>2</Years>")),
            Immutable(repo=1, versioning="Enabled", lock_mode="GOVERNANCE", lock_days=730),
        ),
        ((versioning("Enabled"), lock("", "")), Immutable(repo=1, versioning="Enabled")),
        (
            (DENIED, DENIED),
            Immutable(
                repo=1, versioning="Unknown", reason="versioning: 403 AccessDenied; object lock: 403 AccessDenied"
            ),
        ),
        (
            (versioning("Enabled"), (501, "nonsense")),
            Immutable(repo=1, versioning="Enabled", reason="object lock: 501 without an answer that can be read"),
        ),
        (
            ((200, "<html>"), NO_LOCK),
            Immutable(repo=1, versioning="Unknown", reason="versioning: 200 without an answer that can be read"),
        ),
    ],
)
def test_the_answers(answers, told):
    assert immutable.judge(1, *answers) == told


LINES = {"s3-endpoint": "s3.example", "s3-bucket": "b", "s3-region": "r", "s3-key": "k", "s3-key-secret": "s"}


@pytest.mark.parametrize(
    ("more", "host", "path"),
    [
        ({}, "b.s3.example", "/"),
        ({"s3-uri-style": "path"}, "s3.example", "/b"),
        ({"s3-uri-style": "path", "storage-port": "9000"}, "s3.example:9000", "/b"),
        ({"storage-port": "443"}, "b.s3.example", "/"),
    ],
)
def test_it_is_asked_where_pgbackrest_finds_it(more, host, path):
    found = Bucket(LINES | more)
    assert (found.host, found.path, found.hindrance, found.is_verified) == (host, path, "", True)


@pytest.mark.parametrize("more", [{"s3-key": ""}, {"storage-host": "proxy"}])
def test_what_is_not_reached_by_keys_alone_is_not_asked(more):
    assert Bucket(LINES | more).hindrance


@pytest.mark.parametrize(
    "told",
    [{"versioning": "x" * 17}, {"versioning": "\u001b[2J"}, {"reason": "x" * 513}, {"reason": "a\u001b[2J"}],
)
def test_an_agent_cannot_say_what_the_status_may_not_take(told):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Immutable)
