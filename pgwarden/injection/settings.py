"""What the webhook is told from outside: everything that a decision or an injected container depends on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.contract import chart


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Of the pure core. Each field comes from an environment variable that the chart sets."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    namespace: str = "pgwarden-system"
    defaults: OperatorDefaults = OperatorDefaults()


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the environment. ValueError where the webhook could not inject anything that starts."""
    return Settings(
        image=chart.image(environment),
        image_pull_policy=chart.image_pull_policy(environment),
        namespace=environment.get("PGWARDEN_NAMESPACE") or "pgwarden-system",
        defaults=storages.defaults_from(environment),
    )
