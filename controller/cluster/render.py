"""What a PostgresCluster is made of, but for its instances: accounts, Services, Secret, Repository. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from controller import patroni, pod_parts, secret_data
from controller.cluster import scripts
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.api.objects import Object

#: The user of the image, as in the official ones.
UID = 999
PASSWORD_BYTES = 24
#: Keys of the credentials Secret. Those of the application are named as frameworks expect them.
KEY_SUPERUSER, KEY_REPLICATION = "superuser-password", "replication-password"
KEY_REWIND, KEY_PATRONI, KEY_APPLICATION = "rewind-password", "patroni-password", "password"
PASSWORDS = (KEY_SUPERUSER, KEY_REPLICATION, KEY_REWIND, KEY_PATRONI, KEY_APPLICATION)
#: What Patroni does with its ConfigMaps and pods. The controller's own role holds all of it: Kubernetes lets nobody
#: grant more than they have.
_OWN_MAPS = (patroni.CONFIG, patroni.LEADER, patroni.FAILOVER, patroni.SYNC)


def patroni_maps(cluster: str) -> list[str]:
    """The ConfigMaps in which Patroni keeps its state."""
    return [names.patroni_object(cluster, key) for key in _OWN_MAPS]


def metadata(cluster: Object, name: str, **more: str) -> Object:
    return {
        "name": name,
        "namespace": cluster["metadata"]["namespace"],
        "labels": {names.MANAGED_BY: "pgwarden", names.LABEL_CLUSTER: cluster["metadata"]["name"]} | more,
        "ownerReferences": [pod_parts.owner(cluster)],
    }


def secret(cluster: Object, name: str, data: Mapping[str, bytes]) -> Object:
    return secret_data.made(metadata(cluster, name), data)


def account(cluster: Object) -> list[tuple[str, Object]]:
    """The instances' ServiceAccount, with the rights that Patroni needs in this namespace."""
    own = cluster["metadata"]["name"]
    name = names.cluster_account(own)
    maps = patroni_maps(own)
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": maps, "verbs": ["patch", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": cluster["metadata"]["namespace"]}
    return [
        ("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(cluster, name)}),
        ("roles", {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata(cluster, name), "rules": rules}),
        (
            "rolebindings",
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": metadata(cluster, name),
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [subject],
            },
        ),
    ]


def services(cluster: Object) -> list[Object]:
    name = cluster["metadata"]["name"]
    port = {"name": "postgres", "port": names.PORT_POSTGRES, "targetPort": names.PORT_POSTGRES}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(cluster, service),
            "spec": {"selector": {names.LABEL_CLUSTER: name, names.LABEL_ROLE: role}, "ports": [port]},
        }
        for service, role in ((names.cluster_primary(name), "primary"), (names.cluster_replicas(name), "replica"))
    ]


def disruption_budget(cluster: Object) -> Object:
    """A drain takes one instance at a time."""
    name = cluster["metadata"]["name"]
    selector = {"matchLabels": {names.LABEL_CLUSTER: name, names.LABEL_REPOSITORY: name}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(cluster, name),
        "spec": {"maxUnavailable": 1, "selector": selector},
    }


def config_map(
    cluster: Object,
    spec: PostgresClusterSpec,
    *,
    paused: bool,
    primary: str,
    own: bool = False,
    encrypted: bool = True,
) -> Object:
    """Patroni's configuration and the scripts. `autofail` and `primary` are what the scripts ask for.

    *own*: the cluster begins with what its own Repository holds. *encrypted*: all instances speak TLS; those without
    certificates do not look at what is for the others.
    """
    name = cluster["metadata"]["name"]
    data = {
        "patroni.yml": patroni.local(name, spec),
        "bootstrap.yml": patroni.bootstrap(name, spec, copy=own or spec.data_source is not None),
        "autofail": "off" if paused else "on",
        "primary": primary,
        "parameters": patroni.parameters(name, spec),
        "access": "".join(f"{line}\n" for line in patroni.access(spec, encrypted=encrypted)),
        "tls": patroni.tls(encrypted=encrypted),
        "tls-parameters": patroni.tls_parameters(),
    }
    made = metadata(cluster, names.cluster_patroni(name))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": made,
        "data": data | scripts.files(name, spec, own=own),
    }


def new_credentials(cluster: Object) -> Object:
    """Made once. Whoever changes it later changes the roles (passwords.py)."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    user, host = patroni.APPLICATION, f"{names.cluster_primary(name)}.{namespace}.svc"
    values = {key: secrets.token_urlsafe(PASSWORD_BYTES) for key in PASSWORDS}
    values |= {
        "username": user,
        "database": user,
        "host": host,
        "port": str(names.PORT_POSTGRES),
        "uri": f"postgresql://{user}:{values[KEY_APPLICATION]}@{host}:{names.PORT_POSTGRES}/{user}?sslmode=require",
    }
    return secret(cluster, names.cluster_credentials(name), {key: value.encode() for key, value in values.items()})


def repository(cluster: Object, spec: PostgresClusterSpec) -> Object:
    """The same kind that anyone makes: its webhook and its controller do the rest."""
    name = cluster["metadata"]["name"]
    access: Object = {
        "container": "postgres",
        "dataDirectory": names.CLUSTER_PGDATA,
        "socketDirectory": patroni.SOCKET,
        "runAsUser": UID,
        "runAsGroup": UID,
        "configureBy": "Patroni",
    }
    about = metadata(cluster, name)
    given_up = (cluster["metadata"].get("annotations") or {}).get(names.ANNOTATION_GIVE_UP)
    if given_up:  # the user's word for the Repository is on what the user writes
        about["annotations"] = {names.ANNOTATION_GIVE_UP: given_up}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Repository",
        "metadata": about,
        "spec": spec.repository | {"postgres": access},
    }


def backup(cluster: Object, name: str) -> Object:
    generation = str(cluster["metadata"].get("generation", ""))
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Backup",
        "metadata": metadata(cluster, name)
        | {
            "annotations": {
                names.ANNOTATION_GENERATION: generation,
                # A new one, though an earlier cluster of the name may have asked for the same.
                names.ANNOTATION_RUN_AGAIN: cluster["metadata"]["uid"],
            }
        },
        "spec": {"repository": cluster["metadata"]["name"], "type": "full"},
    }
