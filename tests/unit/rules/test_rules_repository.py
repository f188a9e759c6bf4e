"""What is refused of a Repository, and what is only warned of."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from pgwarden.api import names
from pgwarden.rules import OperatorDefaults, validate

STORAGE_TYPES = [
    ("s3,local", "lists local second; write local,s3"),
    ("local, s3", "must be lower case without spaces; write local,s3"),
    (" local", "must be lower case without spaces; write local"),
    ("S3", "must be lower case without spaces; write s3"),
    ("s3,s3", "lists s3 twice; write local, s3, or local,s3 for both"),
    ("local,s3,local", "lists local twice; write local, s3, or local,s3 for both"),
    ("gcs", "gcs is not a storage; write local, s3, or local,s3 for both"),
    ("local,azure", "azure is not a storage; write local, s3, or local,s3 for both"),
    ("posix", "posix is not a storage (pgwarden calls it local); write local, s3, or local,s3 for both"),
    ("local,", "has a stray comma; write local, s3, or local,s3 for both"),
    ("", "is empty; write local, s3, or local,s3 for both"),
]


@pytest.mark.parametrize(("value", "message"), STORAGE_TYPES, ids=[repr(row[0]) for row in STORAGE_TYPES])
def test_each_wrong_storage_type_has_its_sentence(make, judge, value, message):
    faults = [f for f in judge(make("Repository", "a", storageType=value)).faults if f.field == "spec.storageType"]
    assert [fault.message for fault in faults] == [message]


@pytest.mark.parametrize("value", ["local", "s3", "local,s3"])
def test_the_three_storage_types_are_admitted(make, judge, s3, value):
    spec = {"s3": s3} if "s3" in value else {}
    assert judge(make("Repository", "a", storageType=value, **spec)).faults == []


S3_FORMS = [
    ("endpoint", "http://minio:9000", "must not have a scheme; write minio:9000 (TLS is always used, so the port must serve TLS)"),
    ("endpoint", "https://s3.amazonaws.com/x", "must not have a scheme; write s3.amazonaws.com (TLS is always used)"),
    ("endpoint", "minio:9000/backups", "must not have a path; write minio:9000, and the folder as spec.s3.path"),
    ("endpoint", "minio:99999", "has port 99999; use a port from 1 to 65535"),
    ("endpoint", "minio:x", "has port x; use a port from 1 to 65535"),
    ("endpoint", "min io", "must be a host name, such as s3.eu-central-1.amazonaws.com or minio.storage.svc:9000"),
    ("bucket", "s3://backups", "must be a name, not a URL; write backups"),
    ("bucket", "backups/hippo", "must not contain a slash; write backups, and the folder as spec.s3.path"),
    ("bucket", "Backups", "must consist of lower-case letters, digits, dashes and dots, and begin and end with a letter or digit"),
    ("bucket", "a..b", "must consist of lower-case letters, digits, dashes and dots, and begin and end with a letter or digit"),
    ("bucket", "ab", "must have 3 to 63 characters, not 2"),
    ("bucket", "10.0.0.1", "must not look like an IP address"),
    ("region", "eu central", "must be a region such as eu-central-1"),
    ("path", "backups", "must begin with a slash; write /backups"),
    ("path", "/a/../b", "must not contain . or .. as a folder"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "message"), S3_FORMS, ids=[f"{row[0]} {row[1]}" for row in S3_FORMS])
def test_a_wrong_s3_setting_says_how_to_write_it(make, judge, s3, field, value, message):
    faults = judge(make("Repository", "a", storageType="s3", s3=s3 | {field: value})).faults
    assert [(fault.field, fault.message) for fault in faults] == [(f"spec.s3.{field}", message)]


def test_s3_needs_bucket_endpoint_and_region_from_somewhere(make, judge):
    obj = make("Repository", "a", storageType="s3", s3={"keyType": "auto"})
    assert [f.field for f in judge(obj).faults] == ["spec.s3.bucket", "spec.s3.endpoint", "spec.s3.region"]
    assert (
        judge(obj, s3_bucket="b", s3_endpoint="e")
        .faults[0]
        .message.startswith("is required with storage s3; set it here or as the operator's default (s3.region)")
    )
    assert judge(obj, s3_bucket="bkt", s3_endpoint="e", s3_region="r").faults == []


def test_s3_settings_beside_local_storage_are_refused_rather_than_ignored(make, refusal, s3):
    text = refusal(make("Repository", "a", storageType="local", s3=s3))
    assert text == "spec.s3: is set, but storageType is local; set storageType to s3, or to local,s3 for both"


CREDENTIALS = [
    ("shared without", {"credentialsSecretRef": None}, ["is required with keyType shared; name a Secret with s3-key and s3-key-secret, or set another keyType"]),
    ("web-id with", {"keyType": "web-id"}, ["is not used with keyType web-id; omit it, or set keyType to shared"]),
    ("auto with", {"keyType": "auto"}, ["is not used with keyType auto; omit it, or set keyType to shared"]),
    ("web-id without", {"keyType": "web-id", "credentialsSecretRef": None}, []),
]  # fmt: skip


@pytest.mark.parametrize(("change", "messages"), [row[1:] for row in CREDENTIALS], ids=[row[0] for row in CREDENTIALS])
def test_credentials_go_with_key_type_shared_and_with_no_other(make, judge, s3, change, messages):
    spec = {key: value for key, value in (s3 | change).items() if value is not None}
    faults = judge(make("Repository", "a", storageType="s3", s3=spec)).faults
    assert [fault.message for fault in faults] == messages


def test_two_repositories_cannot_share_bucket_and_path(make, refusal, cluster, s3):
    cluster.present.append(make("Repository", "other", "elsewhere", storageType="s3", s3=s3 | {"path": "/shared"}))
    text = refusal(make("Repository", "a", storageType="s3", s3=s3 | {"path": "/shared/"}))
    assert text == (
        'spec.s3.path: "/shared": is used by Repository elsewhere/other in the same bucket; set another path'
    )
    assert refusal(make("Repository", "a", storageType="s3", s3=s3)) == ""


NAMES = [
    ("Hippo", False),
    ("9hippo", False),
    ("hip.po", False),
    ("a" * 53, False),
    ("hippo-", False),
    ("a" * 52, True),
    ("h9-x", True),
]


@pytest.mark.parametrize(("name", "good"), NAMES, ids=[row[0] for row in NAMES])
def test_a_name_must_fit_into_the_names_of_services(make, judge, name, good):
    assert (judge(make("Repository", name)).faults == []) is good


SIZES = [
    ("10Gi", True),
    ("1.5Ti", True),
    ("10GB", False),
    ("-1Gi", False),
    ("0", False),
    ("10", False),
    ("ten", False),
    ("1e10", True),
]


@pytest.mark.parametrize(("size", "good"), SIZES, ids=[row[0] for row in SIZES])
def test_a_size_is_a_quantity_and_more_than_a_slip(make, judge, size, good):
    assert (judge(make("Repository", "a", local={"size": size})).faults == []) is good


def test_days_need_a_number(make, refusal):
    assert "spec.retention.full: is required with fullType time" in refusal(
        make("Repository", "a", retention={"fullType": "time"})
    )


def test_retention_set_twice_is_refused(make, refusal):
    obj = make("Repository", "a", retention={"full": 7}, options=["--repo1-retention-full=3"])
    assert (
        refusal(obj)
        == "spec.retention.full: 7: is also set in options as --repo1-retention-full; remove one of the two"
    )


def test_an_option_of_a_storage_that_is_not_there_is_refused(make, refusal):
    assert "there is no storage 2" in refusal(make("Repository", "a", options=["--repo2-bundle-size=50MiB"]))


def changed(hippo, **spec):
    new = copy.deepcopy(hippo)
    new["spec"] |= spec
    return new


CHANGES = [
    ("encryption added", {"encryption": {"secretRef": {"name": "x"}}}, "spec.encryption: cannot be changed: pgBackRest cannot re-encrypt existing backups; create a new Repository"),
    ("another storage class", {"local": {"storageClassName": "fast"}}, 'spec.local.storageClassName: "fast": cannot be changed from the default: a volume cannot move to another storage class; create a new Repository'),
    ("a smaller volume", {"local": {"size": "5Gi"}}, 'spec.local.size: "5Gi": cannot shrink from 10Gi: a volume can only grow'),
    ("a larger volume", {"local": {"size": "0.01Ti"}}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "text"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_change_that_the_repository_cannot_follow_is_refused(hippo, refusal, spec, text):
    assert refusal(changed(hippo, **spec), hippo) == text


def test_a_storage_with_backups_cannot_be_taken_away_but_one_can_be_added(hippo, refusal, s3):
    text = 'spec.storageType: "s3": cannot remove storage local: it still holds 2 backups; if it is lost, or no longer wanted, say so with the annotation pgwarden.io/give-up-storage=local'
    assert refusal(changed(hippo, storageType="s3", s3=s3), hippo) == text
    assert refusal(changed(hippo, storageType="local,s3", s3=s3), hippo) == ""
    empty = copy.deepcopy(hippo) | {"status": {}}
    assert refusal(changed(empty, storageType="s3", s3=s3), empty) == ""


WARNINGS = [
    ("no retention", {}, "no retention is set: backups are kept forever; set spec.retention.full"),
    ("verifyTLS off", {"storageType": "s3", "s3": {"verifyTLS": False}}, "spec.s3.verifyTLS is false: a man in the middle can read and change backups; set caSecretRef instead"),
    ("a dot in the bucket", {"storageType": "s3", "s3": {"bucket": "my.backups"}}, "bucket my.backups has a dot: with uriStyle host the certificate does not match; set uriStyle to path"),
    ("web-id without an account", {"storageType": "s3", "s3": {"keyType": "web-id"}}, "keyType web-id: spec.serviceAccountName is empty, so the repository host and Jobs run as the default one"),
    ("a queue that drops WAL", {"options": ["--archive-push-queue-max=1TiB"]}, "archive-push-queue-max lets pgBackRest drop WAL when the queue is full; point-in-time recovery is then possible only from the next backup on"),
    ("unused local", {"storageType": "s3", "local": {}}, "spec.local has no effect with storageType s3"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "warning"), [row[1:] for row in WARNINGS], ids=[row[0] for row in WARNINGS])
def test_what_is_unwise_but_possible_is_a_warning(make, judge, spec, warning):
    assert warning in judge(make("Repository", "a", **spec)).warnings


def test_a_careful_repository_has_no_warning(make, judge, s3):
    assert judge(make("Repository", "a", storageType="local,s3", s3=s3, retention={"full": 7})).warnings == []


def test_many_faults_are_told_at_once(make, judge):
    spec = {
        "storageType": "s3, local",
        "s3": {"endpoint": "http://x"},
        "local": {"size": "x"},
        "options": ["--cmd=x"],
        "zz": 1,
    }
    fields = {fault.field for fault in judge(make("Repository", "Hippo", **spec)).faults}
    assert fields == {
        "metadata.name",
        "spec.storageType",
        "spec.local.size",
        "spec.s3.endpoint",
        "spec.s3.bucket",
        "spec.s3.region",
        "spec.s3.credentialsSecretRef",
        "spec.options[0]",
        "spec.zz",
    }


def test_a_repository_is_no_neighbour_of_itself(make, judge, cluster, s3):
    old = make("Repository", "a", storageType="s3", s3=s3)
    cluster.present.append(old)
    assert judge(make("Repository", "a", storageType="s3", s3=s3, retention={"full": 3}), old).faults == []


def test_a_storage_with_backups_can_be_given_up_by_name(hippo, judge, refusal, s3):
    narrowed = changed(hippo, storageType="s3", s3=s3)
    narrowed["metadata"]["annotations"] = {names.ANNOTATION_GIVE_UP: "local"}
    verdict = judge(narrowed, hippo)
    assert verdict.faults == []
    said = "storage local is given up: it holds 2 backups, which stay in claim hippo-pgbackrest-repo; nothing uses them"
    assert said in verdict.warnings
    narrowed["metadata"]["annotations"] = {names.ANNOTATION_GIVE_UP: "s3"}
    assert "cannot remove storage local" in refusal(narrowed, hippo)


@pytest.mark.parametrize(
    ("storage_type", "standing", "refused"), [("s3", True, True), ("s3", False, False), ("local,s3", True, False)]
)
def test_a_storage_with_backups_is_missed_by_the_status_alone_where_the_object_stands(
    hippo, s3, cluster, storage_type, standing, refused
):
    """The controller knows no object before; and the status of one that is being made is not ours."""
    hippo["spec"] |= {"storageType": storage_type, "s3": s3}
    text = "cannot remove storage local: it still holds 2 backups; if it is lost, or no longer wanted, say so with the annotation pgwarden.io/give-up-storage=local"
    assert rejected(hippo, cluster, standing=standing) == ([text] if refused else [])


def rejected(obj, lookup, *, standing=True):
    """What the controller says against it, which knows no object before."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    verdict = validate(obj, old=None, lookup=lookup, now=now, defaults=OperatorDefaults(), standing=standing)
    return [fault.message for fault in verdict.faults]


def test_of_two_repositories_in_one_place_the_older_one_keeps_it(make, cluster, s3, refusal):
    """Made past the webhook, or both in one moment: the one that works already must not be stopped."""
    older, younger = (make("Repository", name, storageType="s3", s3=s3 | {"path": "/shared"}) for name in ("b", "a"))
    older["metadata"] |= {"creationTimestamp": "2026-11-01T00:00:00Z", "uid": "2"}
    younger["metadata"] |= {"creationTimestamp": "2026-11-02T00:00:00Z", "uid": "1"}
    cluster.present += [older, younger]
    assert rejected(older, cluster) == []
    assert "is used by Repository ns/b" in rejected(younger, cluster)[0]
    assert refusal(copy.deepcopy(older) | {"spec": older["spec"] | {"retention": {"full": 3}}}, older) == ""
    assert "is used by Repository ns/a" in refusal(older)  # one that is being made has no age yet, whatever it says
