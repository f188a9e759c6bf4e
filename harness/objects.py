"""pgwarden's own objects as a user writes them, and what pgBackRest itself says of a repository."""

from __future__ import annotations

import json
from typing import Any

from harness.kubectl import Kubectl, Object, is_true, phase
from harness.postgres import Postgres, statefulset

API_VERSION = "pgwarden.io/v1alpha1"
PGBACKREST = (
    "/pgwarden/tools/bin/pgbackrest",
    "--config=/pgwarden/conf/pgbackrest.conf",
    "--config-include-path=/pgwarden/conf/conf.d",
)


def repository(name: str = "hippo", **spec: Any) -> Object:
    return _object("Repository", name, {"storageType": "local", "local": {"size": "8Gi"}} | spec)


def backup(name: str, *options: str, **spec: Any) -> Object:
    return _object("Backup", name, {"repository": "hippo"} | ({"options": list(options)} if options else {}) | spec)


def schedule(name: str, expression: str, **spec: Any) -> Object:
    return _object("BackupSchedule", name, {"repository": "hippo", "schedule": expression} | spec)


def restore(name: str, target: Object | None = None, **spec: Any) -> Object:
    return _object("Restore", name, {"repository": "hippo"} | ({"target": target} if target else {}) | spec)


def drill(name: str, *checks: Object, **spec: Any) -> Object:
    return _object("RestoreDrill", name, {"repository": "hippo", "checks": list(checks)} | spec)


def drill_schedule(name: str, expression: str, *checks: Object, **spec: Any) -> Object:
    template = {"template": {"checks": list(checks)}}
    return _object("RestoreDrillSchedule", name, {"repository": "hippo", "schedule": expression} | template | spec)


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def protect(kubectl: Kubectl, image: str, **spec: Any) -> Postgres:
    """A Repository `hippo` and a PostgreSQL under it, both there once its WAL arrives."""
    kubectl.apply(repository(**spec), *statefulset(image))
    found = Postgres(kubectl)
    found.wait_ready()
    kubectl.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    return found


def backed_up(kubectl: Kubectl, image: str) -> Postgres:
    """The same with a table `notes` of one row, in the full Backup `base`."""
    found = protect(kubectl, image)
    found.sql("CREATE TABLE notes (id int PRIMARY KEY, said text); INSERT INTO notes VALUES (1, 'in the backup')")
    kubectl.apply(backup("base", "--type=full"))
    kubectl.until("pgb", "base", phase("Completed"), "is completed", 180)
    return found


def in_host(kubectl: Kubectl, *argv: str, name: str = "hippo") -> str:
    """What a command in the repository host prints."""
    return kubectl.run("exec", f"deployment/{name}-pgbackrest", "--", *argv).stdout


def info(kubectl: Kubectl, name: str = "hippo") -> Object:
    """The stanza as `pgbackrest info` inside the repository host has it."""
    said = in_host(kubectl, *PGBACKREST, f"--stanza={name}", "--output=json", "info", name=name)
    stanza: Object = json.loads(said)[0]
    return stanza


def archived(kubectl: Kubectl, name: str = "hippo") -> list[str]:
    """The names of the WAL segments that lie in the repository, by its files."""
    files = in_host(kubectl, "find", f"/pgwarden/repo/archive/{name}", "-type", "f", name=name).split()
    found = (path.rpartition("/")[2].partition("-")[0] for path in files)
    return sorted(segment for segment in found if len(segment) == 24)


def events(kubectl: Kubectl, kind: str, name: str, reason: str, **fields: str) -> list[str]:
    """What the Events with that *reason* about the object say; *fields* of theirs besides, as `type="Warning"`."""
    wanted = {"involvedObject.kind": kind, "involvedObject.name": name, "reason": reason} | fields
    selector = ",".join(f"{field}={value}" for field, value in wanted.items())
    listed = kubectl.run("get", "events", f"--field-selector={selector}", "-o", "json").stdout
    return [str(one["message"]) for one in json.loads(listed)["items"]]
