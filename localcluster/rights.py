"""What pgwarden itself asked of the API server: its audit log, of its accounts alone, and each right once.

Tests ask for much with the same accounts' tokens, to be refused. They speak by kubectl, and pgwarden by aiohttp.
`PGWARDEN_RIGHTS` names a file to which a cluster that is removed adds what was used there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from localcluster.config import Cluster

FILE = "PGWARDEN_RIGHTS"
_CLIENT = "aiohttp/"  # of pgwarden.kube, in its User-Agent
_ACCOUNT = re.compile(r"system:serviceaccount:[^:]+:pgwarden-(controller|webhook)")
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


def save(cluster: Cluster) -> None:
    wanted = os.environ.get(FILE)
    if not wanted or not audit_log(cluster).exists():
        return
    with audit_log(cluster).open(encoding="utf-8") as lines, Path(wanted).open("a", encoding="utf-8") as file:
        file.write("".join(f"{one}\n" for one in sorted(set(used(lines)))))


def used(lines: Iterator[str]) -> Iterator[str]:
    """`controller get secrets`: account, verb, resource with its group and subresource; `controller list secrets
    forbidden` where it was refused.
    """
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # the API server was ended while it wrote
            continue
        account = _ACCOUNT.fullmatch(event.get("user", {}).get("username", ""))
        at = event.get("objectRef") or {}
        if account is None or not at.get("resource") or _CLIENT not in event.get("userAgent", ""):
            continue
        resource = "/".join(part for part in (at["resource"], at.get("subresource")) if part)
        group = at.get("apiGroup")
        refused = event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        yield " ".join(
            [account[1], event["verb"], f"{group}/{resource}" if group else resource, *["forbidden"] * refused]
        )


def audit_log(cluster: Cluster) -> Path:
    return cluster.state / "audit.log"
