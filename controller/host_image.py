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
from pgwarden.api.reading import get
from pgwarden.kube.cache import Key


def of(caches: Caches, key: Key) -> str:
    """By the Deployment of the host; empty where there is none that is the Repository's."""
    namespace, name = key
    repository = caches.repositories.get(namespace, name)
    found = caches.deployments.get(namespace, names.host(name))
    if repository is None or found is None or not owned.is_owned(found, repository["metadata"]["uid"]):
        return ""
    return image_of(get(found, dict, "spec", "template") or {}, names.CONTAINER_HOST)


def settings(context: Context, key: Key) -> Settings:
    """To make a Job by that works for the Repository *key*."""
    image = of(context.caches, key)
    return dataclasses.replace(context.settings, image=image) if image else context.settings
