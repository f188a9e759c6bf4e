"""The image that a Repository's host runs, as it may be an earlier one than the controller's (repository/tools.py).

What talks to that host, or does its work, has to speak the same pgBackRest: Jobs run the same image.
"""

from __future__ import annotations

import dataclasses

from controller import owned
from controller.context import Caches, Context
from controller.pods import image_of
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.kube.cache import Key


def of(caches: Caches, key: Key) -> str:
    """By the Deployment of the host; empty where there is none that is the Repository's."""
    namespace, name = key
    repository = caches.repositories.get(namespace, name)
    found = caches.deployments.get(namespace, names.host(name))
    if repository is None or found is None or not owned.is_owned(found, repository["metadata"]["uid"]):
        return ""
    return image_of(get(found, dict, "spec", "template") or {}, names.CONTAINER_HOST)


def has_server(found: Object | None) -> bool:
    """Whether the Deployment *found* is one whose image keeps its server apart."""
    return any(
        one.get("name") == names.CONTAINER_SERVER for one in objects(found, "spec", "template", "spec", "containers")
    )


def keep_template(made: Object, found: Object | None, repository: Object) -> Object:
    """*made*, the Deployment of a host that keeps an earlier release's image, with the pod template that it has: a pod
    of before neither starts anew for what this release does otherwise, nor gets what its image does not know.

    Not where *found*, what is there, has another image, or was made for another spec or other terms than *made*.
    """
    path = "spec", "template"
    there, new = get(found, dict, *path), made["spec"]["template"]
    if not there or image_of(there, names.CONTAINER_HOST) != image_of(new, names.CONTAINER_HOST):
        return made
    metadata, status = repository["metadata"], get(repository, dict, "status") or {}
    was_for = get(found, dict, "metadata", "annotations") or {}
    if names.ANNOTATION_MADE_FOR in was_for:
        is_same = was_for[names.ANNOTATION_MADE_FOR] == made["metadata"]["annotations"][names.ANNOTATION_MADE_FOR]
    else:  # 0.1.0's
        is_same = status.get("observedGeneration") == metadata["generation"]
    return made | {"spec": made["spec"] | {"template": there}} if is_same else made


def settings(context: Context, key: Key) -> Settings:
    """To make a Job by that works for the Repository *key*."""
    image = of(context.caches, key)
    return dataclasses.replace(context.settings, image=image) if image else context.settings
