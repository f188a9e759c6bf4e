"""The workload that runs a PostgreSQL, and the label that its pod template needs. Pure.

Nothing here changes a workload: the label restarts its pods, and its owner says when.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.cli.errors import UsageError
from pgwarden.cli.output import count
from pgwarden.injection.workloads import misplaced_label, template_of

#: As kubectl knows them → plural and kind.
_KINDS = {
    **dict.fromkeys(("statefulset", "statefulsets", "sts", "statefulset.apps"), ("statefulsets", "StatefulSet")),
    **dict.fromkeys(("deployment", "deployments", "deploy", "deployment.apps"), ("deployments", "Deployment")),
}


@dataclass(frozen=True)
class Workload:
    plural: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"

    def other_kind(self) -> Workload:
        """The Deployment of a StatefulSet's name, or the other way round."""
        return Workload(*_KINDS["deployment" if self.kind == "StatefulSet" else "statefulset"], self.name)


def parse(text: str) -> Workload:
    kind, slash, name = text.partition("/")
    if slash and kind.lower() in _KINDS and name and "/" not in name:
        return Workload(*_KINDS[kind.lower()], name)
    example = (name if slash else text) or "postgres"
    what = "names no StatefulSet and no Deployment" if slash else "has no kind"
    raise UsageError(f'"{text}" {what}; give statefulset/{example} or deployment/{example}')


def label_of(obj: Object) -> str:
    """The Repository that the pod template names already."""
    return get(obj, str, "spec", "template", "metadata", "labels", names.LABEL_REPOSITORY) or ""


def patch(workload: Workload, repository: str, where: tuple[str, ...]) -> str:
    """The command that adds the label, on one line. *where* are kubectl's own options."""
    body = {"spec": {"template": {"metadata": {"labels": {names.LABEL_REPOSITORY: repository}}}}}
    words = ["kubectl", *where, "patch", workload.kind.lower(), workload.name, "--type", "merge", "--patch"]
    return shlex.join([*words, json.dumps(body, separators=(",", ":"))])


def consequences(obj: Object, workload: Workload) -> Iterator[str]:
    """What the label will do, and what is odd about the one that is there."""
    found = template_of(obj, "")
    if found is not None and misplaced_label(obj, found):
        yield f"the label is on the {workload.kind} itself, where it protects nothing"
    before = label_of(obj)
    if before:
        yield f"the pod template names Repository {before} now"
    yield _restart(obj, workload)


def _restart(obj: Object, workload: Workload) -> str:
    replicas = get(obj, int, "spec", "replicas")
    pods = "its pod" if replicas in {None, 1} else f"its {count(replicas or 0, 'pod')}"
    if replicas == 0:
        return f"{workload} is scaled to zero: its pods are protected from their next start"
    if get(obj, str, "spec", "updateStrategy", "type") == "OnDelete":
        return f"updateStrategy is OnDelete: delete {pods} afterwards; new pods are protected"
    return f"this restarts {pods} once"
