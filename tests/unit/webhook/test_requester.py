"""Who names a Secret, a service account or an image must be allowed to use it; and who may not look is told nothing."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pgwarden.api.faults import Elsewhere, Fault
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.rules import Verdict
from webhook import requester as requester_module
from webhook import review, rights
from webhook.handlers import Handlers
from webhook.requester import AccessReviews, Requester
from webhook.review import Reply, UserInfo
from webhook.rights import Right

CONTROLLER = "system:serviceaccount:pgwarden-system:pgwarden-controller"
GROUP = {"group": "pgwarden.io", "version": "v1alpha1"}
SECRET = Right("get", "secrets", "zoo", "keys")
PODS = Right("create", "pods", "zoo")


class Authorizer:
    """Answers as RBAC would that gives *allowed* and nothing else; `asked` is what it was asked."""

    def __init__(self, *allowed: Right, error: Exception | None = None):
        self.allowed, self.error, self.asked = set(allowed), error, []

    async def __call__(self, user: UserInfo, right: Right) -> bool:
        self.asked.append((user.username, right))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return right in self.allowed


@pytest.fixture
def answer(settings, review_of):
    """What `/validate` (or another of the handlers) answers to an object: its refusal; empty where it is admitted."""

    async def of(
        authorizer, spec, *, old=None, kind="Repository", user="alice", images=(), verdict=None, path="validate_kinds"
    ):
        made = Handlers(
            settings, None, lambda *_: verdict or Verdict(), lambda *_: {}, requester=Requester(authorizer, CONTROLLER, images)
        )  # fmt: skip
        about = {"kind": kind, "metadata": {"name": "one", "namespace": "zoo"}}
        before = None if old is None else about | {"spec": old}
        operation = "CREATE" if old is None else "UPDATE"
        body = review_of(
            about | {"spec": spec}, old=before, operation=operation, kind=GROUP | {"kind": kind}, userInfo={"username": user}
        )  # fmt: skip
        reply = review.answer(body, getattr(made, path))
        reply = reply if isinstance(reply, Reply) else await reply
        response = json.loads(reply.body)["response"]
        return "" if response["allowed"] else response["status"]["message"]

    return of


def s3(**given):
    return {"storageType": "s3", "s3": {"bucket": "b", "credentialsSecretRef": {"name": "keys"}} | given}


async def test_a_secret_that_its_author_may_not_read_is_refused_with_the_way_out(answer):
    said = await answer(Authorizer(), s3())
    assert said == (
        'spec.s3.credentialsSecretRef.name: "keys": alice may not get secrets in namespace zoo, and a Repository may name '
        "only Secrets that its author may read; name another Secret, ask for that right (kubectl auth can-i get secrets/keys "
        "-n zoo), or have somebody who has it make this change"
    )


async def test_a_secret_that_its_author_may_read_is_admitted(answer):
    authorizer = Authorizer(SECRET)
    assert await answer(authorizer, s3()) == ""
    assert authorizer.asked == [("alice", SECRET)]


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("Repository", {"serviceAccountName": "boss"}, 'spec.serviceAccountName: "boss"'),
        ("PostgresCluster", {"repository": {"serviceAccountName": "boss"}}, "spec.repository.serviceAccountName"),
        ("PostgresCluster", {"image": "evil:1"}, 'spec.image: "evil:1"'),
        ("Restore", {"repository": "hippo", "image": "evil:1"}, "spec.image"),
        ("Repository", {"storageType": "s3", "s3": {"keyType": "web-id"}}, "set another keyType"),
        ("Backup", {"repository": "hippo", "podLabels": {"app": "web"}}, 'spec.podLabels.app: "web"'),
        (
            "Backup",
            {"repository": "hippo", "podAnnotations": {"mesh/image": "x"}},
            "a Backup may put annotations on pods only",
        ),
        (
            "Repository",
            {"podTemplate": {"metadata": {"labels": {"app": "web"}}}},
            "spec.podTemplate.metadata.labels.app",
        ),
    ],
)
async def test_an_account_an_image_and_a_label_are_for_who_may_create_pods(answer, kind, spec, field):
    said = await answer(Authorizer(), spec, kind=kind)
    assert field in said
    assert "alice may not create pods in namespace zoo" in said
    assert await answer(Authorizer(PODS), spec, kind=kind) == ""


async def test_all_that_is_missing_is_told_at_once_and_each_right_asked_for_once(answer):
    authorizer = Authorizer()
    spec = s3(caSecretRef={"name": "keys"}) | {"serviceAccountName": "boss"}
    said = await answer(authorizer, {"image": "evil:1", "repository": spec}, kind="PostgresCluster")
    assert said.startswith("4 faults: ")
    assert sorted(map(str, (right for _, right in authorizer.asked))) == sorted(map(str, (SECRET, PODS)))


ALLOWED = ("registry.example/postgres/", "registry.example/one", "registry.example/two:17", "registry")


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("registry.example/postgres/patroni:17", True),
        ("registry.example/postgres/", False),
        ("registry.example/postgres-evil/x:1", False),
        ("registry.example/one", True),
        ("registry.example/one:5", True),
        ("registry.example/one@sha256:0", True),
        ("registry.example/one-evil:5", False),
        ("registry.example/one/evil:5", False),
        ("registry.example/two:17", True),
        ("registry.example/two:170", False),
        ("registry.example/two:18", False),
        ("registry:5000/evil", False),
        ("evil/registry.example/postgres/x", False),
    ],
)
async def test_an_image_that_the_operator_allows_is_for_everybody(answer, image, allowed):
    said = await answer(Authorizer(), {"image": image}, kind="PostgresCluster", images=ALLOWED)
    assert (said == "") is allowed
    assert allowed or "or take one that the operator allows (registry.example/postgres/, registry.example/one" in said


NOT_ASKED = {
    "an update that leaves the name alone": {"spec": s3(region="x"), "old": s3()},
    "the controller's own object": {"spec": s3(), "user": CONTROLLER},
    "an object that names nothing": {"spec": {"storageType": "local"}},
    "before the schema was applied": {"spec": s3(), "path": "check_kinds"},
    "an object that is refused anyway": {"spec": s3(), "verdict": Verdict([Fault("spec", None, "is bad", "x")])},
}


@pytest.mark.parametrize("case", NOT_ASKED)
async def test_nobody_is_asked_about(answer, case):
    authorizer = Authorizer()
    said = await answer(authorizer, **NOT_ASKED[case])
    assert authorizer.asked == []
    assert ("is bad" in said) == (case == "an object that is refused anyway")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.ApiError(500, "InternalError", "etcd is away"), "the API server answered: etcd is away"),
        (TimeoutError(), "gave no answer within 2 s"),
        (OSError(), ""),
    ],
    ids=["an error", "no answer", "a fault of ours"],
)
async def test_what_cannot_be_asked_is_refused(answer, review_of, error, reason):
    if not reason:  # the API server gets an HTTP error, and failurePolicy Fail refuses the object
        with pytest.raises(KeyError):
            await answer(Authorizer(error=error), s3())
        return
    said = await answer(Authorizer(error=error), s3())
    assert "spec.s3.credentialsSecretRef.name" in said
    assert reason in said
    assert "nothing is wrong with the object, try again" in said


async def test_an_authorizer_that_hangs_is_not_waited_for(answer, monkeypatch):
    monkeypatch.setattr(requester_module, "SECONDS", 0.01)

    async def hangs(*_):
        await asyncio.Event().wait()

    assert "could not be found out whether alice may use this Secret" in await answer(hangs, s3())


async def test_no_review_asks_for_more_rights_than_the_schema_lets_an_object_name(answer):
    authorizer = Authorizer()
    many = [{"name": f"s{number}"} for number in range(1000)]
    said = await answer(authorizer, {"podTemplate": {"spec": {"imagePullSecrets": many}}})
    assert "more than 64" in said
    assert authorizer.asked == []


async def test_a_spec_that_cannot_be_read_is_refused(answer):
    assert "cannot be read" in await answer(Authorizer(), {"s3": 5})


# --- other namespaces ----------------------------------------------------------------------------------------------

HIDDEN = Fault(
    "spec.s3.path", "/x", "is taken", "s3.path", None, Elsewhere((("payroll", "ledger"),), ("is used by ", "/ledger"))
)


@pytest.mark.parametrize("path", ["check_kinds", "validate_kinds"])
async def test_names_of_other_namespaces_are_for_those_who_may_look_there(answer, path):
    may_look = Right("get", "repositories", "payroll", "ledger", "pgwarden.io")
    for authorizer, told in ((Authorizer(), "is taken"), (Authorizer(may_look), "is used by payroll/ledger")):
        said = await answer(authorizer, {}, verdict=Verdict([HIDDEN]), path=path)
        assert said == f'spec.s3.path: "/x": {told}'
        assert authorizer.asked == [("alice", may_look)]


async def test_where_it_cannot_be_asked_nothing_is_told_of_other_namespaces(answer):
    said = await answer(Authorizer(error=TimeoutError()), {}, verdict=Verdict([HIDDEN]))
    assert said == 'spec.s3.path: "/x": is taken'


async def test_without_the_check_nothing_is_told_of_other_namespaces(settings, review_of):
    made = Handlers(settings, None, lambda *_: Verdict([HIDDEN]), lambda *_: {})
    reply = review.answer(review_of({"kind": "Repository", "spec": {}}), made.validate_kinds)
    assert "ledger" not in reply.body.decode()


# --- the question ---------------------------------------------------------------------------------------------------


async def test_the_question_has_the_whole_requester():
    """Groups, uid and extra decide as well as the name: they are sent as they came."""
    asked = []

    async def answered(request):
        asked.append(await request.json())
        return web.json_response({"status": {"allowed": len(asked) == 1}})

    app = web.Application()
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", answered)
    user = {"username": "alice", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["a", "b"]}}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "userInfo": user}}
    seen = []
    review.answer(
        json.dumps(body).encode(), lambda request: seen.append(request.user_info) or review.Answer(outcome="skipped")
    )
    async with TestServer(app) as server, KubeClient(Access(str(server.make_url("")).rstrip("/"), None)) as client:
        reviews = AccessReviews(client)
        assert await reviews(seen[0], SECRET) is True
        assert await reviews(UserInfo("bob"), rights.to_look("payroll", "ledger")) is False
    first, second = (one["spec"] for one in asked)
    assert {key: first[key] for key in ("user", "uid", "groups", "extra")} == {
        "user": "alice", "uid": "7", "groups": user["groups"], "extra": user["extra"],
    }  # fmt: skip
    assert first["resourceAttributes"] == {
        "verb": "get", "group": "", "resource": "secrets", "namespace": "zoo", "name": "keys",
    }  # fmt: skip
    assert (second["user"], second["groups"], second["extra"]) == ("bob", [], {})
    assert second["resourceAttributes"]["group"] == "pgwarden.io"
