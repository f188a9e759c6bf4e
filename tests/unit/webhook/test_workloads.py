"""What whoever changes a StatefulSet or Deployment is warned of, before its old pods go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from webhook import review
from webhook.review import Reply
from webhook.workloads import Workloads

LABEL = "pgwarden.io/repository"


@pytest.fixture
def warned(settings, repository, review_of, pod):
    """The warnings for a StatefulSet whose claim template is the data volume; nothing is ever refused."""
    asked = []

    async def find(namespace: str, name: str) -> Any:
        asked.append((namespace, name))
        return repository() if (namespace, name) == ("zoo", "hippo") else None

    def ask(
        labels: Any = None, own: Any = None, kind: str = "StatefulSet", known: bool = True, **change: Any
    ) -> list[str]:
        made = pod(**change.pop("container", {}))
        template = {"metadata": {"labels": {LABEL: "hippo"} if labels is None else labels}, "spec": made["spec"]}
        claims = [{"metadata": {"name": made["spec"]["volumes"].pop()["name"]}}]
        spec = {"template": template, "volumeClaimTemplates": claims} | change.pop("spec", {})
        obj = {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": "postgres", "labels": own or {}},
            "spec": spec,
        }
        workloads = Workloads(settings, find, lambda *_: repository() if known else None)
        reply = review.answer(review_of(obj, **change), workloads.check)
        reply = reply if isinstance(reply, Reply) else asyncio.run(_of(reply))
        answer = json.loads(reply.body)["response"]
        assert answer["allowed"]
        return answer.get("warnings", [])

    ask.asked = asked
    return ask


async def _of(promise: Any) -> Any:
    return await promise


def test_one_whose_pods_are_injected_is_not_warned_about(warned):
    assert warned() == []
    assert warned(operation="UPDATE") == []


def test_a_repository_that_is_not_there_is_told_before_the_old_pod_goes(warned):
    found = warned(labels={LABEL: "hipo"}, known=False, operation="UPDATE")
    assert len(found) == 1
    assert "its pods will be refused once they are made again: spec.template.metadata.labels" in found[0]
    assert "there is no Repository of this name in namespace zoo" in found[0]


def test_one_that_is_just_made_is_asked_of_the_api_server(warned):
    assert warned(known=False) == []
    assert warned.asked == [("zoo", "hippo")]


def test_what_the_injection_refuses_is_told(warned):
    found = warned(container={"volumeMounts": []})
    assert found
    assert all(one.startswith("its pods will be refused") for one in found)


def test_a_label_on_the_workload_alone_protects_nothing(warned):
    found = warned(labels={}, own={LABEL: "hippo"})
    assert found == [
        f"metadata.labels[{LABEL}]: is on the workload, where it protects nothing; put it on the pod template's metadata"
    ]


@pytest.mark.parametrize("where", ["labels", "own"])
def test_a_label_in_our_name_that_nobody_reads_is_told(warned, where: str):
    found = warned(**{"labels": {}, where: {"pgwarden.io/repo": "hippo"}})
    assert len(found) == 1
    assert f"[pgwarden.io/repo]: pgwarden reads no such label; did you mean {LABEL}?" in found[0]


@pytest.mark.parametrize(
    "change",
    [
        {"own": {"app.kubernetes.io/managed-by": "pgwarden"}, "labels": {LABEL: "gone"}, "known": False},
        {"operation": "DELETE", "labels": {LABEL: "gone"}, "known": False},
        {"subResource": "scale", "labels": {LABEL: "gone"}, "known": False},
        {"spec": {"template": None}},
        {"spec": {"template": {"metadata": [], "spec": "x"}}},
        {"kind": "Service"},
        {"labels": {"app": "postgres"}},
    ],
    ids=["our own", "deleted", "scaled", "no template", "no pod", "another kind", "no label of ours"],
)
def test_nothing_is_said_of(warned, change: dict[str, Any]):
    assert warned(**change) == []


def test_a_template_that_is_no_pod_is_told_as_such(warned):
    found = warned(spec={"template": {"metadata": {"labels": {LABEL: "hippo"}}, "spec": {"containers": 5}}})
    assert "is not a valid pod" in found[0]


def test_one_beyond_all_measure_is_not_looked_into(warned):
    assert warned(labels={LABEL: "gone", **{f"pgwarden-{n}": "x" * 50 for n in range(20_000)}}, known=False) == []
