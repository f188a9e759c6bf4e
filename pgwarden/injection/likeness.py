"""What pods of one template have in common, so that their injection is worked out once: see webhook/pod_answers.py."""

from __future__ import annotations

import msgspec

from pgwarden.injection.known_images import THAT_COUNT
from pgwarden.injection.pods import (
    DATA_VARIABLES,
    OWN_ANNOTATIONS,
    OWN_VOLUMES,
    SERVICE_ACCOUNT_FOLDER,
    Container,
    EnvVar,
    Meta,
    Pod,
    Volume,
    VolumeMount,
    references,
)

#: They keep the places of what does not matter, as operations count places. No volume can have such a name.
_OTHER_VOLUME = Volume(name="another volume")
_TOKEN_MOUNT = VolumeMount(name="the service account's", mount_path=SERVICE_ACCOUNT_FOLDER)
_encode = msgspec.json.Encoder().encode
_decode_pod = msgspec.json.Decoder(Pod).decode
_replace = msgspec.structs.replace


def likeness(pod: Pod, index: int) -> bytes:
    """All that the injection of *pod* depends on, where container *index* is the one that runs PostgreSQL.

    Equal for pods of one template: their names, claims and token volumes differ, and none of that is here. It is the
    JSON of a pod, which `example` reads: one string is found again in a fraction of the time that as many objects take.
    """
    spec, main = pod.spec, pod.spec.containers[index]
    mounts = main.volume_mounts
    if mounts:
        mounts = tuple([_TOKEN_MOUNT if _is_token(mount) else mount for mount in mounts])
    mounted = {mount.name for mount in mounts or ()}
    containers = [Container(name=each.name, ports=each.ports, resources=each.resources) for each in spec.containers]
    # A field that is added to the view one day counts by itself.
    containers[index] = _replace(main, env=_that_matter(main, mounts or ()), volume_mounts=mounts)
    volumes, annotations = spec.volumes, pod.metadata.annotations
    if volumes:
        volumes = tuple(
            [each if each.name in mounted or each.name in OWN_VOLUMES else _OTHER_VOLUME for each in volumes]
        )
    spec = _replace(spec, containers=tuple(containers), volumes=volumes)
    ours = annotations and {key: annotations[key] for key in OWN_ANNOTATIONS if key in annotations}
    return _encode(Pod(spec=spec, metadata=Meta(annotations=ours)))


def _is_token(mount: VolumeMount) -> bool:
    """A mount of a volume that has our name is one of ours, or a fault, wherever it is."""
    return mount.mount_path == SERVICE_ACCOUNT_FOLDER and mount.name not in OWN_VOLUMES


def example(like: bytes) -> Pod:
    """A pod of that likeness: what is found out of it holds for every such pod."""
    return _decode_pod(like)


def _that_matter(container: Container, mounts: tuple[VolumeMount, ...]) -> tuple[EnvVar, ...] | None:
    """The variables that say where and how PostgreSQL is reached, or name a folder or stand in the arguments to
    expand, and those that they are made of. (`env_from` counts as a whole.)
    """
    there = container.environment()
    wanted = [name for name in there if name in DATA_VARIABLES or name in THAT_COUNT]
    for word in container.argv:
        if "$(" in word:
            wanted += references(word)
    for mount in mounts:
        if mount.sub_path_expr:
            wanted += references(mount.sub_path_expr)
    if not wanted:
        return None
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in there and name not in found:
            found.add(name)
            wanted += references(there[name].value or "")
    return tuple([variable for name, variable in there.items() if name in found])
