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
    ("bucket", "my bucket", "must consist of letters, digits, and . _ - (and : after a tenant), and begin with a letter or digit"),
    ("region", "eu central", "must be a region such as eu-central-1, or what the service calls it, such as :default-placement: letters, digits and : . _ + @ ~ -"),
    ("region", "us/east", "must be a region such as eu-central-1, or what the service calls it, such as :default-placement: letters, digits and : . _ + @ ~ -"),
    ("path", "backups", "must begin with a slash; write /backups"),
    ("path", "/a/../b", "must not contain . or .. as a folder"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "message"), S3_FORMS, ids=[f"{row[0]} {row[1]}" for row in S3_FORMS])
def test_a_wrong_s3_setting_says_how_to_write_it(make, judge, s3, field, value, message):
    faults = judge(make("Repository", "a", storageType="s3", s3=s3 | {field: value})).faults
    assert [(fault.field, fault.message) for fault in faults] == [(f"spec.s3.{field}", message)]


SERVICES = {
    "AWS": {"endpoint": "s3.eu-central-1.amazonaws.com", "region": "eu-central-1"},
    "Ceph": {"region": ":default-placement", "uriStyle": "path"},
    "Ceph, a placement": {"region": "default:fast", "uriStyle": "path"},
    "a tenant of Ceph": {"bucket": "acme:backups", "uriStyle": "path"},
    "an old bucket of AWS": {"bucket": "Acme_Backups.2011", "uriStyle": "path"},
    "a long one": {"bucket": "b" * 255, "uriStyle": "path"},
    "a short one": {"bucket": "b", "uriStyle": "path"},
    "an address for a name": {"bucket": "10.0.0.1", "uriStyle": "path"},
    "a dot, unverified": {"bucket": "a.b", "verifyTLS": False},
    "a port": {"endpoint": "minio.storage.svc:9000", "uriStyle": "path"},
    "an address": {"endpoint": "10.0.0.1:9000", "uriStyle": "path"},
    "IPv6": {"endpoint": "[fd00::1]:9000", "uriStyle": "path"},
    "an underscore": {"endpoint": "object_store:9000", "uriStyle": "path"},
    "a region of another cloud": {"region": "RegionOne", "uriStyle": "path"},
}


@pytest.mark.parametrize("service", SERVICES)
def test_what_pgbackrest_takes_of_a_service_is_taken(make, judge, s3, service):
    found = judge(make("Repository", storageType="s3", s3=s3 | SERVICES[service], retention={"full": 7}))
    assert found.faults == []


@pytest.mark.parametrize(
    ("bucket", "why"),
    [
        ("acme:backups", "a colon is in no host name"),
        ("Backups", "a host name has no capitals"),
        ("b" * 64, "a part of a host name has at most 63 characters"),
        ("a..b", "a part of a host name has at most 63 characters"),
        ("backups-", "no dash at its ends"),
        ("my.backups", "no certificate for all buckets of a service holds for a name with a dot"),
    ],
)
@pytest.mark.parametrize("default", [False, True], ids=["its own", "the operator's"])
def test_a_bucket_that_can_be_no_host_name_needs_the_other_style(make, judge, s3, bucket, why, default):
    """pgBackRest 2.60 itself refuses the last one."""
    given = {key: value for key, value in s3.items() if key != "bucket"} | ({} if default else {"bucket": bucket})
    obj = make("Repository", storageType="s3", s3=given)
    (fault,) = judge(obj, **({"s3_bucket": bucket} if default else {})).faults
    assert fault.field == "spec.s3.uriStyle"
    assert why in fault.message
    assert fault.message.endswith("; set it to path")
    assert bool(fault.waits) is default


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
    ("web-id with those of pods", {"keyType": "web-id", "credentialsSecretRef": None, "podCredentialsSecretRef": {"name": "pods"}}, ["is not used with keyType web-id; omit it, or set keyType to shared"]),
    ("auto with both", {"keyType": "auto", "podCredentialsSecretRef": {"name": "pods"}}, ["is not used with keyType auto; omit it, or set keyType to shared"] * 2),
    ("shared with those of pods alone", {"credentialsSecretRef": None, "podCredentialsSecretRef": {"name": "pods"}}, ["is required with keyType shared; name a Secret with s3-key and s3-key-secret, or set another keyType"]),
    ("auto with those of clones", {"keyType": "auto", "credentialsSecretRef": None, "cloneCredentialsSecretRef": {"name": "read"}}, ["is not used with keyType auto; omit it, or set keyType to shared"]),
    ("shared with all three", {"podCredentialsSecretRef": {"name": "pods"}, "cloneCredentialsSecretRef": {"name": "read"}}, []),
    ("shared with both", {"podCredentialsSecretRef": {"name": "pods"}}, []),
]  # fmt: skip


@pytest.mark.parametrize(("change", "messages"), [row[1:] for row in CREDENTIALS], ids=[row[0] for row in CREDENTIALS])
def test_credentials_go_with_key_type_shared_and_with_no_other(make, judge, s3, change, messages):
    spec = {key: value for key, value in (s3 | change).items() if value is not None}
    faults = judge(make("Repository", "a", storageType="s3", s3=spec)).faults
    assert [fault.message for fault in faults] == messages


@pytest.mark.parametrize(("name", "warned"), [("s3", True), ("s3-pods", False)])
def test_one_secret_for_host_and_pods_is_warned_of_as_it_separates_nothing(make, judge, s3, name, warned):
    obj = make("Repository", "a", storageType="s3", s3=s3 | {"podCredentialsSecretRef": {"name": name}})
    verdict = judge(obj)
    assert verdict.faults == []
    said = (
        "spec.s3.podCredentialsSecretRef and credentialsSecretRef name the same Secret s3: pods of PostgreSQL can "
        "delete backups; name another, with a key that may not delete"
    )
    assert (said in verdict.warnings) == warned


@pytest.mark.parametrize(
    ("name", "same"), [("s3", "credentialsSecretRef"), ("s3-pods", "podCredentialsSecretRef"), ("s3-read", "")]
)
def test_a_secret_of_clones_that_others_write_with_is_warned_of(make, judge, s3, name, same):
    own = {"podCredentialsSecretRef": {"name": "s3-pods"}, "cloneCredentialsSecretRef": {"name": name}}
    verdict = judge(make("Repository", "a", storageType="s3", s3=s3 | own))
    assert verdict.faults == []
    told = [one for one in verdict.warnings if one.startswith("spec.s3.cloneCredentialsSecretRef")]
    assert [one.partition(":")[0] for one in told] == (
        [f"spec.s3.cloneCredentialsSecretRef and {same} name the same Secret {name}"] if same else []
    )


def test_two_repositories_cannot_share_bucket_and_path(make, judge, refusal, cluster, s3):
    cluster.present.append(make("Repository", "other", "elsewhere", storageType="s3", s3=s3 | {"path": "/shared"}))
    text = refusal(make("Repository", "a", storageType="s3", s3=s3 | {"path": "/shared/"}))
    assert text == (
        'spec.s3.path: "/shared": is used by a Repository of another namespace in the same bucket; set another path'
    )
    (fault,) = judge(make("Repository", "a", storageType="s3", s3=s3 | {"path": "/shared"})).faults
    asked = []
    told = fault.told(lambda *pair: asked.append(pair) or True)
    assert told.message == "is used by Repository elsewhere/other in the same bucket; set another path"
    assert asked == [("elsewhere", "other")]
    assert refusal(make("Repository", "a", storageType="s3", s3=s3)) == ""


OVERLAPS = [
    ("within", {"path": "/shared/archive"}, "lies within the folder of"),
    ("the root, which is the default", {"path": "/"}, ""),
    ("half a name", {"path": "/sh"}, ""),
    ("containing", {"path": "/shared"}, "contains the folder of"),
    ("beside", {"path": "/shared/deeper2"}, ""),
    ("a port with zeros", {"path": "/shared/deeper", "endpoint": "s3.example:0443"}, "is used by"),
    ("the bucket in the endpoint", {"endpoint": "backups.s3.example", "bucket": "shared", "path": "/deeper", "uriStyle": "path"}, "is used by"),
    ("another service", {"path": "/shared/deeper", "endpoint": "s3.other"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [row[1:] for row in OVERLAPS], ids=[row[0] for row in OVERLAPS])
def test_folders_of_two_repositories_do_not_overlap_however_they_are_written(make, refusal, cluster, s3, change, words):
    at = s3 | {"endpoint": "s3.example", "bucket": "backups"}
    other = {"path": "/shared/deeper"} if change.get("path") != "/shared/archive" else {"path": "/shared"}
    cluster.present.append(make("Repository", "other", "elsewhere", storageType="s3", s3=at | other))
    text = refusal(make("Repository", "a", storageType="s3", s3=at | change))
    assert words in text if words else text == ""


def test_a_repository_within_anothers_folder_that_stood_before_the_rule_goes_on(make, refusal, cluster, s3):
    outer = make("Repository", "outer", storageType="s3", s3=s3 | {"path": "/shared"})
    inner = make("Repository", "inner", storageType="s3", s3=s3 | {"path": "/shared/archive"})
    cluster.present += [outer, inner]
    assert rejected(inner, cluster) == []
    assert refusal(copy.deepcopy(inner) | {"spec": inner["spec"] | {"retention": {"full": 3}}}, inner) == ""
    moved = copy.deepcopy(inner) | {"spec": inner["spec"] | {"s3": s3 | {"path": "/shared/other"}}}
    assert "lies within the folder of Repository ns/outer" in refusal(moved, inner)


@pytest.mark.parametrize(
    "folder", ["/", "/etc", "/etc/ssl", "/usr/bin/", "//proc/1", "/pgwarden/conf", "/var/../etc", "/opt"]
)
def test_a_socket_directory_that_would_hide_what_containers_need_is_refused_where_it_is_new(make, refusal, folder):
    before = make("Repository", "a", storageType="local", postgres={"socketDirectory": folder})
    assert "spec.postgres.socketDirectory" in refusal(before)
    changed = copy.deepcopy(before) | {"spec": before["spec"] | {"retention": {"full": 3}}}
    assert refusal(changed, before) == ""


@pytest.mark.parametrize("folder", ["/tmp", "/var/run/postgresql", "/run/postgresql", "/opt/db/socket", "/etcetera"])
def test_other_socket_directories_are_as_good_as_ever(make, refusal, folder):
    assert refusal(make("Repository", "a", storageType="local", postgres={"socketDirectory": folder})) == ""


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
    ("an underscore in the bucket", {"storageType": "s3", "s3": {"bucket": "my_backups"}}, "bucket my_backups has an underscore: with uriStyle host many services do not find it; set it to path"),
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
