"""Where in which bucket a Repository is."""

from __future__ import annotations

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.storages.storage import uses

Location = tuple[str, str, str]


def location(repository: Object, defaults: OperatorDefaults) -> Location | None:
    """Service, bucket and folder."""
    name = get(repository, str, "metadata", "name")
    if not uses(repository, "s3") or not name:
        return None
    endpoint, bucket = effective(repository, defaults, "endpoint"), effective(repository, defaults, "bucket")
    namespace = get(repository, str, "metadata", "namespace") or "default"
    path = get(repository, str, "spec", "s3", "path") or ""
    if not endpoint or not bucket:
        return None
    return host_and_port(endpoint), bucket, folder(path, namespace, name)


def host_and_port(endpoint: str) -> str:
    """In its one spelling: a port is a number, and TLS's own is left out."""
    host, port = split(endpoint.lower())
    number = int(port[:9]) if port.isascii() and port.isdigit() else port
    return host if number in {"", 443} else f"{host}:{number}"


def split(endpoint: str) -> tuple[str, str]:
    """Host and port; an IPv6 address is in brackets."""
    if endpoint.startswith("["):
        host, bracket, port = endpoint.partition("]")
        return host + bracket, port.removeprefix(":")
    host, _, port = endpoint.partition(":")
    return host, port


def effective(repository: Object, defaults: OperatorDefaults, field: str) -> str:
    """bucket, endpoint or region: the Repository's own, else the operator's default."""
    own = get(repository, str, "spec", "s3", field)
    return own or defaults.of("s3", field)


def folder(path: str, namespace: str, name: str) -> str:
    """The folder in the bucket, in its one spelling: a leading slash, none at the end, none doubled."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts) if parts else f"/pgwarden/{namespace}/{name}"
