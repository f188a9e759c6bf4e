"""Where a container keeps its data, and the mounts by which the sidecar reads it."""

from __future__ import annotations

import posixpath

from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess
from pgwarden.injection import pods
from pgwarden.injection.known_images import OFFICIAL_DATA, ROOT_OF_18
from pgwarden.injection.main_container import LOOK, Main
from pgwarden.injection.pods import EnvVar, Pod, VolumeMount

_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr", "/run", "/tmp")  # noqa: S108
_LONGEST_PATH = 4096  # characters, as in Linux: what is longer is none, and is not put together


def data_directory(main: Main, access: PostgresAccess) -> str | Fault:
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


def _of_image(main: Main) -> str | Fault:
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
            f"image keeps the data: {LOOK}"
        )
        return Fault(main.field("volumeMounts"), [], message, "data-volume")
    message = f"it is not known where this image keeps its data; {LOOK}"
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


def data_mount(main: Main, directory: str) -> VolumeMount | Fault:
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


def _hidden_by(main: Main, directory: str, mount: VolumeMount) -> str:
    """The folder that the official image declares as its volume, where that lies between *mount* and *directory*."""
    image = main.start.image
    if not image.official_layout or image.major is None:
        return ""
    own = ROOT_OF_18 if image.major >= 18 else OFFICIAL_DATA
    return own if pods.covers(own, directory) and not pods.covers(own, mount.mount_path) else ""


def persistent_mounts(pod: Pod, main: Main, data: VolumeMount | None) -> tuple[VolumeMount, ...]:
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


def expansions(main: Main, mounts: tuple[VolumeMount, ...]) -> tuple[tuple[EnvVar, ...], list[Fault]]:
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


def _no_variable(main: Main, name: str, expressions: list[str | None]) -> Fault:
    message = f"the container's env has no variable {name}, so the sidecar cannot mount this folder; add it"
    return Fault(main.field("volumeMounts"), expressions, message, "sub-path")
