"""The first stage: all that a pod shows, read in one pass, with every fault.

What comes after looks at the `Inspected` alone. A pod that was injected already shows the same as the bare one, as
what is ours is looked through, so that a second look, after other mutators, changes nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess
from pgwarden.api.postgres_majors import OLDEST_FOREIGN
from pgwarden.injection import access as reaching
from pgwarden.injection import arguments, pods
from pgwarden.injection.access import Reached
from pgwarden.injection.arguments import Setting, Start
from pgwarden.injection.known_images import OFFICIAL_DATA, ROOT_OF_18
from pgwarden.injection.pods import Container, EnvVar, Pod, VolumeMount
from pgwarden.injection.resources import Company, company

#: The whole way out where an image is not known: all three fields at once, and how to find them.
_LOOK = (
    "run `psql -Atc 'show data_directory'` and `stat -c '%u %g'` of that folder in its container, and set the "
    "Repository's spec.postgres.dataDirectory, runAsUser and runAsGroup to them"
)
_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr", "/run", "/tmp")  # noqa: S108
_USUAL_CONTAINERS = ("postgres", "database", "postgresql")
_OFF = frozenset({"off", "false", "no", "0"})
_LONGEST_PATH = 4096  # characters, as in Linux: what is longer is none, and is not put together
_ON = frozenset({"on", "true", "yes", "1"})
_OWN_PORTS = frozenset({names.PORT_PGBACKREST, names.PORT_AGENT})
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


class _Main(msgspec.Struct, frozen=True):
    """PostgreSQL's container, each part of it read once."""

    index: int
    container: Container
    mounts: list[VolumeMount]  # the user's own
    environment: dict[str, EnvVar]
    start: Start

    def field(self, inside: str) -> str:
        return f"spec.containers[{self.index}].{inside}"


def passed_over(pod: Pod) -> str:
    """Why the pod is none of ours; empty where it is one to inject."""
    if pods.MIRROR in pod.annotations:
        return "mirror pod of a static pod"
    if not pod.labels.get(names.LABEL_REPOSITORY):
        return f"no label {names.LABEL_REPOSITORY}"
    return ""


def inspect(pod: Pod, access: PostgresAccess) -> Inspected:
    """*access* is what the Repository says of its pods: it counts before what the pod shows."""
    faults = list(_reserved(pod))
    index = postgres_container(pod, access)
    if isinstance(index, Fault):
        return Inspected(postgres=None, faults=(index, *faults))
    container = pod.spec.containers[index]
    main = _Main(index, container, container.mounts, container.environment(), arguments.read(container))
    faults += [*_reserved_folders(main), *_setting_faults(main), *_version_faults(main)]
    directory = _sound(_data_directory(main, access), faults)
    data = _sound(_data_mount(main, directory), faults) if directory else None
    user = _sound(_user(pod, main, access), faults)
    reached = reaching.reached(container, main.start, access)
    socket = pods.holding(main.mounts, reached.socket_directory)
    mounts = _persistent_mounts(pod, main, data)
    environment, missing = _expansions(main, (*mounts, *[one for one in (socket, reached.password_mount) if one]))
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


def _existing(pod: Pod, main: _Main) -> Existing:
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


def postgres_container(pod: Pod, access: PostgresAccess) -> int | Fault:
    """The index of the container that runs PostgreSQL."""
    present = [each.name for each in pod.spec.containers]
    if access.container:
        if access.container in present:
            return present.index(access.container)
        message = (
            f"none of these is {access.container}, the Repository's spec.postgres.container; correct one of the two"
        )
        return Fault("spec.containers", present, message, "container")
    for usual in _USUAL_CONTAINERS:
        if usual in present:
            return present.index(usual)
    if len(present) == 1:
        return 0
    listening = [
        number
        for number, each in enumerate(pod.spec.containers)
        if any(port.container_port == names.PORT_POSTGRES for port in each.ports or ())
    ]
    if len(listening) == 1:
        return listening[0]
    message = (
        "none of these is named postgres, database or postgresql, or is the only one with port 5432; "
        "name the one in the Repository's spec.postgres.container"
    )
    return Fault("spec.containers", present, message, "container")


def _data_directory(main: _Main, access: PostgresAccess) -> str | Fault:
    """As the container will see it: what the Repository says, the server's arguments, PGDATA, the image's default."""
    image = main.start.image
    known = image.known
    given = access.data_directory or (known.data if known and known.data_is_fixed else main.start.data_directory)
    if given and "$(" in given:
        message = "its value is not known before the pod runs; set the Repository's spec.postgres.dataDirectory"
        return Fault(main.field("args"), given, message, "data-directory")
    if given:
        return posixpath.normpath(given)
    for name in pods.DATA_VARIABLES:
        if name in main.environment:
            value = _expanded(main.environment[name], main.environment)
            if value.startswith("/"):
                return posixpath.normpath(value)
            message = "its value is not known before the pod runs; set the Repository's spec.postgres.dataDirectory"
            return Fault(main.field(f"env[{name}]"), main.environment[name].value, message, "data-directory")
    return _of_image(main)


def _of_image(main: _Main) -> str | Fault:
    """Where the image keeps its data by itself."""
    image = main.start.image
    if image.official_layout:
        if image.major is not None and image.major >= 18:
            return f"{ROOT_OF_18}/{image.major}/docker"
        mount = pods.holding(main.mounts, OFFICIAL_DATA)
        if image.major is None and mount and pods.normal(mount.mount_path) == ROOT_OF_18:
            message = "the tag does not name the version, and PostgreSQL 18 changed the data directory; set PGDATA"
            return Fault(main.field("image"), main.container.image, message, "data-directory")
        return OFFICIAL_DATA
    if image.known is not None and image.known.data:
        return image.known.data
    # A volume at just this place says that the image was made from the official one. One above it says nothing.
    if any(pods.normal(mount.mount_path) == OFFICIAL_DATA for mount in main.mounts):
        return OFFICIAL_DATA
    if not main.mounts:
        message = (
            f"container {main.container.name} mounts no volume, so its data would be lost with it; mount one where its "
            f"image keeps the data: {_LOOK}"
        )
        return Fault(main.field("volumeMounts"), [], message, "data-volume")
    message = f"it is not known where this image keeps its data; {_LOOK}"
    return Fault(main.field("image"), main.container.image, message, "data-directory")


def _expanded(variable: EnvVar, environment: dict[str, EnvVar]) -> str:
    """The variable's value with its $(NAME) replaced; empty where that takes a running pod."""
    if variable.value is None or variable.value_from is not None or len(variable.value) > _LONGEST_PATH:
        return ""
    value = variable.value
    for name in dict.fromkeys(pods.references(value)):
        other = environment.get(name)
        if other is None or other.value is None or pods.references(other.value):
            return ""
        value = value.replace(f"$({name})", other.value)
        if len(value) > _LONGEST_PATH:
            return ""
    return value


def _data_mount(main: _Main, directory: str) -> VolumeMount | Fault:
    mount = pods.holding(main.mounts, directory)
    hidden = mount and _hidden_by(main, directory, mount)
    if hidden:
        message = (
            f"the image has a volume of its own at {hidden}, which hides this one there: the data would be lost with "
            f"the pod; mount the volume at {hidden}"
        )
        return Fault(main.field("volumeMounts"), [each.mount_path for each in main.mounts], message, "data-volume")
    if mount is not None:
        return mount
    mounted = [each.mount_path for each in main.mounts]
    message = (
        f"the data directory {directory} of container {main.container.name} is on no volume, so its data would "
        f"be lost with the container; mount a volume there, or set the Repository's spec.postgres.dataDirectory"
    )
    return Fault(main.field("volumeMounts"), mounted, message, "data-volume")


def _hidden_by(main: _Main, directory: str, mount: VolumeMount) -> str:
    """The folder that the official image declares as its volume, where that lies between *mount* and *directory*."""
    image = main.start.image
    if not image.official_layout or image.major is None:
        return ""
    own = ROOT_OF_18 if image.major >= 18 else OFFICIAL_DATA
    return own if pods.covers(own, directory) and not pods.covers(own, mount.mount_path) else ""


def _user(pod: Pod, main: _Main, access: PostgresAccess) -> tuple[int, int] | Fault:
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
    message = f"the user ID of PostgreSQL is not known for this image; set securityContext.runAsUser, or {_LOOK}"
    return Fault(main.field("securityContext.runAsUser"), uid, message, "run-as-user")


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def _persistent_mounts(pod: Pod, main: _Main, data: VolumeMount | None) -> tuple[VolumeMount, ...]:
    """The data directory's mount, and those of other persistent volumes: table spaces and WAL may be linked there."""
    if data is None:
        return ()
    wanted = {data.name, *pod.persistent_volumes()}
    others = [mount for mount in main.mounts if mount is not data and mount.name in wanted]
    claimed = {data.name, *pod.claimed_volumes()}
    # What is of the node, or of a driver, may also be a file or a folder of the system, which the sidecar has itself.
    return (data, *[each for each in others if each.name in claimed or not _of_the_system(each.mount_path)])


def _of_the_system(folder: str) -> bool:
    return any(pods.covers(one, folder) or pods.covers(folder, one) for one in _SYSTEM)


def _expansions(main: _Main, mounts: tuple[VolumeMount, ...]) -> tuple[tuple[EnvVar, ...], list[Fault]]:
    """The variables that a subPathExpr takes from the container, which the sidecar then needs too."""
    expressions = [mount.sub_path_expr for mount in mounts]
    wanted: dict[str, EnvVar | None] = {}
    open_names = [name for expression in expressions for name in pods.references(expression or "")]
    while open_names:
        name = open_names.pop()
        if name not in wanted:
            variable = wanted[name] = main.environment.get(name)
            open_names += pods.references(variable.value or "") if variable else []
    faults = [_no_variable(main, name, expressions) for name, variable in wanted.items() if variable is None]
    return tuple([variable for name, variable in main.environment.items() if name in wanted]), faults


def _no_variable(main: _Main, name: str, expressions: list[str | None]) -> Fault:
    message = f"the container's env has no variable {name}, so the sidecar cannot mount this folder; add it"
    return Fault(main.field("volumeMounts"), expressions, message, "sub-path")


def _reserved(pod: Pod) -> Iterator[Fault]:
    """What the pod uses of the names and ports that the sidecar needs.

    In a pod that was injected, init containers and volumes of these names are ours: a patch replaces them in place, or
    takes them out. In any other pod they are the user's.
    """
    for number, each in enumerate(pod.spec.containers):
        if each.name in pods.OWN_CONTAINERS:
            message = "this name is reserved for pgwarden; choose another"
            yield Fault(f"spec.containers[{number}].name", each.name, message, "taken")
        for port in each.ports or ():
            if port.container_port in _OWN_PORTS:
                message = "pgwarden's sidecar listens on this port; choose another"
                yield Fault(f"spec.containers[{number}].ports", port.container_port, message, "taken")
    if pod.was_injected():
        return
    for number, init in enumerate(pod.spec.init_containers or ()):
        if init.name in pods.OWN_CONTAINERS:
            yield _our_own(f"spec.initContainers[{number}].name", init.name)
    for number, volume in enumerate(pod.spec.volumes or ()):
        if volume.name in pods.OWN_VOLUMES:
            yield _our_own(f"spec.volumes[{number}].name", volume.name)


def _our_own(field: str, name: str) -> Fault:
    message = "this name is reserved for pgwarden, which adds its own; remove it, or choose another name"
    return Fault(field, name, message, "taken")


def _reserved_folders(main: _Main) -> Iterator[Fault]:
    for mount in main.mounts:
        if pods.covers("/pgwarden", mount.mount_path):
            message = "/pgwarden is reserved for pgwarden; mount it elsewhere"
            yield Fault(main.field("volumeMounts"), mount.mount_path, message, "taken")


def _version_faults(main: _Main) -> Iterator[Fault]:
    major = main.start.image.major
    if major is not None and major < OLDEST_FOREIGN:
        message = (
            f"PostgreSQL {major} is too old: pgwarden needs {OLDEST_FOREIGN} or later; upgrade it, or remove the label "
            f"{names.LABEL_REPOSITORY} from the pod"
        )
        yield Fault(main.field("image"), main.container.image, message, "version")


def _setting_faults(main: _Main) -> Iterator[Fault]:
    """Server settings among the arguments under which no WAL would reach the Repository."""
    for setting in main.start.settings:
        message = _why_not(setting.name, setting.value.lower())
        if message and not setting.ours:
            yield Fault(_word(main, setting.index), setting.value, message, setting.name.replace("_", "-"))


def _why_not(name: str, value: str) -> str:
    if name in {"archive_command", "restore_command"}:
        return f"pgwarden sets {name} itself; remove it, or the label {names.LABEL_REPOSITORY} from the pod"
    if name == "archive_library" and value:
        return "archive_library would replace archive_command, which pgwarden sets; remove it"
    if name == "archive_mode" and value not in _ON:
        off = "archives nothing" if value in _OFF else "archives from replicas too, which pgBackRest does not support"
        return f"archive_mode={value} {off}; remove it: pgwarden sets archive_mode=on"
    if name == "wal_level" and value == "minimal":
        return "wal_level=minimal omits WAL that a restore needs; set replica or logical, or remove it"
    return ""


def _word(main: _Main, at: int) -> str:
    before = len(main.container.command or ())
    return main.field(f"command[{at}]" if at < before else f"args[{at - before}]")
