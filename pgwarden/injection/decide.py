"""Whether and how a pod is injected: a pod and its Repository in, a Decision out. Pure: the shell fetched both.

The decision on a pod that was injected already is the same as on the bare one (ours is looked through), so that a
second look, after other mutators, changes nothing.
"""

from __future__ import annotations

import posixpath
from typing import Any, TypeVar

import msgspec

from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.faults import Fault, limited
from pgwarden.api.kinds import PodFacts, PostgresAccess, RepositorySpec, SecretKeyRef
from pgwarden.injection import arguments, inspection, pods
from pgwarden.injection.pods import Pod, VolumeMount
from pgwarden.injection.settings import Settings

T = TypeVar("T")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All that the injected containers and volumes are made of. Hashable: pods of one template share one rendering."""

    repository: str
    settings: Settings
    facts: PodFacts
    mounts: tuple[VolumeMount, ...]  # of the data directory and of every other persistent volume of the container
    socket: VolumeMount | None  # the pod's own volume at the socket directory; None: we add one
    environment: bytes = b"[]"  # JSON: variables that a subPathExpr of these mounts asks for
    password: SecretKeyRef | None = None
    resources: bytes = b""  # JSON of spec.sidecarResources; empty: the default
    role_arn: str = ""  # web identity: the role that PostgreSQL's container takes
    service_account: str = ""  # that the pod is to run as; empty: its own


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a Repository says of the injection."""

    repository: str
    access: PostgresAccess
    resources: bytes  # JSON of spec.sidecarResources; empty: the default
    role_arn: str = ""
    service_account: str = ""  # of pods that name none, with keyType web-id


class Inject(msgspec.Struct, frozen=True, kw_only=True):
    recipe: Recipe
    container: int  # index of the PostgreSQL container in spec.containers
    warnings: tuple[str, ...] = ()

    @property
    def facts(self) -> PodFacts:
        return self.recipe.facts


class Skip(msgspec.Struct, frozen=True):
    reason: str


class Refuse(msgspec.Struct, frozen=True):
    faults: list[Fault]


Decision = Inject | Skip | Refuse


def decide(pod: dict[str, Any] | Pod, repository: dict[str, Any] | None, settings: Settings) -> Decision:
    """*repository* is the object that the pod's label names, None where there is none.

    msgspec.ValidationError where *pod* is no pod.
    """
    seen = pod if isinstance(pod, Pod) else pods.read(pod)
    reason = passed_over(seen)
    if reason:
        return Skip(reason)
    name = seen.labels[names.LABEL_REPOSITORY]
    if repository is None:
        return Refuse([no_repository(seen, name)])
    terms = terms_of(repository, name)
    return Refuse([terms]) if isinstance(terms, Fault) else examine(seen, terms, settings)


def passed_over(pod: Pod) -> str:
    """Why the pod is none of ours; empty where it is one to inject."""
    if pods.MIRROR in pod.annotations:
        return "mirror pod of a static pod"
    if not pod.labels.get(names.LABEL_REPOSITORY):
        return f"no label {names.LABEL_REPOSITORY}"
    return "a pod of pgwarden's own" if names.LABEL_COMPONENT in pod.labels else ""


def terms_of(repository: dict[str, Any], name: str) -> Terms | Fault:
    """What *repository* says of the pods that name it."""
    try:
        spec = msgspec.convert(repository.get("spec", {}), RepositorySpec)
    except msgspec.ValidationError as error:
        return Fault(_label(), name, f"the Repository of this name is invalid: {error}", "repository")
    resources = msgspec.json.encode(spec.sidecar_resources, order="sorted") if spec.sidecar_resources else b""
    return Terms(
        repository=name,
        access=spec.postgres,
        resources=resources,
        role_arn=storages.role(spec),
        service_account=spec.service_account_name if storages.uses_service_account(spec) else "",
    )


def _label() -> str:
    return f"metadata.labels[{names.LABEL_REPOSITORY}]"


def no_repository(pod: Pod, name: str) -> Fault:
    where = f"namespace {pod.metadata.namespace}" if pod.metadata.namespace else "the pod's namespace"
    message = f"there is no Repository of this name in {where}; create it, or remove the label to run without backups"
    return Fault(_label(), name, message, "no-repository")


def examine(pod: Pod, terms: Terms, settings: Settings) -> Inject | Refuse:
    """The decision on a pod that names a Repository, from its spec and our own annotations alone."""
    access = terms.access
    index = inspection.container(pod, access)
    if isinstance(index, Fault):
        return Refuse([index])
    container = pod.spec.containers[index]
    faults = [*inspection.taken(pod, index), *inspection.argument_faults(container, index)]
    directory = _sound(inspection.data_directory(container, access, index), faults)
    mount = _sound(inspection.data_mount(container, directory, index), faults) if directory else None
    user = _sound(inspection.user(pod, container, access, index), faults)
    socket = pods.holding(container.mounts, access.socket_directory)
    mounts = inspection.persistent_mounts(pod, container, mount)
    environment = _sound(inspection.expansions(container, (*mounts, socket) if socket else mounts, index), faults)
    if faults or directory is None or mount is None or user is None or environment is None:
        return Refuse(limited(faults))
    recipe = Recipe(
        repository=terms.repository,
        settings=settings,
        facts=_facts(access, container, directory, mount, user),
        mounts=mounts,
        socket=socket,
        environment=msgspec.json.encode(environment),
        password=access.password_secret_ref,
        resources=terms.resources,
        role_arn=terms.role_arn,
        service_account=terms.service_account if _has_no_account(pod, terms) else "",
    )
    return Inject(recipe=recipe, container=index, warnings=_warnings(pod, mount, terms))


def _sound(found: T | Fault, faults: list[Fault]) -> T | None:
    """What was found; a Fault goes to the others, so that all are told at once."""
    if isinstance(found, Fault):
        faults.append(found)
        return None
    return found


def _facts(
    access: PostgresAccess,
    container: pods.Container,
    directory: str,
    mount: VolumeMount,
    user: tuple[int, int],
) -> PodFacts:
    configured_by = access.configure_by
    if configured_by == "Auto":
        by_arguments = arguments.takes_arguments(container) or inspection.has_ours(container)
        configured_by = "Arguments" if by_arguments else "AlterSystem"
    return PodFacts(
        container=container.name,
        data_directory=directory,
        port=access.port,
        socket_directory=posixpath.normpath(access.socket_directory),
        user=access.user,
        database=access.database,
        run_as_user=user[0],
        run_as_group=user[1],
        configured_by=configured_by,
        data_volume=mount.name,
    )


def _has_no_account(pod: Pod, terms: Terms) -> bool:
    """None of its own: the API server has put `default` there before us, an earlier look perhaps the Repository's."""
    return pod.spec.service_account_name in {"", "default", terms.service_account}


def _warnings(pod: Pod, mount: VolumeMount, terms: Terms) -> tuple[str, ...]:
    said = []
    if pod.volume(mount.name).empty_dir is not None:
        said.append(
            f"the data directory is on emptyDir {mount.name}: it is deleted with the pod, and a Restore cannot use it"
        )
    if terms.service_account and not _has_no_account(pod, terms):
        own = pod.spec.service_account_name
        said.append(f"keyType web-id: the pod runs as service account {own}, which also needs the role for the bucket")
    return tuple(said)
