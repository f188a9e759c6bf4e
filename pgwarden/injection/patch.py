"""The RFC 6902 operations that turn a pod into an injected one: elements are added, or our own replaced; never a list.

So what other mutators did, and fields that this code has never heard of, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.json_pointer import pointer
from pgwarden.injection import arguments, inspection
from pgwarden.injection.decide import Inject
from pgwarden.injection.fragments import Fragments, render
from pgwarden.injection.pods import Container, Pod

Operation = dict[str, Any]
LAST_WORDS = "FallbackToLogsOnError"


def patch(pod: Pod, injection: Inject) -> list[Operation]:
    """Empty where the pod carries exactly this injection already.

    Where it carries another (a copy of a live pod, or facts that a later mutator changed), ours is replaced in place.
    """
    fragments = render(injection.recipe)
    if pod.has_sidecar() and pod.annotations.get(names.ANNOTATION_INJECTED) == _digest(fragments):
        return []
    main = f"/spec/containers/{injection.container}"
    container = pod.spec.containers[injection.container]
    return [
        *_init_containers(pod, fragments),
        *_named("/spec/volumes", fragments.volumes, _names_of_volumes(pod)),
        *_named(f"{main}/volumeMounts", fragments.mounts, _names_of_mounts(container)),
        *_arguments(main, container, fragments),
        *_last_words(main, container),
        *_account(pod, fragments),
        *_annotations(pod, fragments),
    ]


def encode(operations: list[Operation]) -> bytes:
    return msgspec.json.encode(operations)


def _digest(fragments: Fragments) -> str:
    return fragments.annotations[names.ANNOTATION_INJECTED]


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def _init_containers(pod: Pod, fragments: Fragments) -> Iterator[Operation]:
    """Ours come first.

    So a user's init container that runs PostgreSQL, or is a sidecar itself, finds tools and configuration there, and
    where others put theirs changes nothing.
    """
    path, present = "/spec/initContainers", [each.name for each in pod.spec.init_containers or []]
    if not present:
        yield _add(path, list(fragments.containers.values()))
        return
    for name, value in fragments.containers.items():
        if name in present:
            yield _replace(f"{path}/{present.index(name)}", value)
    missing = [(name, value) for name, value in fragments.containers.items() if name not in present]
    for name, value in missing:
        # The sidecar goes behind the tools, which are either just added at 0 or stand somewhere already.
        at = present.index(names.CONTAINER_TOOLS) + 1 if name == names.CONTAINER_SIDECAR else 0
        present.insert(at, name)
        yield _add(f"{path}/{at}", value)


def _names_of_volumes(pod: Pod) -> list[Any] | None:
    return None if pod.spec.volumes is None else [volume.name for volume in pod.spec.volumes]


def _names_of_mounts(container: Container) -> list[Any] | None:
    return None if container.volume_mounts is None else [mount.name for mount in container.volume_mounts]


def _named(path: str, wanted: dict[str, msgspec.Raw], present: list[Any] | None) -> Iterator[Operation]:
    """Add each of *wanted* to the list at *path*, or put it where one of its name stands."""
    if present is None:
        yield _add(path, list(wanted.values()))
        return
    for name, value in wanted.items():
        yield _replace(f"{path}/{present.index(name)}", value) if name in present else _add(f"{path}/-", value)


def _arguments(main: str, container: Container, fragments: Fragments) -> Iterator[Operation]:
    """Append `-c name=value` for what is not there; what an earlier injection wrote for another stanza is replaced."""
    before = len(container.command or [])
    there = {setting.name: setting for setting in arguments.settings(container.argv)}
    words: list[str] = []
    for name, value in fragments.settings:
        setting = there.get(name)
        if setting is None:
            words += ["-c", f"{name}={value}"]
        elif inspection.is_ours(setting) and setting.value != value:
            where = f"command/{setting.index}" if setting.index < before else f"args/{setting.index - before}"
            yield _replace(f"{main}/{where}", f"{container.argv[setting.index].partition('=')[0]}={value}")
    if not words:
        return
    if container.args:
        for word in words:
            yield _add(f"{main}/args/-", word)
    else:
        # With neither command nor args the image's own `postgres` is about to be replaced by ours.
        yield _add(f"{main}/args", words if container.command else ["postgres", *words])


def _last_words(main: str, container: Container) -> Iterator[Operation]:
    """What PostgreSQL logged before it died stays in the pod's status: a Restore that failed tells it."""
    if container.termination_message_policy != LAST_WORDS:
        yield _add(f"{main}/terminationMessagePolicy", LAST_WORDS)


def _account(pod: Pod, fragments: Fragments) -> Iterator[Operation]:
    if fragments.service_account and pod.spec.service_account_name != fragments.service_account:
        yield _add("/spec/serviceAccountName", fragments.service_account)


def _annotations(pod: Pod, fragments: Fragments) -> Iterator[Operation]:
    if pod.metadata.annotations is None:
        yield _add("/metadata/annotations", fragments.annotations)
        return
    for name, value in fragments.annotations.items():
        if pod.annotations.get(name) != value:
            yield _add(pointer("/metadata/annotations", name), value)
