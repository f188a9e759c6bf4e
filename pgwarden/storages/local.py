"""`local`: a volume of the Repository's own, mounted by host and Jobs. PostgreSQL's pods go through the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.judging import Case
from pgwarden.api.kinds import LocalStorage, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get
from pgwarden.pgbackrest.trouble import Service
from pgwarden.storages.flags import Flag
from pgwarden.storages.storage import Place, Storage


class LocalPlace(msgspec.Struct, frozen=True):
    claim: str
    through_host: bool = True
    is_complete: bool = True

    @property
    def location(self) -> str:
        return f"persistentvolumeclaim/{self.claim}"

    def settings(self, folder: str) -> dict[str, str]:
        return {"path": names.REPO_DIR, "type": Local.repo_type}

    def in_force(self, lines: Mapping[str, str]) -> Place:
        return self

    def shown(self) -> Mapping[str, str]:
        return {}

    def service(self, *, of_pods: bool = False) -> Service | None:
        return None


class Local(Storage):
    name: ClassVar[str] = "local"
    repo_type: ClassVar[str] = "posix"
    also_called: ClassVar[frozenset[str]] = frozenset({"posix"})
    on_volume: ClassVar[bool] = True
    flags: ClassVar[tuple[Flag, ...]] = (
        Flag(
            "storage-class",
            "StorageClass of the local storage; default is Kubernetes' own",
            "NAME",
            field="storageClassName",
        ),
        Flag("pvc-size", "size of the local storage's volume; default is 10Gi", "SIZE", field="size"),
    )

    def place(self, spec: RepositorySpec, defaults: OperatorDefaults, namespace: str, name: str) -> Place:
        return LocalPlace(names.repo_claim(name))

    def volume(self, spec: RepositorySpec) -> LocalStorage | None:
        return spec.local or LocalStorage()

    def check(self, case: Case, storages: tuple[str, ...] | None, *, holds_backups: bool) -> None:
        if storages and self.name not in storages and case.get(dict, self.name) is not None:
            case.warn(f"spec.local has no effect with storageType {','.join(storages)}")
        size = case.get(str, self.name, "size")
        if size is None:
            return
        amount = parse_quantity(size)
        if amount is None:
            case.refuse("spec.local.size", size[:50], "must be a quantity such as 10Gi or 500Mi", "size")
        elif amount <= 0:
            case.refuse("spec.local.size", size[:50], "must be greater than zero", "size")
        elif amount < 1024 * 1024:
            case.refuse(
                "spec.local.size", size[:50], f"is less than 1Mi; did you mean {size.rstrip('mkKi')}Gi?", "size"
            )

    def check_change(self, case: Case, old: Object) -> None:
        old_class = get(old, str, "spec", "local", "storageClassName")
        new_class = case.get(str, "local", "storageClassName")
        if old_class != new_class:
            message = (
                f"cannot be changed from {old_class or 'the default'}: a volume cannot move to another storage class; "
                "create a new Repository"
            )
            case.refuse("spec.local.storageClassName", new_class, message, "immutable")
        before, after = get(old, str, "spec", "local", "size") or "10Gi", case.get(str, "local", "size") or "10Gi"
        was, becomes = parse_quantity(before), parse_quantity(after)
        if was is not None and becomes is not None and becomes < was:
            case.refuse("spec.local.size", after, f"cannot shrink from {before}: a volume can only grow", "size")

    def unused(self, flag: Flag, storage_type: str) -> str:
        both = f"{self.name},{storage_type}"
        return (
            f"storage {storage_type} has no volume: omit {' and '.join(one.text for one in self.flags)}, "
            f"or use --pgbackrest-storage-type={both}"
        )

    def left_behind(self, name: str, part: Any) -> str:
        return f"claim {names.repo_claim(name)}"
