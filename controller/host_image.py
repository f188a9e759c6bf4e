"""The image that a Repository's host runs, as it may be an earlier one than the controller's (repository/tools.py).

What talks to that host, or does its work, has to speak the same pgBackRest: Jobs run the same image.
"""

from __future__ import annotations

import dataclasses

from controller import owned
from controller.context import Caches, Context
from controller.pod_parts import PROBES
from controller.pods import image_of
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.kube.cache import Key


def of(caches: Caches, key: Key) -> str:
    """By the Deployment of the host; empty where there is none that is the Repository's."""
    repository = caches.repositories.get(*key)
    found = caches.deployments.get(key[0], names.host(key[1]))
    if repository is None or found is None or not owned.is_owned(found, repository["metadata"]["uid"]):
        return ""
    return image_of(get(found, dict, "spec", "template") or {}, names.CONTAINER_HOST)


def keep_probes(made: Object, running: Object | None) -> Object:
    """*made*, a host that keeps the image of *running*, with the probes that this has: an earlier release's host does
    not start anew because the next one asks it otherwise whether it lives.
    """
    path = "spec", "template", "spec", "containers"
    host, there = ([c for c in objects(one, *path) if c["name"] == names.CONTAINER_HOST] for one in (made, running))
    if host and there and host[0]["image"] == there[0]["image"]:
        host[0].update({probe: there[0][probe] for probe in PROBES if probe in there[0]})
    return made


def settings(context: Context, key: Key) -> Settings:
    """To make a Job by that works for the Repository *key*."""
    image = of(context.caches, key)
    return dataclasses.replace(context.settings, image=image) if image else context.settings
