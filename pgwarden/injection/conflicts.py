"""What of a pod does not go together with an injection: names, ports and folders of ours, versions, server settings."""

from __future__ import annotations

from collections.abc import Iterator

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.postgres_majors import OLDEST_FOREIGN
from pgwarden.injection import pods
from pgwarden.injection.main_container import Main
from pgwarden.injection.pods import Pod

_OFF = frozenset({"off", "false", "no", "0"})
_ON = frozenset({"on", "true", "yes", "1"})
_OWN_PORTS = frozenset({names.PORT_PGBACKREST, names.PORT_AGENT})


def reserved(pod: Pod) -> Iterator[Fault]:
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


def reserved_folders(main: Main) -> Iterator[Fault]:
    for mount in main.mounts:
        if pods.covers("/pgwarden", mount.mount_path):
            message = "/pgwarden is reserved for pgwarden; mount it elsewhere"
            yield Fault(main.field("volumeMounts"), mount.mount_path, message, "taken")


def version_faults(main: Main) -> Iterator[Fault]:
    major = main.start.image.major
    if major is not None and major < OLDEST_FOREIGN:
        message = (
            f"PostgreSQL {major} is too old: pgwarden needs {OLDEST_FOREIGN} or later; upgrade it, or remove the label "
            f"{names.LABEL_REPOSITORY} from the pod"
        )
        yield Fault(main.field("image"), main.container.image, message, "version")


def setting_faults(main: Main) -> Iterator[Fault]:
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


def _word(main: Main, at: int) -> str:
    before = len(main.container.command or ())
    return main.field(f"command[{at}]" if at < before else f"args[{at - before}]")
