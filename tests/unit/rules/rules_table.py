"""docs/rules.md, out of the examples and the rules themselves. Run as a module it writes the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault
from pgwarden.contract.archive import Gap
from pgwarden.injection.decide import Refuse
from pgwarden.injection.pipeline import decision_on
from pgwarden.injection.settings import Settings
from pgwarden.rules import Verdict, validate
from pgwarden.rules.deletion import deletable, judge, of_backup
from tests.unit.contract import produced
from tests.unit.contract.produced import chain
from tests.unit.rules import rules_examples as examples
from tests.unit.rules.conftest import ARCHIVED, NOW, Cluster, build, sets

DOCUMENT = Path(__file__).parents[3] / "docs" / "rules.md"
KINDS = {
    "Repository": examples.REPOSITORY,
    "Backup": examples.BACKUP,
    "BackupSchedule": examples.SCHEDULE,
    "Restore": examples.RESTORE,
    "RestoreDrill": examples.DRILL,
    "RestoreDrillSchedule": examples.DRILL_SCHEDULE,
    "PostgresCluster": examples.CLUSTER,
}
IDENTITY = {key: value for key, value in examples.S3.items() if key != "credentialsSecretRef"} | {"keyType": "web-id"}
Row = tuple[str, Fault]  # kind and what is refused
REWOUND = {
    "phase": "Completed",
    "timelineBefore": 2,
    "timeline": 3,
    "recoveredTo": "2026-11-12T09:59:58Z",
    "stoppedTime": "2026-11-12T12:00:00Z",
    "conditions": [{"type": "Started", "status": "True"}],
}


def world() -> Cluster:
    """hippo, with backups on two timelines; many, with more than are listed; holed, with WAL that is missing; upgraded
    to another major version; new, of which nothing is known; busy; rewound by a Restore; and one that has a bucket's folder;
    one, of which a schedule keeps 21; lenient, the same, which allows less, as roomy does;
    both, with two storages; old, which is read-only; and of former a Backup alone.
    """
    made = sets(timelines=(2, 3), took=timedelta(minutes=90))
    status = produced.repository(made, archived=ARCHIVED)["status"] | {"conditions": []}
    return Cluster(
        build("Repository", "hippo", status=status, storageType="local", retention={"full": 7}),
        build("Repository", "one"),
        build("BackupSchedule", "kept", repository="one", options=["--repo1-retention-full=21"]),
        build("Repository", "lenient", retention={"allowShorter": True}),
        build("BackupSchedule", "ample", repository="lenient", options=["--repo1-retention-full=21"]),
        build("Repository", "roomy", retention={"full": 7, "allowShorter": True}),
        build("Repository", "old", storageType="s3", s3=examples.S3 | {"path": "/old"}, accessMode="ReadOnly"),
        build("Repository", "both", storageType="local,s3", retention={"full": 7}),
        build("Repository", "many", status=produced.repository(chain("F" + "I" * 59))["status"]),
        build("Repository", "holed", status=_holed()),
        build("Repository", "new", status={"phase": "Ready"}),
        build("Repository", "busy", status={"phase": "Ready"}),
        build("Repository", "rewound", status=status),
        build("Repository", "elsewhere", namespace="apps"),
        build("Repository", "unbundled", options=["--no-repo1-bundle"]),
        build("Repository", "upgraded", status=upgraded()),
        build("Repository", "foreign", status={"postgresVersion": "16.4"}, postgres={"user": "admin"}),
        build("Repository", "identity", storageType="s3", s3=IDENTITY),
        build("Repository", "broken", status={"conditions": [{"type": "Ready", "status": "False"}]}),
        build("Repository", "owner", storageType="s3", s3=examples.S3 | {"path": "/taken"}),
        build("Repository", "owner", namespace="apps", storageType="s3", s3=examples.S3 | {"path": "/theirs"}),
        build("Restore", "first", repository="busy", status={"phase": "Running"}),
        build("Restore", "too-far", repository="rewound", target={"time": "2026-11-12T10:00:00Z"}, status=REWOUND),
        build("Restore", "back", repository="hippo", status={"phase": "Completed"}),
        build("Restore", "aside", repository="hippo", volumeClaim="look", status={"phase": "Completed"}),
        build("Restore", "failed", repository="hippo", status={"phase": "Failed"}),
        build("Restore", "running", repository="hippo", status={"phase": "Running"}),
        build("Backup", "nightly", repository="busy", status={"phase": "Running"}),
        build("Backup", "former-1", repository="former", status={"phase": "Completed"}),
    )


def upgraded() -> Any:
    """The full backup is of PostgreSQL 16, the incremental one of what came after it."""
    status = produced.repository(sets(took=timedelta(minutes=90)), archived=ARCHIVED)["status"]
    status["backups"][-1]["postgresVersion"] = "16"
    status["recoveryWindow"][0]["earliest"] = "2026-11-10T00:10:00Z"
    return status


def _holed() -> dict[str, Any]:
    """After the first of two backups, and after the second."""
    full, incr = chain("FI")
    found = [
        Gap(missing=f"{number:024X}", segments=1, next=f"{number + 1:024X}", until=f"{end:%Y-%m-%dT%H:%M:%SZ}")
        for number, end in (
            (2**64 + 5, full.stop + timedelta(minutes=9)),
            (2**64 + 30, incr.stop + timedelta(minutes=9)),
        )
    ]
    status: dict[str, Any] = produced.repository([full, replace(incr, number=20)], gaps=found)["status"]
    return status


def judged(kind: str, spec: Any, name: str = "one") -> Verdict:
    spec, before = spec if isinstance(spec, tuple) else (spec, None)
    base = {} if kind in {"Repository", "PostgresCluster"} else {"repository": "hippo"}
    base |= {"schedule": "0 1 * * *"} if kind.endswith("Schedule") else {}
    old = None if before is None else build(kind, name, **(base | before))
    if old is not None:
        of_s3 = replace(chain("F")[0], repo=2)
        old["status"] = produced.repository([*chain("FI"), of_s3], "local,s3")["status"]
    annotations = spec.get("annotations", {})
    obj = build(kind, name, **{key: value for key, value in (base | spec).items() if key != "annotations"})
    obj["metadata"] |= {"annotations": annotations} if annotations else {}
    return validate(obj, old=old, lookup=world(), now=NOW, defaults=OperatorDefaults())


def refusals() -> Iterator[Row]:
    """Of each example the fault that it is there for. AssertionError where it is not refused by that rule."""
    for kind, rows in KINDS.items():
        for rule, field, spec in rows:
            yield kind, the_one(judged(kind, spec).faults, rule, field)
        if kind == "Backup":
            stranger = build(kind, namespace="empty", repository="zebra")
            verdict = validate(stranger, old=None, lookup=world(), now=NOW, defaults=OperatorDefaults())
            yield kind, the_one(verdict.faults, "repository", "spec.repository")
        for _, rule, name in (row for row in examples.NAMES if row[0] == kind):
            yield kind, the_one(judged(kind, {}, name).faults, rule, "metadata.name")
    for name, field in (("hippo", "status.pods"), ("busy", "backups"), ("busy", "restores")):
        repository = build("Repository", name, status={"pods": [{"name": "db-0"}]} if name == "hippo" else None)
        yield "Repository, deleted", the_one(deletable(repository, lookup=world()).faults, "in-use", field)
        if field == "status.pods":
            repository["metadata"]["ownerReferences"] = [{"kind": "PostgresCluster", "name": name}]
            yield "Repository, deleted", the_one(deletable(repository, lookup=world()).faults, "in-use", field)
    protected = build("PostgresCluster", "hippo", deletionProtection=True)
    yield (
        "PostgresCluster, deleted",
        the_one(judge(protected, lookup=world()).faults, "deletion-protection", "spec.deletionProtection"),
    )
    for rule, field, container, access in examples.PODS:
        yield "Pod", the_one(pod_faults(container, access), rule, field)


def pod_faults(container: Any, access: Any) -> list[Fault]:
    mount = {"name": "data", "mountPath": "/var/lib/postgresql/data"}
    main = {"name": "postgres", "image": "postgres:17", "volumeMounts": [mount]} | container
    of_pod = {field: main.pop(field) for field in ("initContainers", "volumes") if field in main}
    containers = [main, {"name": "b"}] if main["name"] == "a" else [main]
    metadata = {"name": "db-0", "namespace": "ns", "labels": {"pgwarden.io/repository": "hippo"}}
    repository = (
        None
        if access is None
        else build("Repository", "hippo", **(access if access is examples.READ_ONLY else {"postgres": access}))
    )
    pod = {"metadata": metadata, "spec": {"containers": containers} | of_pod}
    found = decision_on(pod, repository, Settings(image="x"))
    assert isinstance(found, Refuse), found
    return found.faults


def the_one(faults: list[Fault], rule: str, field: str) -> Fault:
    found = [fault for fault in faults if (fault.rule, fault.field) == (rule, field)]
    assert found, f"nothing is refused by {rule} at {field}, but {[(each.rule, each.field) for each in faults]}"
    return found[0]


def warnings() -> Iterator[tuple[str, Any, str]]:
    for kind, spec, beginning in examples.WARNINGS:
        said = [text for text in judged(kind, spec).warnings if text.startswith(beginning)]
        assert said, f"{kind} {spec} has no warning that begins with {beginning}"
        yield kind, spec, said[0]
    (text,) = [one for one in judged("PostgresCluster", {}, "former").warnings if "earlier cluster" in one]
    yield "PostgresCluster", {"metadata": {"name": "former"}}, text
    for repository, letters, number in examples.DELETED_BACKUPS:
        made = chain(letters)
        there = Cluster(build("Repository", "hippo", status=produced.repository(made)["status"]))
        status = {"label": made[number].label, "repo": 1}
        deleted = build("Backup", repository=repository, deletionPolicy="Delete", status=status)
        (text,) = of_backup(deleted, lookup=there).warnings
        yield "Backup, deleted", {"deletionPolicy": "Delete"}, text


def document() -> str:
    lines = [
        "# Rules",
        "",
        "Every refusal and warning of pgwarden, with an example and the exact message. To look up a message, search this page for",
        'its words. A refusal begins with the field and its value, as in `spec.local.size: "0": must be greater than zero`.',
        "The webhook, the controller (condition `Rejected`) and `kubectl pgwarden lint` apply the same rules and report all faults of",
        "an object at once, up to 50. Where there are two messages for one example, the second is for those who may `get` the",
        "Repository of another namespace that it names; everybody else, and every status, has the first.",
        "",
        "This page is generated from the code by `python -m tests.unit.rules.rules_table`; do not edit it.",
    ]
    last = ""
    for kind, fault in refusals():
        if kind != last:
            lines += ["", f"## {kind}", "", "| rule | field | example | message |", "|---|---|---|---|"]
            last = kind
        for message in dict.fromkeys((fault.message, fault.told(lambda *_: True).message)):
            lines.append(f"| {fault.rule} | `{_cell(fault.field)}` | {_value(fault.value)} | {_cell(message)} |")
    lines += ["", "## Warnings", "", "| kind | example | message |", "|---|---|---|"]
    for kind, spec, text in warnings():
        shown = spec[0] if isinstance(spec, tuple) else spec
        lines.append(f"| {kind} | {_value(shown) if shown else 'without any field'} | {_cell(text)} |")
    return "\n".join([*lines, "", *DELETION]) + "\n"


DELETION = [
    "## Deleting a Repository",
    "",
    "A request does not say whether its namespace is being deleted, so the user decides: the namespace controller, the garbage",
    "collector and the controller manager are never refused (the chart's `matchConditions` skip them), and the webhook for deletions",
    "has `failurePolicy: Ignore`. A namespace can therefore always be deleted, even while pgwarden is not running.",
    "`kubectl annotate repository NAME pgwarden.io/delete-in-use=true` allows the deletion in any case.",
]


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text if len(text) <= 90 else text[:87] + '…')}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
