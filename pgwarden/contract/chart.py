"""What the chart tells webhook and controller alike, by environment variables. ValueError where nothing could run."""

from __future__ import annotations

from collections.abc import Mapping

PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def image(environment: Mapping[str, str]) -> str:
    """Of sidecars, repository hosts and Jobs. There is no default: one that cannot be pulled is found out too late."""
    given = environment.get("PGWARDEN_IMAGE", "")
    if not given:
        raise ValueError("PGWARDEN_IMAGE must name the image of sidecars, repository hosts and Jobs: pgwarden's own")
    return given


def image_pull_policy(environment: Mapping[str, str]) -> str:
    given = environment.get("PGWARDEN_IMAGE_PULL_POLICY") or "IfNotPresent"
    if given not in PULL_POLICIES:
        raise ValueError(f"PGWARDEN_IMAGE_PULL_POLICY must be one of {', '.join(PULL_POLICIES)}, not {given!r}")
    return given


def watch_namespaces(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The namespaces that are worked in; none: in all."""
    return tuple(filter(None, environment.get("PGWARDEN_WATCH_NAMESPACES", "").split(",")))
