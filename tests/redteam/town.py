"""What the tests of test_shells.py and test_network.py attack, and from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from harness.cluster import Cluster
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object
from harness.postgres import Postgres
from pgwarden.api import names

PROBE = (Path(__file__).parent / "probe.py").read_text()
_MAKE = """
import datetime, json
from controller import certificates
now = datetime.datetime.now(datetime.UTC)
pair = certificates.issue(certificates.new_ca("pgwarden hippo", now), "hippo-host", [], now)
print(json.dumps({"cert": pair.cert.decode(), "key": pair.key.decode()}))
"""


def self_signed(town: Town) -> dict[str, str]:
    """Of the right name, and of a CA of the neighbour's own."""
    made: dict[str, str] = json.loads(
        town.alley.run("exec", "-i", "neighbour", "--", "python3", "-", stdin=_MAKE).stdout
    )
    return made


class Town(NamedTuple):
    """Repository hippo with PostgreSQL `postgres-0`, PostgresCluster herd of one instance, and an attacker's pod."""

    kubectl: Kubectl
    postgres: Postgres
    herd: Cluster
    alley: Kubectl  # the namespace of the attacker's pod


def neighbour(image: str) -> Object:
    container = {
        "name": "shell", "image": image, "command": ["python3", "-c", "import signal; signal.pause()"],
        "imagePullPolicy": "Never" if image.startswith("localhost/") else "IfNotPresent",
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neighbour"}, "spec": spec}


class Answer(NamedTuple):
    got: str
    error: str


def connect(town: Town, host: str, port: int, **job: Any) -> Answer:
    """From the neighbour's pod."""
    text = json.dumps({"host": host, "port": port} | job)
    done = town.alley.run("exec", "-i", "neighbour", "--", "python3", "-", text, stdin=PROBE)
    return Answer(**json.loads(done.stdout))


def address(kubectl: Kubectl, selector: str) -> str:
    pods = [one for one in kubectl.list("pods", selector) if "deletionTimestamp" not in one["metadata"]]
    return str(pods[0]["status"]["podIP"])


def places(town: Town) -> dict[str, str]:
    """Of all that opens a port → where it is."""
    space, system = town.kubectl, town.kubectl.within(NAMESPACE)
    return {
        "host": address(space, f"{names.LABEL_OWNER_REPOSITORY}=hippo,{names.LABEL_COMPONENT}=host"),
        "other host": address(space, f"{names.LABEL_OWNER_REPOSITORY}=herd,{names.LABEL_COMPONENT}=host"),
        "pod": address(space, f"{names.LABEL_REPOSITORY}=hippo"),
        "instance": address(space, f"{names.LABEL_CLUSTER}=herd,{names.LABEL_INSTANCE}"),
        "webhook": address(system, "app.kubernetes.io/component=webhook"),
        "controller": address(system, "app.kubernetes.io/component=controller"),
    }


#: Of a pod: python3 and a shell are in all of our images.
_LISTENING = """
import re
found = set()
for table in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{table}").readlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        host, _, port = address.partition(":")
        if state == "0A" and not host.endswith("7F") and host != "0" * 24 + "01000000":
            found.add(int(port, 16))
print(*found)
"""
_REACHING = """
import socket, sys
for port in map(int, sys.argv[2:]):
    with socket.socket() as one:
        one.settimeout(4)
        if one.connect_ex((sys.argv[1], port)) == 0:
            print(port)
"""


def listens(town: Town, place: str) -> set[int]:
    """The ports on which anything in the pod listens, but for what only itself reaches."""
    ip = places(town)[place]
    where = town.kubectl.within(NAMESPACE) if place in {"webhook", "controller"} else town.kubectl
    (pod,) = [one for one in where.list("pods") if one.get("status", {}).get("podIP") == ip]
    containers = [one["name"] for one in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]
    ours = next(one for one in containers if one != "postgres")
    done = where.run("exec", "-i", pod["metadata"]["name"], "-c", ours, "--", "python3", "-", stdin=_LISTENING)
    return {int(one) for one in done.stdout.split()}


def reaches(kubectl: Kubectl, pod: str, where: str, ports: set[int], container: str = "shell") -> set[int]:
    """Those of *ports* at *where* to which *pod* connects."""
    words = [str(port) for port in sorted(ports)]
    command = ("exec", "-i", pod, "-c", container, "--", "python3", "-", where, *words)
    return {int(one) for one in kubectl.run(*command, stdin=_REACHING).stdout.split()}


def unguarded() -> Object:
    """Lets everybody in, as where no network plug-in enforces NetworkPolicies: what is behind them holds by itself."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return kind | {"metadata": {"name": "unguarded"}, "spec": spec}


def own_files(town: Town) -> dict[str, str]:
    """Certificate and key of the PostgreSQL pod, as its superuser reads them."""
    read = {"cert": names.KEY_TLS_CERT, "key": names.KEY_TLS_KEY}
    return {field: town.postgres.run("cat", f"{names.CONF_DIR}/{file}") for field, file in read.items()}
