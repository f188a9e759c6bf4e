"""What must be true of a Repository's bucket."""

from __future__ import annotations

import re

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Waits, brief
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.storages.storage import uses

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"[A-Za-z0-9!_.*()@=/-]*")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PLACE = ("bucket", "endpoint", "region")


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
    _check_credentials(case)
    _check_neighbours(case)
    _warn(case, holds_backups=holds_backups)


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
    if not 3 <= len(bucket) <= 63:
        return f"must have 3 to 63 characters, not {len(bucket)}"
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        return "must consist of lower-case letters, digits, dashes and dots, and begin and end with a letter or digit"
    return "must not look like an IP address" if _IP.fullmatch(bucket) else ""


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
    name, port = _split(endpoint)
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= 65535):
        return f"has port {port[:20]}; use a port from 1 to 65535"
    return (
        ""
        if _HOST.fullmatch(name)
        else "must be a host name, such as s3.eu-central-1.amazonaws.com or minio.storage.svc:9000"
    )


def _split(endpoint: str) -> tuple[str, str]:
    """Host and port; an IPv6 address is in brackets."""
    if endpoint.startswith("["):
        host, bracket, port = endpoint.partition("]")
        return host + bracket, port.removeprefix(":")
    host, _, port = endpoint.partition(":")
    return host, port


def _region_problem(region: str) -> str:
    return "" if _REGION.fullmatch(region) and len(region) <= 64 else "must be a region such as eu-central-1"


def _path_problem(path: str) -> str:
    if not path.startswith("/"):
        return f"must begin with a slash; write /{brief(path)}"
    if not {".", ".."}.isdisjoint(path.split("/")):
        return "must not contain . or .. as a folder"
    return "" if _PATH.fullmatch(path) else "may contain only letters, digits and ! _ . * ( ) @ = / -"


def _check_credentials(case: Case) -> None:
    kind = case.get(str, "s3", "keyType") or "shared"
    has_reference = case.get(dict, "s3", "credentialsSecretRef") is not None
    field = "spec.s3.credentialsSecretRef"
    if kind == "shared" and not has_reference:
        message = "is required with keyType shared; name a Secret with s3-key and s3-key-secret, or set another keyType"
        case.refuse(field, None, message, "credentials")
    if kind in {"auto", "web-id"} and has_reference:
        message = f"is not used with keyType {kind}; omit it, or set keyType to shared"
        case.refuse(field, None, message, "credentials")
    role = case.get(str, "s3", "roleARN")
    if kind != "web-id" and role:
        message = f"is not used with keyType {kind}; omit it, or set keyType to web-id"
        case.refuse("spec.s3.roleARN", role, message, "credentials")
    if kind == "web-id" and not case.get(str, "serviceAccountName"):
        case.warn(
            "keyType web-id: spec.serviceAccountName is empty, so the repository host and Jobs run as the default one"
        )


def _check_neighbours(case: Case) -> None:
    """Two Repositories in one folder would mix the backups of two clusters.

    If both exist (created without the webhook, or at the same moment), the older one keeps the place.
    """
    mine = _location(case.obj, case.defaults)
    if mine is None:
        return
    settled = case.standing or (case.old is not None and _location(case.old, case.defaults) == mine)
    for other in case.lookup.repositories():
        # The bucket first: there may be thousands of Repositories, and few have the same one.
        if effective(other, case.defaults, "bucket") != mine[1] or _location(other, case.defaults) != mine:
            continue
        namespace = get(other, str, "metadata", "namespace") or ""
        name = get(other, str, "metadata", "name") or ""
        if (namespace, name) != (case.namespace, case.name) and not (settled and _age(case.obj) < _age(other)):
            message = f"is used by Repository {namespace}/{name} in the same bucket; set another path"
            case.refuse("spec.s3.path", mine[2], message, "s3.path", Waits.PLACE_TAKEN)
            return


def _age(repository: Object) -> tuple[str, str]:
    """Smaller is older."""
    created = get(repository, str, "metadata", "creationTimestamp") or ""
    return created, get(repository, str, "metadata", "uid") or ""


def _location(repository: Object, defaults: OperatorDefaults) -> tuple[str, str, str] | None:
    name = get(repository, str, "metadata", "name")
    if not uses(repository, "s3") or not name:
        return None
    endpoint, bucket = effective(repository, defaults, "endpoint"), effective(repository, defaults, "bucket")
    namespace = get(repository, str, "metadata", "namespace") or "default"
    path = get(repository, str, "spec", "s3", "path") or ""
    if not endpoint or not bucket:
        return None
    return endpoint.lower().removesuffix(":443"), bucket, folder(path, namespace, name)


def _warn(case: Case, *, holds_backups: bool) -> None:
    if case.get(bool, "s3", "verifyTLS") is False:
        case.warn(
            "spec.s3.verifyTLS is false: a man in the middle can read and change backups; set caSecretRef instead"
        )
    bucket = effective(case.obj, case.defaults, "bucket")
    if "." in bucket and (case.get(str, "s3", "uriStyle") or "host") == "host":
        case.warn(f"bucket {bucket} has a dot: with uriStyle host the certificate does not match; set uriStyle to path")
    old = case.old
    if old is not None and uses(old, "s3") and holds_backups:
        before, after = _location(old, case.defaults), _location(case.obj, case.defaults)
        if before != after and before is not None:
            case.warn(f"the s3 storage moves: existing backups stay at {before[0]}/{before[1]}{before[2]}")


def effective(repository: Object, defaults: OperatorDefaults, field: str) -> str:
    """bucket, endpoint or region: the Repository's own, else the operator's default."""
    own = get(repository, str, "spec", "s3", field)
    return own or defaults.of("s3", field)


def folder(path: str, namespace: str, name: str) -> str:
    """The folder in the bucket, in its one spelling: a leading slash, none at the end, none doubled."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts) if parts else f"/pgwarden/{namespace}/{name}"
