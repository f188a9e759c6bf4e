"""What the chart tells the controller, by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.runtime.leadership import LEASE_SECONDS, SHORTEST_LEASE
from pgwarden import storages
from pgwarden.api import postgres_majors
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.contract import chart


@dataclass(frozen=True)
class Settings:
    """`image` runs repository hosts, Jobs and sidecars: our own. `postgres_image` runs PostgresClusters.

    `cluster_domain` is what the full name of a Service ends with. `watch_namespaces` is empty where all are watched.
    """

    image: str
    image_pull_policy: str
    namespace: str
    pod_name: str
    tls_secret: str
    webhook_service: str
    mutating_webhook: str
    validating_webhook: str
    defaults: OperatorDefaults
    http_port: int
    lease: str
    lease_seconds: int = LEASE_SECONDS
    postgres_image: str = f"pgwarden-patroni:{postgres_majors.DEFAULT}"
    cluster_domain: str = "cluster.local"
    watch_namespaces: tuple[str, ...] = ()
    network_policies: bool = False  # whether they are made for Repositories and PostgresClusters
    mesh_ports: tuple[int, ...] = ()  # which these leave open to all
    pgbackrest: str = ""  # the version that `image` has; empty where it is not known

    def watches(self, namespace: str) -> bool:
        return not self.watch_namespaces or namespace in self.watch_namespaces

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """ValueError where nothing that it makes could run."""
        get = environment.get
        release = get("PGWARDEN_WEBHOOK_SERVICE", "pgwarden-webhook").removesuffix("-webhook")
        return cls(
            image=chart.image(environment),
            image_pull_policy=chart.image_pull_policy(environment),
            namespace=get("PGWARDEN_NAMESPACE", "pgwarden-system"),
            pod_name=get("PGWARDEN_POD_NAME", "controller"),
            tls_secret=get("PGWARDEN_TLS_SECRET", "pgwarden-webhook-tls"),
            webhook_service=get("PGWARDEN_WEBHOOK_SERVICE", "pgwarden-webhook"),
            mutating_webhook=get("PGWARDEN_MUTATING_WEBHOOK", release),
            validating_webhook=get("PGWARDEN_VALIDATING_WEBHOOK", release),
            defaults=storages.defaults_from(environment),
            http_port=int(get("PGWARDEN_HTTP_PORT", "8080")),
            lease=get("PGWARDEN_LEASE", f"{release}-controller"),
            lease_seconds=max(SHORTEST_LEASE, int(get("PGWARDEN_LEASE_SECONDS", str(LEASE_SECONDS)))),
            postgres_image=get("PGWARDEN_POSTGRES_IMAGE", cls.postgres_image),
            cluster_domain=get("PGWARDEN_CLUSTER_DOMAIN") or cls.cluster_domain,
            network_policies=get("PGWARDEN_NETWORK_POLICIES") == "true",
            mesh_ports=tuple(int(one) for one in get("PGWARDEN_MESH_PORTS", "").split(",") if one),
            watch_namespaces=chart.watch_namespaces(environment),
        )
