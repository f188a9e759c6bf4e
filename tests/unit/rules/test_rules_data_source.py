"""From what a PostgresCluster may be cloned; the words of each refusal are in docs/rules.md."""

from __future__ import annotations

import copy

import pytest
from msgspec.structs import replace

from .conftest import S3, STATUS, Cluster, build


def fields(verdict):
    return {fault.field: fault.message for fault in verdict.faults}


def clone(namespace="ns", status=None, **source):
    return build(
        "PostgresCluster", "copy", namespace=namespace, status=status, dataSource={"repository": "hippo"} | source
    )


def test_the_latest_and_a_time_in_the_window_are_admitted(judge):
    assert judge(clone()).ok
    assert judge(clone(target={"time": "2026-11-15T10:00:00Z"}, storage="local")).ok


ALLOWED = {
    "nobody": ([], False),
    "this one": (["other", "dev"], True),
    "another one": (["other"], False),
    "all": (["*"], True),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_another_namespace_needs_the_sources_leave(judge, hippo, case):
    listed, allowed = ALLOWED[case]
    hippo["spec"]["cloneableFrom"] = listed
    verdict = judge(clone_from(hippo, "dev"))
    assert verdict.ok == allowed
    if not allowed:
        assert "ask its owner to add dev to spec.cloneableFrom" in fields(verdict)["spec.dataSource.namespace"]


def clone_from(hippo, namespace):
    source = {"repository": "hippo", "namespace": hippo["metadata"]["namespace"]}
    return build("PostgresCluster", "copy", namespace=namespace, dataSource=source)


def test_a_source_that_is_not_there_and_one_that_allows_no_clone_cannot_be_told_apart(judge, hippo):
    """By who may not look there: field, value, rule and words are the same."""
    absent = clone_from(hippo, "dev")
    absent["spec"]["dataSource"]["repository"] = "hippa"
    said = [
        str(replace(one, waits=None, elsewhere=None))
        for obj in (clone_from(hippo, "dev"), absent)
        for one in judge(obj).faults
    ]
    assert said[0].replace("hippo", "hippa") == said[1]
    assert len(said) == 2


def test_who_may_look_into_the_other_namespace_is_told_what_is_wrong_there(judge, hippo):
    absent = clone_from(hippo, "dev")
    absent["spec"]["dataSource"]["repository"] = "hippa"
    for obj, told in (
        (
            clone_from(hippo, "dev"),
            "Repository hippo in namespace ns does not allow clones into namespace dev; its owner can add",
        ),
        (absent, "there is no Repository hippa in namespace ns; check spec.dataSource"),
    ):
        (fault,) = judge(obj).faults
        asked = []
        assert told in fault.told(lambda *pair: asked.append(pair) or True).message  # noqa: B023
        assert asked == [("ns", obj["spec"]["dataSource"]["repository"])]
        assert fault.told(lambda *_: False).message == fault.message


def test_its_own_namespace_needs_no_leave(judge):
    assert judge(clone()).ok


def test_the_bucket_and_path_of_the_source_are_refused_for_the_clone(judge, cluster: Cluster):
    place = copy.deepcopy(S3) | {"path": "/hippo"}
    cluster.present[:] = [build("Repository", "hippo", status=STATUS, storageType="s3", s3=place)]
    asked = clone()
    asked["spec"]["repository"] = {"storageType": "s3", "s3": place}
    assert "is used by Repository ns/hippo" in fields(judge(asked))["spec.repository.s3.path"]
    asked["spec"]["repository"]["s3"] = place | {"path": "/copy"}
    assert judge(asked).ok


@pytest.mark.parametrize("reason", ["Cloning", "Cloned", "CloneFailed"])
def test_what_becomes_of_the_source_later_is_of_no_matter(judge, cluster: Cluster, reason):
    """The controller judges again on each look; a copy that is made must not be refused when its source is gone."""
    cluster.present.clear()
    assert not judge(clone()).ok
    status = {"conditions": [{"type": "DataSource", "status": "False", "reason": reason}]}
    assert judge(clone(status=status)).ok


def test_it_can_be_neither_changed_nor_added_nor_removed(judge):
    before, without = clone(), build("PostgresCluster", "copy")
    for old, new in ((before, clone(storage="local")), (before, without), (without, before)):
        assert "create another PostgresCluster" in fields(judge(new, old))["spec.dataSource"]


def test_other_fields_of_a_clone_can_be_changed_when_its_source_is_gone(judge, cluster: Cluster):
    cluster.present.clear()
    after = clone()
    after["spec"]["autofail"] = False
    assert judge(after, clone()).ok
