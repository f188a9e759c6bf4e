"""The container of a pod that runs PostgreSQL."""

from __future__ import annotations

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess
from pgwarden.injection.arguments import Start
from pgwarden.injection.pods import Container, EnvVar, Pod, VolumeMount

#: The whole way out where an image is not known: all three fields at once, and how to find them.
LOOK = (
    "run `psql -Atc 'show data_directory'` and `stat -c '%u %g'` of that folder in its container, and set the "
    "Repository's spec.postgres.dataDirectory, runAsUser and runAsGroup to them"
)
_USUAL_CONTAINERS = ("postgres", "database", "postgresql")


class Main(msgspec.Struct, frozen=True):
    """PostgreSQL's container, each part of it read once."""

    index: int
    container: Container
    mounts: list[VolumeMount]  # the user's own
    environment: dict[str, EnvVar]
    start: Start

    def field(self, inside: str) -> str:
        return f"spec.containers[{self.index}].{inside}"


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
