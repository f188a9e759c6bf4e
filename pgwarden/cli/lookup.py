"""What the rules may look up (api.judging.Lookup), answered from a list of objects: files, or what a cluster holds."""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api.names import API_VERSION
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.storages import TYPES


class Objects:
    """Names in *assumed* are Repositories that are assumed to exist, with nothing known of them."""

    def __init__(self, objects: Iterable[Object], namespace: str = "default", assumed: Iterable[str] = ()) -> None:
        self._namespace = namespace
        self._assumed = frozenset(assumed)
        self._of: dict[str, list[Object]] = {}
        for obj in objects:
            self._of.setdefault(str(obj.get("kind")), []).append(obj)

    def repository(self, namespace: str, name: str) -> Object | None:
        wanted = (namespace, name)
        for obj in self.repositories():
            if (self._namespace_of(obj), get(obj, str, "metadata", "name")) == wanted:
                return obj
        return assumed(namespace, name) if name in self._assumed else None

    def repositories(self) -> list[Object]:
        return self._of.get("Repository", [])

    def backups(self, namespace: str, repository: str) -> list[Object]:
        return self._naming("Backup", namespace, repository)

    def schedules(self, namespace: str, repository: str) -> list[Object]:
        return self._naming("BackupSchedule", namespace, repository)

    def restores(self, namespace: str, repository: str) -> list[Object]:
        return self._naming("Restore", namespace, repository)

    def _naming(self, kind: str, namespace: str, repository: str) -> list[Object]:
        return [
            obj
            for obj in self._of.get(kind, [])
            if self._namespace_of(obj) == namespace and get(obj, str, "spec", "repository") == repository
        ]

    def _namespace_of(self, obj: Object) -> str:
        return get(obj, str, "metadata", "namespace") or self._namespace


def placed(obj: Object, namespace: str) -> Object:
    """*obj* with the namespace that it goes to where it names none."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("namespace"):
        return obj
    return obj | {"metadata": metadata | {"namespace": namespace}}


def assumed(namespace: str, name: str) -> Object:
    """A Repository of which only the name is known: it has every storage, and retention of any number."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Repository",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"storageType": TYPES[-1], "retention": {"full": 1}},
        "assumed": True,
    }
