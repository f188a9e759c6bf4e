"""What must be true of a Repository's bucket."""

from __future__ import annotations

import re

from pgwarden.api.faults import Waits, brief
from pgwarden.api.judging import Case
from pgwarden.api.reading import get
from pgwarden.storages.s3 import neighbours
from pgwarden.storages.s3.location import effective, location, split
from pgwarden.storages.storage import uses

#: Old buckets of AWS have capitals and underscores; Ceph's begin with a tenant (`tenant:bucket`).
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_LONGEST_LABEL = 63  # of a host name
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"[A-Za-z0-9!_.*()@=/-]*")
#: It is part of each signature, whose parts are separated by slashes, commas and equals signs.
_REGION = re.compile(r"[A-Za-z0-9:._+@~-]+")
_PLACE = ("bucket", "endpoint", "region")
_CREDENTIALS, _POD_CREDENTIALS = "credentialsSecretRef", "podCredentialsSecretRef"
_CLONE_CREDENTIALS = "cloneCredentialsSecretRef"


def check(case: Case, storages: tuple[str, ...] | None, *, holds_backups: bool) -> None:
    given = case.get(dict, "s3") is not None
    _check_forms(case)
    if storages is None:
        return
    if "s3" not in storages:
        if given:
            named = ",".join(storages)
            message = f"is set, but storageType is {named}; set storageType to s3, or to {named},s3 for both"
            case.refuse("spec.s3", None, message, "s3")
        return
    _check_place(case)
    _check_host_style(case)
    _check_credentials(case)
    neighbours.check(case)
    _warn(case, holds_backups=holds_backups)
    _warn_of_pods_keys(case)
    _warn_of_clones_keys(case)


def _check_place(case: Case) -> None:
    for field in _PLACE:
        if effective(case.obj, case.defaults, field):
            continue
        value = (case.get(dict, "s3") or {}).get(field)
        if value is not None and not isinstance(value, str):  # the schema says so
            continue
        extra = "; most services other than AWS accept any value, such as us-east-1" if field == "region" else ""
        message = f"is required with storage s3; set it here or as the operator's default (s3.{field}){extra}"
        case.refuse(f"spec.s3.{field}", None, message, "s3", Waits.DEFAULT_MISSING)


def _check_forms(case: Case) -> None:
    given = case.get(dict, "s3")
    for field, problem_of in (
        ("bucket", _bucket_problem),
        ("endpoint", _endpoint_problem),
        ("region", _region_problem),
        ("path", _path_problem),
    ):
        value = get(given, str, field)
        if not value:
            continue
        problem = problem_of(value)
        if problem:
            case.refuse(f"spec.s3.{field}", brief(value), problem, f"s3.{field}")


def _bucket_problem(bucket: str) -> str:
    if bucket.startswith("s3://"):
        return f"must be a name, not a URL; write {brief(bucket.removeprefix('s3://').partition('/')[0])}"
    if "/" in bucket:
        return f"must not contain a slash; write {brief(bucket.partition('/')[0])}, and the folder as spec.s3.path"
    if not _BUCKET.fullmatch(bucket):
        return "must consist of letters, digits, and . _ - (and : after a tenant), and begin with a letter or digit"
    return ""


def _check_host_style(case: Case) -> None:
    """Whether the bucket's name can be the first part of a host name; with uriStyle path it need not."""
    bucket = effective(case.obj, case.defaults, "bucket")
    if (case.get(str, "s3", "uriStyle") or "host") != "host" or not _BUCKET.fullmatch(bucket):
        return
    problem = _no_host_name(bucket, verified=case.get(bool, "s3", "verifyTLS") is not False)
    if problem:
        message = f"cannot be host with bucket {brief(bucket)}: {problem}; set it to path"
        own = case.get(str, "s3", "bucket")
        case.refuse("spec.s3.uriStyle", "host", message, "s3.uriStyle", None if own else Waits.DEFAULT_MISSING)
    elif "_" in bucket:
        case.warn(
            f"bucket {brief(bucket)} has an underscore: with uriStyle host many services do not find it; set it to path"
        )


def _no_host_name(bucket: str, *, verified: bool) -> str:
    if ":" in bucket:
        return "a colon is in no host name"
    if bucket != bucket.lower():
        return "a host name has no capitals"
    if any(not 1 <= len(label) <= _LONGEST_LABEL or label.strip("-") != label for label in bucket.split(".")):
        return f"a part of a host name has at most {_LONGEST_LABEL} characters, and no dash at its ends"
    # pgBackRest itself refuses it.
    dotted = "." in bucket and verified
    return "no certificate for all buckets of a service holds for a name with a dot" if dotted else ""


def _endpoint_problem(endpoint: str) -> str:
    scheme, separator, rest = endpoint.partition("://")
    if separator:
        host = rest.split("/", 1)[0]
        if scheme.lower() == "http":
            return f"must not have a scheme; write {host} (TLS is always used, so the port must serve TLS)"
        return f"must not have a scheme; write {host} (TLS is always used)"
    host, slash, _ = endpoint.partition("/")
    if slash:
        return f"must not have a path; write {host}, and the folder as spec.s3.path"
    name, port = split(endpoint)
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= 65535):
        return f"has port {port[:20]}; use a port from 1 to 65535"
    return (
        ""
        if _HOST.fullmatch(name)
        else "must be a host name, such as s3.eu-central-1.amazonaws.com or minio.storage.svc:9000"
    )


def _region_problem(region: str) -> str:
    if _REGION.fullmatch(region):
        return ""
    return (
        "must be a region such as eu-central-1, or what the service calls it, such as :default-placement: letters, "
        "digits and : . _ + @ ~ -"
    )


def _path_problem(path: str) -> str:
    if not path.startswith("/"):
        return f"must begin with a slash; write /{brief(path)}"
    if not {".", ".."}.isdisjoint(path.split("/")):
        return "must not contain . or .. as a folder"
    return "" if _PATH.fullmatch(path) else "may contain only letters, digits and ! _ . * ( ) @ = / -"


def _check_credentials(case: Case) -> None:
    kind = case.get(str, "s3", "keyType") or "shared"
    fields = (_CREDENTIALS, _POD_CREDENTIALS, _CLONE_CREDENTIALS)
    given = [field for field in fields if case.get(dict, "s3", field) is not None]
    if kind == "shared" and _CREDENTIALS not in given:
        message = "is required with keyType shared; name a Secret with s3-key and s3-key-secret, or set another keyType"
        case.refuse(f"spec.s3.{_CREDENTIALS}", None, message, "credentials")
    for field in given if kind in {"auto", "web-id"} else ():
        message = f"is not used with keyType {kind}; omit it, or set keyType to shared"
        case.refuse(f"spec.s3.{field}", None, message, "credentials")
    role = case.get(str, "s3", "roleARN")
    if kind != "web-id" and role:
        message = f"is not used with keyType {kind}; omit it, or set keyType to web-id"
        case.refuse("spec.s3.roleARN", role, message, "credentials")
    if kind == "web-id" and not case.get(str, "serviceAccountName"):
        case.warn(
            "keyType web-id: spec.serviceAccountName is empty, so the repository host and Jobs run as the default one"
        )


def _warn(case: Case, *, holds_backups: bool) -> None:
    if case.get(bool, "s3", "verifyTLS") is False:
        case.warn(
            "spec.s3.verifyTLS is false: a man in the middle can read and change backups; set caSecretRef instead"
        )
    old = case.old
    if old is not None and uses(old, "s3") and holds_backups:
        before, after = location(old, case.defaults), location(case.obj, case.defaults)
        if before != after and before is not None:
            case.warn(f"the s3 storage moves: existing backups stay at {before[0]}/{before[1]}{before[2]}")


def _warn_of_pods_keys(case: Case) -> None:
    """Of what they do not keep from deleting."""
    pods = case.get(str, "s3", _POD_CREDENTIALS, "name")
    if not pods:
        return
    if pods == case.get(str, "s3", _CREDENTIALS, "name"):
        case.warn(
            f"spec.s3.{_POD_CREDENTIALS} and {_CREDENTIALS} name the same Secret {brief(pods)}: pods of PostgreSQL can "
            "delete backups; name another, with a key that may not delete"
        )


def _warn_of_clones_keys(case: Case) -> None:
    """Of those with which a clone could write."""
    clones = case.get(str, "s3", _CLONE_CREDENTIALS, "name") or ""
    for field in (_CREDENTIALS, _POD_CREDENTIALS) if clones else ():
        if clones == case.get(str, "s3", field, "name"):
            case.warn(
                f"spec.s3.{_CLONE_CREDENTIALS} and {field} name the same Secret {brief(clones)}: clones can write to "
                "the repository; name another, with a key that may only read"
            )
