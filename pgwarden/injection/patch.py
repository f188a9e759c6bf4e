"""The last stage: the RFC 6902 operations that turn a pod into an injected one.

Elements are added, or our own replaced or taken out; never a list. So what other mutators did, and fields that
this code has never heard of, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.json_pointer import pointer
from pgwarden.injection.inspection import Existing, Postgres
from pgwarden.injection.render import Fragments

Operation = dict[str, Any]
LAST_WORDS = "FallbackToLogsOnError"


def patch(postgres: Postgres, fragments: Fragments) -> list[Operation]:
    """Empty where the pod carries exactly this injection already.

    Where it carries another (a copy of a live pod, or facts that a later mutator changed), ours is replaced in place.
    """
    existing = postgres.existing
    if names.CONTAINER_SIDECAR in existing.init_containers and _digest(existing.annotations) == _digest(
        fragments.annotations
    ):
        return []
    main = f"/spec/containers/{postgres.container}"
    return [
        *_init_containers(existing, fragments),
        *_named("/spec/volumes", fragments.volumes, existing.volumes),
        *_named(f"{main}/volumeMounts", fragments.mounts, existing.mounts),
        *_arguments(main, existing, fragments),
        *_last_words(main, existing),
        *_account(existing, fragments),
        *_pull_secrets(existing, fragments),
        *_annotations(existing, fragments),
    ]


def encode(operations: list[Operation]) -> bytes:
    return msgspec.json.encode(operations)


def _digest(annotations: dict[str, str] | None) -> str:
    return (annotations or {}).get(names.ANNOTATION_INJECTED, "")


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def _init_containers(existing: Existing, fragments: Fragments) -> Iterator[Operation]:
    """Ours comes first.

    So a user's init container that runs PostgreSQL, or is a sidecar itself, finds tools and configuration there, and
    where others put theirs changes nothing. A container that earlier versions added for the tools is taken out.
    """
    path, present = "/spec/initContainers", list(existing.init_containers)
    if not present:
        yield _add(path, [fragments.sidecar])
        return
    if names.CONTAINER_TOOLS in present:
        yield {"op": "remove", "path": f"{path}/{present.index(names.CONTAINER_TOOLS)}"}
        present.remove(names.CONTAINER_TOOLS)
    if names.CONTAINER_SIDECAR in present:
        yield _replace(f"{path}/{present.index(names.CONTAINER_SIDECAR)}", fragments.sidecar)
    else:
        yield _add(f"{path}/0", fragments.sidecar)


def _named(path: str, wanted: dict[str, msgspec.Raw], present: tuple[str, ...] | None) -> Iterator[Operation]:
    """Add each of *wanted* to the list at *path*, or put it where one of its name stands."""
    if present is None:
        yield _add(path, list(wanted.values()))
        return
    for name, value in wanted.items():
        yield _replace(f"{path}/{present.index(name)}", value) if name in present else _add(f"{path}/-", value)


def _arguments(main: str, existing: Existing, fragments: Fragments) -> Iterator[Operation]:
    """Append `-c name=value` for what is not there; what an earlier injection wrote for another stanza is replaced."""
    there = {setting.name: setting for setting in existing.settings}
    words: list[str] = []
    for name, value in fragments.settings:
        setting = there.get(name)
        if setting is None:
            words += ["-c", f"{name}={value}"]
        elif setting.ours and setting.value != value:
            where, word = _word(existing, setting.index)
            yield _replace(f"{main}/{where}", f"{word.partition('=')[0]}={value}")
    if not words:
        return
    if existing.args:
        for word in words:
            yield _add(f"{main}/args/-", word)
    else:
        # With neither command nor args the image's own `postgres` is about to be replaced by ours.
        yield _add(f"{main}/args", words if existing.command else ["postgres", *words])


def _word(existing: Existing, index: int) -> tuple[str, str]:
    """The place of a word, counted through command and args, and the word."""
    at = index - len(existing.command)
    return (f"command/{index}", existing.command[index]) if at < 0 else (f"args/{at}", existing.args[at])


def _last_words(main: str, existing: Existing) -> Iterator[Operation]:
    """What PostgreSQL logged before it died stays in the pod's status: a Restore that failed tells it."""
    if existing.termination_message_policy != LAST_WORDS:
        yield _add(f"{main}/terminationMessagePolicy", LAST_WORDS)


def _account(existing: Existing, fragments: Fragments) -> Iterator[Operation]:
    if fragments.service_account and existing.service_account != fragments.service_account:
        yield _add("/spec/serviceAccountName", fragments.service_account)


def _pull_secrets(existing: Existing, fragments: Fragments) -> Iterator[Operation]:
    """The Repository's, where the pod has not got them: without the sidecar's image PostgreSQL would not start."""
    path = "/spec/imagePullSecrets"
    lacking = [{"name": name} for name in fragments.pull_secrets if name not in existing.pull_secrets]
    if lacking and not existing.pull_secrets:
        yield _add(path, lacking)
        return
    for one in lacking:
        yield _add(f"{path}/-", one)


def _annotations(existing: Existing, fragments: Fragments) -> Iterator[Operation]:
    if existing.annotations is None:
        yield _add("/metadata/annotations", fragments.annotations)
        return
    for name, value in fragments.annotations.items():
        if existing.annotations.get(name) != value:
            yield _add(pointer("/metadata/annotations", name), value)
    if names.ANNOTATION_SHRUNK in existing.annotations and names.ANNOTATION_SHRUNK not in fragments.annotations:
        yield {"op": "remove", "path": pointer("/metadata/annotations", names.ANNOTATION_SHRUNK)}
