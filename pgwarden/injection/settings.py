"""What the webhook is told from outside: everything that a decision or an injected container depends on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults

PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Of the pure core. Each field comes from an environment variable that the chart sets."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    namespace: str = "pgwarden-system"
    defaults: OperatorDefaults = OperatorDefaults()


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the environment. ValueError where the webhook could not inject anything that starts."""
    image = environment.get("PGWARDEN_IMAGE", "")
    if not image:
        raise ValueError("PGWARDEN_IMAGE must name the image that is injected into PostgreSQL pods")
    policy = environment.get("PGWARDEN_IMAGE_PULL_POLICY") or "IfNotPresent"
    if policy not in PULL_POLICIES:
        raise ValueError(f"PGWARDEN_IMAGE_PULL_POLICY must be one of {', '.join(PULL_POLICIES)}, not {policy!r}")
    return Settings(
        image=image,
        image_pull_policy=policy,
        namespace=environment.get("PGWARDEN_NAMESPACE") or "pgwarden-system",
        defaults=storages.defaults_from(environment),
    )
