"""Bytes in, bytes out: whatever comes, there is an answer, and it is never an exception."""

import base64
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pgwarden.api import registry
from pgwarden.api.faults import Fault
from webhook import review
from webhook.handlers import Handlers
from webhook.review import Answer, Reply


class Verdict:
    def __init__(self, faults=(), warnings=()):
        self.faults, self.warnings = faults, warnings


@pytest.fixture
def handlers(settings, repository):
    """Handlers over one Repository, zoo/hippo; `asked` collects what the rules were asked."""

    async def find(namespace, name):
        return repository() if (namespace, name) == ("zoo", "hippo") else None

    def judge(obj, old, now):
        handlers.asked.append((obj, old))
        bad = obj.get("spec") == "bad"
        return Verdict([Fault("spec", "bad", "is bad", "x")] if bad else [], ["runs at noon"])

    handlers = Handlers(settings, find, judge)
    handlers.asked = []
    return handlers


async def _reply(body, handler):
    reply = review.answer(body, handler)
    return reply if isinstance(reply, Reply) else await reply


async def _respond(body, handler):
    reply = await _reply(body, handler)
    return reply, json.loads(reply.body)


HOSTILE = {
    "empty": b"",
    "no JSON": b"{",
    "list": b"[]",
    "null": b"null",
    "no request": b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
    "null request": b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}',
    "uid is a number": b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":1}}',
    "another version": b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1"}}',
    "another kind": b'{"apiVersion":"admission.k8s.io/v1","kind":"Pod","request":{"uid":"1"}}',
    "broken UTF-8": b'{"apiVersion":"\xff\xfe"}',
    "deep": b"[" * 100_000,
    "deep where nobody looks": b'{"x":' * 100_000,
    "NUL bytes": b"\x00" * 1000,
    "trailing": b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1"}}{}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_malformed_bodies_get_400(body, handlers):
    """The API server then follows failurePolicy; nobody gets a traceback."""
    for handler in (handlers.mutate_pods, handlers.check_kinds):
        reply, answer = await _respond(body, handler)
        assert reply.status == 400
        assert answer["error"]


PODS = {
    "null": None,
    "list": [],
    "number": 5,
    "no spec": {"metadata": {"labels": {"pgwarden.io/repository": "hippo"}}},
    "spec is a list": {"spec": []},
    "containers is a dict": {"spec": {"containers": {}}},
    "container is null": {"spec": {"containers": [None]}},
    "name is a number": {"spec": {"containers": [{"name": 1}]}},
    "labels are numbers": {"metadata": {"labels": {"a": 1}}, "spec": {"containers": []}},
    "args are objects": {"spec": {"containers": [{"name": "a", "args": [{}]}]}},
}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
async def test_malformed_pods_get_400(pod, handlers, review_of):
    """The API server sends no such pod; whoever does learns which field it was."""
    reply, answer = await _respond(review_of(pod), handlers.mutate_pods)
    assert reply.status == 400
    assert "request.object" in answer["error"]


async def test_pod_without_containers_is_refused(handlers, review_of, pod):
    """It is a pod, to the parser."""
    empty = pod()
    empty["spec"]["containers"] = []
    _, answer = await _respond(review_of(empty), handlers.mutate_pods)
    assert not answer["response"]["allowed"]


async def test_too_large_gets_413(handlers):
    """Twelve MiB hold the largest review that an API server can send."""
    reply, _ = await _respond(b" " * (review.MAX_BODY + 1), handlers.mutate_pods)
    assert reply.status == 413


async def test_injection_is_a_base64_patch(handlers, review_of, pod, operations):
    """The uid is echoed, and the audit log will show what was done."""
    reply, answer = await _respond(review_of(pod()), handlers.mutate_pods)
    response = answer["response"]
    assert (reply.status, reply.outcome) == (200, "injected")
    assert response["uid"] == "1-2-3"
    assert response["allowed"]
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == operations(pod())
    assert response["auditAnnotations"] == {"repository": "hippo", "configured-by": "Arguments"}
    assert "warnings" not in response


async def test_second_look_has_no_patch(handlers, review_of, pod, operations, applied):
    """Reinvocation is answered with plain consent."""
    once = applied(pod(), operations(pod()))
    reply, answer = await _respond(review_of(once), handlers.mutate_pods)
    assert reply.outcome == "unchanged"
    assert "patch" not in answer["response"]


async def test_refusal_has_code_reason_and_all_faults(handlers, review_of, pod):
    """What `kubectl apply` prints."""
    refused = pod(args=["-c", "archive_mode=off", "-c", "wal_level=minimal"])
    reply, answer = await _respond(review_of(refused), handlers.mutate_pods)
    status = answer["response"]["status"]
    assert reply.outcome == "refused"
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"].startswith("2 faults: [1] spec.containers[0].args[1]")
    assert answer["response"]["auditAnnotations"] == {"refused": "archive-mode,wal-level"}


async def test_namespace_comes_from_the_request(handlers, review_of, pod):
    """A pod template names none."""
    bare = pod()
    del bare["metadata"]["namespace"]
    _, answer = await _respond(review_of(bare), handlers.mutate_pods)
    assert answer["response"]["patch"]
    _, answer = await _respond(review_of(bare, namespace="other"), handlers.mutate_pods)
    assert "there is no Repository of this name in namespace other" in answer["response"]["status"]["message"]


@pytest.mark.parametrize("request_", [{"operation": "UPDATE"}, {"operation": "DELETE"}, {"subResource": "status"}])
async def test_only_creation_of_pods_is_looked_at(request_, handlers, review_of, pod):
    """A running pod's containers cannot change."""
    _, answer = await _respond(review_of(pod(), **request_), handlers.mutate_pods)
    assert answer["response"] == {"uid": "1-2-3", "allowed": True}


async def test_kinds_are_judged_with_warnings(handlers, review_of):
    """Warnings come along either way."""
    _, answer = await _respond(review_of({"kind": "Backup", "spec": {}}), handlers.check_kinds)
    assert answer["response"] == {"uid": "1-2-3", "allowed": True, "warnings": ["runs at noon"]}
    _, answer = await _respond(review_of({"kind": "Backup", "spec": "bad"}), handlers.check_kinds)
    assert answer["response"]["status"]["message"] == 'spec: "bad": is bad'


async def test_kinds_in_deletion_and_status_are_not_judged(handlers, review_of):
    """Finalizers come off, and status is written, whatever the rules say."""
    bad = {"kind": "Backup", "spec": "bad"}
    going = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    for body in (
        review_of(bad, operation="UPDATE", old=going),
        review_of(bad, operation="DELETE"),
        review_of(bad, operation="UPDATE", old=bad, subResource="status"),
    ):
        _, answer = await _respond(body, handlers.check_kinds)
        assert answer["response"]["allowed"]
    assert handlers.asked == []


async def test_update_is_judged_against_the_old(handlers, review_of):
    """The rules see both, and the namespace, which is in the request."""
    new, old = {"kind": "Backup", "spec": {"a": 1}}, {"kind": "Backup", "spec": {"a": 2}}
    await _respond(review_of(new, operation="UPDATE", old=old), handlers.check_kinds)
    placed = new | {"metadata": {"namespace": "zoo"}}
    assert handlers.asked == [(placed, old)]


async def test_broken_handler_is_500(review_of):
    """A mistake of ours is an error for the API server, not a consent."""

    async def broken(request):
        raise KeyError(request.uid)

    reply, answer = await _respond(review_of({}), broken)
    assert (reply.status, answer) == (500, {"error": "internal error"})


async def test_warnings_stay_within_the_limit(review_of):
    """The API server cuts at 4096 characters; whole warnings are better than a torn one, and a line break is none."""

    async def warns(_):
        return Answer(outcome="allowed", warnings=("a\nb", *["w" * 1000] * 9))

    _, answer = await _respond(review_of({}), warns)
    assert answer["response"]["warnings"] == ["a b", *["w" * 1000] * 3]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(["containers", "initContainers", "volumes", "securityContext", "x"]), value=json_values)
def test_any_json_in_a_pod_gets_an_answer(field, value, handlers, review_of, pod):
    """Whatever stands in a field: a review, or a 400."""
    import asyncio

    odd = pod()
    odd["spec"][field] = value
    reply = asyncio.run(_reply(review_of(odd), handlers.mutate_pods))
    assert reply.status in {200, 400}


async def test_the_deletion_of_a_repository_is_judged_by_its_use_and_by_who_asks(settings, review_of):
    """The object is the old one: a DELETE carries no new one."""
    asked = []

    def deletable(obj, user):
        asked.append((obj["metadata"]["name"], user))
        return Verdict([Fault("status.pods", ["db-0"], "is in use", "in-use")] if user == "u" else [])

    handlers = Handlers(settings, None, None, deletable=deletable)
    old = {"kind": "Repository", "metadata": {"name": "hippo"}}
    kind = {"group": "pgwarden.io", "version": "v1alpha1", "kind": "Repository"}
    for user, allowed in (("u", False), ("cleaner", True)):
        body = review_of(None, operation="DELETE", old=old, kind=kind, userInfo={"username": user})
        _, answer = await _respond(body, handlers.check_kinds)
        assert answer["response"]["allowed"] == allowed
    assert asked == [("hippo", "u"), ("hippo", "cleaner")]
    _, answer = await _respond(review_of(None, operation="DELETE", old=old), handlers.check_kinds)
    assert answer["response"]["allowed"]


async def test_the_deletion_of_a_backup_is_answered_with_what_goes_with_it(settings, review_of):
    handlers = Handlers(settings, None, None, deletable=lambda *_: Verdict([], ["set 1F is expired"]))
    kind = {"group": "pgwarden.io", "version": "v1alpha1", "kind": "Backup"}
    body = review_of(None, operation="DELETE", old={"kind": "Backup", "metadata": {"name": "one"}}, kind=kind)
    _, answer = await _respond(body, handlers.check_kinds)
    assert (answer["response"]["allowed"], answer["response"]["warnings"]) == (True, ["set 1F is expired"])


@pytest.mark.parametrize("kind", [kind.name for kind in registry.KINDS])
async def test_the_kinds_whose_deletion_is_guarded_are_judged_and_no_others(settings, review_of, kind):
    handlers = Handlers(settings, None, None, deletable=lambda *_: Verdict([Fault("spec", True, "is kept", "x")]))
    group = {"group": "pgwarden.io", "version": "v1alpha1", "kind": kind}
    body = review_of(None, operation="DELETE", old={"kind": kind, "metadata": {"name": "one"}}, kind=group)
    _, answer = await _respond(body, handlers.check_kinds)
    assert answer["response"]["allowed"] is not registry.BY_NAME[kind].guards_deletion


async def test_a_refusal_names_the_object_and_each_cause_as_kubectl_edit_shows_them():
    """kubectl edit prints the causes of an Invalid answer and nothing else."""
    faults = (
        Fault("spec.type", "fulll", "must be full", "schema"),
        Fault("spec.storage", None, "is required", "storage"),
    )

    async def handler(_):
        return Answer(outcome="refused", faults=faults)

    request = {"uid": "1", "name": "one", "kind": {"group": "pgwarden.io", "version": "v1alpha1", "kind": "Backup"}}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()
    status = json.loads((await _reply(body, handler)).body)["response"]["status"]
    assert status["reason"] == "Invalid"
    assert status["details"] == {
        "group": "pgwarden.io",
        "kind": "Backup",
        "name": "one",
        "causes": [
            {"reason": "FieldValueInvalid", "field": "spec.type", "message": '"fulll": must be full'},
            {"reason": "FieldValueInvalid", "field": "spec.storage", "message": "is required"},
        ],
    }
