"""Whatever JSON arrives, the rules answer and never crash: a webhook that crashes blocks, or lets pass, what it should not."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import crds

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(
        ["local,s3", "s3", "0 1 * * *", "2026-11-15T10:00:00Z", "--type=full", "10Gi", "\ud800", "٣", "http://", "[::1"]
    ),
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def shaped(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Objects with the schema's field names, and now and then anything at all in a field's place."""
    if "properties" not in node:
        return ANY
    fields = {name: shaped(child) for name, child in node["properties"].items() if name != "status"}
    return st.one_of(st.fixed_dictionaries({}, optional=fields), ANY)


def objects(kind: str) -> st.SearchStrategy[Any]:
    spec = crds()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return st.fixed_dictionaries(
        {"apiVersion": st.just("pgwarden.io/v1alpha1"), "kind": st.just(kind)},
        optional={
            "metadata": st.one_of(st.fixed_dictionaries({"name": LEAVES, "namespace": LEAVES}), ANY),
            "spec": shaped(spec),
            "status": ANY,
        },
    )


RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RELAXED
@given(
    obj=st.one_of(*(objects(kind) for kind in KINDS)), old=st.one_of(st.none(), *(objects(kind) for kind in KINDS), ANY)
)
def test_any_object_gets_a_verdict_with_readable_faults(judge, obj, old):
    before = copy.deepcopy(obj)
    verdict = judge(obj, old)
    assert obj == before
    for fault in verdict.faults:
        assert fault.field
        assert fault.message
        assert len(str(fault).encode(errors="surrogatepass")) < 4000


@RELAXED
@given(obj=ANY)
def test_any_json_at_all_is_refused(judge, obj):
    assert judge(obj).faults


@RELAXED
@example(status="\ud800", window=[])
@given(
    status=ANY,
    window=st.lists(st.fixed_dictionaries({}, optional={"earliest": LEAVES, "latest": LEAVES, "storage": LEAVES})),
)
def test_a_repository_of_any_shape_does_not_stop_the_judgement_of_others(judge, make, hippo, status, window):
    kept = copy.deepcopy(hippo)
    try:
        for broken in (status, {"recoveryWindow": window, "backups": window, "conditions": window}):
            hippo["status"] = broken
            judge(make("Restore", repository="hippo", set="20261101-000000F", target={"time": "2026-11-15T10:00:00Z"}))
            judge(make("Backup", repository="hippo"))
        hippo["spec"] = status
        judge(make("BackupSchedule", repository="hippo", schedule="0 1 * * *"))
        judge(make("Repository", "other", storageType="s3"))
    finally:
        hippo.clear()
        hippo.update(kept)
