"""What a pod tells of the PostgreSQL in it, each answer a value or the Fault that says how to give it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess
from pgwarden.injection import arguments, pods
from pgwarden.injection.arguments import Setting
from pgwarden.injection.pods import Container, EnvVar, Pod, VolumeMount
from pgwarden.pgbackrest import commands

_DEFAULT_DATA = "/var/lib/postgresql/data"
_ROOT_OF_18 = "/var/lib/postgresql"  # the official image's volume from PostgreSQL 18 on
#: The official image starts as root and becomes this user: uid and gid, Debian and Alpine.
_DEBIAN, _ALPINE = 999, 70
_OFF = frozenset({"off", "false", "no", "0"})
_LONGEST_PATH = 4096  # characters, as in Linux: what is longer is none, and is not put together
_ON = frozenset({"on", "true", "yes", "1"})


def container(pod: Pod, access: PostgresAccess) -> int | Fault:
    """The index of the container that runs PostgreSQL."""
    present = [each.name for each in pod.spec.containers]
    if access.container:
        if access.container in present:
            return present.index(access.container)
        message = (
            f"none of these is {access.container}, the Repository's spec.postgres.container; correct one of the two"
        )
        return Fault("spec.containers", present, message, "container")
    for usual in ("postgres", "database"):
        if usual in present:
            return present.index(usual)
    if len(present) == 1:
        return 0
    message = "none of these is named postgres or database; name the one in the Repository's spec.postgres.container"
    return Fault("spec.containers", present, message, "container")


def data_directory(container: Container, access: PostgresAccess, index: int) -> str | Fault:
    """As the container will see it: what the Repository says, the server's arguments, PGDATA, the image's default."""
    given = access.data_directory or arguments.data_directory(container.argv)
    if given:
        return posixpath.normpath(given)
    environment = container.environment()
    for name in pods.DATA_VARIABLES:
        if name in environment:
            value = _expanded(environment[name], environment)
            if value.startswith("/"):
                return posixpath.normpath(value)
            field = f"spec.containers[{index}].env[{name}]"
            message = "its value is not known before the pod runs; set the Repository's spec.postgres.dataDirectory"
            return Fault(field, environment[name].value, message, "data-directory")
    image = arguments.image(container.image)
    if image.official and image.major is not None and image.major >= 18:
        return f"{_ROOT_OF_18}/{image.major}/docker"
    mount = pods.holding(container.mounts, _DEFAULT_DATA)
    if image.official and image.major is None and mount and pods.normal(mount.mount_path) == _ROOT_OF_18:
        message = "the tag does not name the version, and PostgreSQL 18 changed the data directory; set PGDATA"
        return Fault(f"spec.containers[{index}].image", container.image, message, "data-directory")
    return _DEFAULT_DATA


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


def data_mount(container: Container, directory: str, index: int) -> VolumeMount | Fault:
    mount = pods.holding(container.mounts, directory)
    if mount is not None:
        return mount
    mounted = [each.mount_path for each in container.mounts]
    message = (
        f"the data directory {directory} of container {container.name} is on no volume, so its data would "
        f"be lost with the container; mount a volume there, or set the Repository's spec.postgres.dataDirectory"
    )
    return Fault(f"spec.containers[{index}].volumeMounts", mounted, message, "data-volume")


def user(pod: Pod, container: Container, access: PostgresAccess, index: int) -> tuple[int, int] | Fault:
    """uid and gid of the PostgreSQL processes: files in the data directory are readable to that uid alone."""
    contexts = [each for each in (container.security_context, pod.spec.security_context) if each is not None]
    uid = _first(*(context.run_as_user for context in contexts))
    gid = _first(*(context.run_as_group for context in contexts), access.run_as_group)
    image = arguments.image(container.image)
    habit = _ALPINE if image.alpine else _DEBIAN
    if uid:  # 0 is no answer: PostgreSQL refuses to be root, so that the image switches to a user of its own
        return uid, gid if gid is not None else uid
    if access.run_as_user:
        return access.run_as_user, _first(access.run_as_group, access.run_as_user) or 0
    if image.official:
        return habit, _first(access.run_as_group, habit) or 0
    message = (
        "the user ID of PostgreSQL is not known for this image; set securityContext.runAsUser, "
        "or the Repository's spec.postgres.runAsUser"
    )
    return Fault(f"spec.containers[{index}].securityContext.runAsUser", uid, message, "run-as-user")


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def persistent_mounts(pod: Pod, container: Container, data: VolumeMount | None) -> tuple[VolumeMount, ...]:
    """The data directory's mount, and those of other persistent volumes: table spaces and WAL may be linked there."""
    if data is None:
        return ()
    others = (mount for mount in container.mounts if mount is not data)
    wanted = {data.name, *pod.persistent_volumes()}
    return (data, *(mount for mount in others if mount.name in wanted))


def expansions(container: Container, mounts: tuple[VolumeMount, ...], index: int) -> list[EnvVar] | Fault:
    """The variables that a subPathExpr takes from the container, which the sidecar then needs too."""
    environment, wanted = container.environment(), dict[str, EnvVar]()
    open_names = [name for mount in mounts for name in pods.references(mount.sub_path_expr or "")]
    while open_names:
        name = open_names.pop()
        if name in wanted:
            continue
        if name not in environment:
            message = f"the container's env has no variable {name}, so the sidecar cannot mount this folder; add it"
            field = f"spec.containers[{index}].volumeMounts"
            return Fault(field, [mount.sub_path_expr for mount in mounts], message, "sub-path")
        wanted[name] = environment[name]
        open_names += pods.references(environment[name].value or "")
    return [variable for variable in environment.values() if variable.name in wanted]


def taken(pod: Pod, index: int) -> Iterator[Fault]:
    """What the pod uses of the names, folders and ports that the sidecar needs."""
    for number, each in enumerate(pod.spec.containers):
        if each.name in {names.CONTAINER_TOOLS, names.CONTAINER_SIDECAR}:
            yield Fault(
                f"spec.containers[{number}].name",
                each.name,
                "this name is reserved for pgwarden; choose another",
                "taken",
            )
        for port in each.ports or []:
            if port.container_port in {names.PORT_PGBACKREST, names.PORT_AGENT}:
                message = "pgwarden's sidecar listens on this port; choose another"
                yield Fault(f"spec.containers[{number}].ports", port.container_port, message, "taken")
    for mount in pod.spec.containers[index].mounts:
        if pods.covers("/pgwarden", mount.mount_path):
            message = "/pgwarden is reserved for pgwarden; mount it elsewhere"
            yield Fault(f"spec.containers[{index}].volumeMounts", mount.mount_path, message, "taken")


def is_ours(setting: Setting) -> bool:
    """True for an archive_command or restore_command that an earlier look at this pod put there."""
    return setting.name in {"archive_command", "restore_command"} and commands.is_for_postgres(setting.value)


def has_ours(container: Container) -> bool:
    """True if our settings are in the arguments already, wherever a later mutator moved them."""
    return any(is_ours(setting) for setting in arguments.settings(container.argv))


def argument_faults(container: Container, index: int) -> Iterator[Fault]:
    """Server settings among the arguments under which no WAL would reach the Repository."""
    for setting in arguments.settings(container.argv):
        message = _why_not(setting.name, setting.value.lower())
        if message and not is_ours(setting):
            yield Fault(_word(container, setting.index, index), setting.value, message, setting.name.replace("_", "-"))


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


def _word(container: Container, at: int, index: int) -> str:
    before = len(container.command or [])
    where = f"command[{at}]" if at < before else f"args[{at - before}]"
    return f"spec.containers[{index}].{where}"
