"""The first stage: all that a pod shows, read in one pass, with every fault.

What comes after looks at the `Inspected` alone. A pod that was injected already shows the same as the bare one, as
what is ours is looked through, so that a second look, after other mutators, changes nothing.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess
from pgwarden.injection import access as reaching
from pgwarden.injection import arguments, conflicts, data_folder, pods
from pgwarden.injection.access import Reached
from pgwarden.injection.arguments import Setting
from pgwarden.injection.main_container import LOOK, Main, postgres_container
from pgwarden.injection.pods import EnvVar, Pod, VolumeMount
from pgwarden.injection.resources import Company, company

T = TypeVar("T")


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where an injection is written, ours of an earlier look included: a patch counts places."""

    init_containers: tuple[str, ...]  # names
    volumes: tuple[str, ...] | None  # names; None: the pod has no such list
    mounts: tuple[str, ...] | None  # names of the volumes that PostgreSQL's container mounts
    command: tuple[str, ...]
    args: tuple[str, ...]
    settings: tuple[Setting, ...]  # among command and args
    termination_message_policy: str
    service_account: str
    pull_secrets: tuple[str, ...]
    annotations: dict[str, str] | None


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    """The PostgreSQL of a pod in which nothing is at fault."""

    container: int  # its index in spec.containers
    name: str  # of the container
    data_directory: str
    data_volume: str
    data_on_empty_dir: bool
    mounts: tuple[VolumeMount, ...]  # of the data directory and of every other persistent volume of the container
    socket: VolumeMount | None  # the pod's own volume at the socket directory
    environment: tuple[EnvVar, ...]  # variables that a subPathExpr of these mounts asks for
    run_as_user: int
    run_as_group: int
    reached: Reached
    in_a_shell: str  # a setting inside a shell's string that beats ours
    takes_settings: bool  # whether settings that are appended to the arguments reach the server
    company: Company
    existing: Existing


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL, or else every fault of the pod."""

    postgres: Postgres | None
    faults: tuple[Fault, ...] = ()


def passed_over(pod: Pod) -> str:
    """Why the pod is none of ours; empty where it is one to inject."""
    if pods.MIRROR in pod.annotations:
        return "mirror pod of a static pod"
    if not pod.labels.get(names.LABEL_REPOSITORY):
        return f"no label {names.LABEL_REPOSITORY}"
    return ""


def inspect(pod: Pod, access: PostgresAccess) -> Inspected:
    """*access* is what the Repository says of its pods: it counts before what the pod shows."""
    faults = list(conflicts.reserved(pod))
    index = postgres_container(pod, access)
    if isinstance(index, Fault):
        return Inspected(postgres=None, faults=(index, *faults))
    container = pod.spec.containers[index]
    main = Main(index, container, container.mounts, container.environment(), arguments.read(container))
    faults += [*conflicts.reserved_folders(main), *conflicts.setting_faults(main), *conflicts.version_faults(main)]
    directory = _sound(data_folder.data_directory(main, access), faults)
    data = _sound(data_folder.data_mount(main, directory), faults) if directory else None
    user = _sound(_user(pod, main, access), faults)
    reached = reaching.reached(container, main.start, access)
    socket = pods.holding(main.mounts, reached.socket_directory)
    mounts = data_folder.persistent_mounts(pod, main, data)
    environment, missing = data_folder.expansions(
        main, (*mounts, *[one for one in (socket, reached.password_mount) if one])
    )
    faults += missing
    if faults or directory is None or data is None or user is None:
        return Inspected(postgres=None, faults=tuple(faults))
    found = Postgres(
        container=index,
        name=container.name,
        data_directory=directory,
        data_volume=data.name,
        data_on_empty_dir=pod.volume(data.name).empty_dir is not None,
        mounts=mounts,
        socket=socket,
        environment=environment,
        run_as_user=user[0],
        run_as_group=user[1],
        reached=reached,
        in_a_shell=main.start.in_a_shell,
        takes_settings=main.start.takes_settings,
        company=company(pod, index),
        existing=_existing(pod, main),
    )
    return Inspected(postgres=found)


def _sound(found: T | Fault, faults: list[Fault]) -> T | None:
    """What was found; a Fault goes to the others, so that all are told at once."""
    if isinstance(found, Fault):
        faults.append(found)
        return None
    return found


def _existing(pod: Pod, main: Main) -> Existing:
    volumes, mounts = pod.spec.volumes, main.container.volume_mounts
    return Existing(
        init_containers=tuple([each.name for each in pod.spec.init_containers or ()]),
        volumes=None if volumes is None else tuple([each.name for each in volumes]),
        mounts=None if mounts is None else tuple([each.name for each in mounts]),
        command=main.container.command or (),
        args=main.container.args or (),
        settings=main.start.settings,
        termination_message_policy=main.container.termination_message_policy,
        service_account=pod.spec.service_account_name,
        pull_secrets=tuple([each.name for each in pod.spec.image_pull_secrets or ()]),
        annotations=pod.metadata.annotations,
    )


def _user(pod: Pod, main: Main, access: PostgresAccess) -> tuple[int, int] | Fault:
    """uid and gid of the PostgreSQL processes: files in the data directory are readable to that uid alone."""
    contexts = [each for each in (main.container.security_context, pod.spec.security_context) if each is not None]
    uid = _first(*(context.run_as_user for context in contexts))
    gid = _first(*(context.run_as_group for context in contexts), access.run_as_group)
    if uid:  # 0 is no answer: PostgreSQL refuses to be root, so that the image switches to a user of its own
        return uid, gid if gid is not None else uid
    if access.run_as_user:
        return access.run_as_user, _first(access.run_as_group, access.run_as_user) or 0
    ids = main.start.image.ids
    if ids is not None:
        return ids[0], ids[1] if access.run_as_group is None else access.run_as_group
    message = f"the user ID of PostgreSQL is not known for this image; set securityContext.runAsUser, or {LOOK}"
    return Fault(main.field("securityContext.runAsUser"), uid, message, "run-as-user")


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)
