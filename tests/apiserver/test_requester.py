"""Who names a Secret, a service account or an image must be allowed to use it; and who may not look learns nothing.

Real ServiceAccounts and their tokens, the API server's own authorizer, the webhook and the controller with their own rights.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from harness.kubectl import Kubectl, Object
from harness.waiting import until
from tests.apiserver.manifests import S3, backup, cluster, repository, restore
from tests.apiserver.release import Controllers, Release
from tests.apiserver.test_policies import MERGE, with_token

KINDS = {
    "apiGroups": ["pgwarden.io"],
    "resources": ["repositories", "backups", "backupschedules", "restores", "postgresclusters"],
    "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
}
SECRET = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s3"], "verbs": ["get"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
#: account → its rights in the namespace of the module
ACCOUNTS = {"orders": [KINDS], "reads": [KINDS, SECRET], "runs": [KINDS, PODS]}
#: What `kubectl auth can-i` answers yes to once the last of its rights is there.
LAST_RIGHT = {"orders": ("create", "postgresclusters"), "reads": ("get", "secrets/s3"), "runs": ("create", "pods")}


def role(name: str, rules: list[Object], namespace: str, of: str) -> list[Object]:
    """With its binding to account *name* of namespace *of*."""
    about = {"name": name, "namespace": namespace}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": of}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    api = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    return [
        api | {"kind": "Role", "metadata": about, "rules": rules},
        api | {"kind": "RoleBinding", "metadata": about, "roleRef": ref, "subjects": [subject]},
    ]


@dataclass(frozen=True)
class People:
    """kubectl as each account, and as the administrator."""

    admin: Kubectl
    by: dict[str, Kubectl]

    def __getitem__(self, name: str) -> Kubectl:
        return self.by[name]


@pytest.fixture(scope="module")
def people(
    release: Release,
    webhook,
    controllers: Controllers,
    space: Kubectl,
    tmp_path_factory: pytest.TempPathFactory,
) -> People:
    controllers.leader()
    folder = tmp_path_factory.mktemp("tokens")
    for name, rules in ACCOUNTS.items():
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        space.apply(account, *role(name, rules, space.namespace, space.namespace))
    by = {name: with_token(release, space, folder, name) for name in ACCOUNTS}
    controller = f"{release.fullname}-controller"
    home = space.within(release.namespace)
    by["controller"] = with_token(release, home, folder, controller).within(space.namespace)
    for name, right in LAST_RIGHT.items():
        until(lambda: may(by[name], *right), f"{name} may {' '.join(right)}", 30)  # noqa: B023  called at once
    return People(space, by)


def may(by: Kubectl, *right: str) -> bool:
    return by.run("auth", "can-i", *right, check=False).stdout.strip() == "yes"


def made(by: Kubectl, obj: Object) -> str:
    """What is said against it; empty where it would be made, whatever is warned of."""
    done = by.run("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(obj), check=False)
    return done.stderr if done.returncode else ""


def patched(by: Kubectl, name: str, spec: Object) -> str:
    done = by.run("patch", "pgrepo", name, *MERGE, json.dumps({"spec": spec}), "--dry-run=server", check=False)
    return done.stderr if done.returncode else ""


def named(name: str, field: str, value: Any) -> Object:
    """A Repository whose *field* (`encryption.secretRef`) is *value*."""
    *folders, last = field.split(".")
    spec: Any = {last: value}
    for folder in reversed(folders):
        spec = {folder: spec}
    return repository(name, **spec)


def in_s3(name: str, path: str = "", **changed: Any) -> Object:
    return repository(name, storageType="s3", s3=S3 | ({"path": path} if path else {}) | changed)


NEEDS_SECRET = {
    "credentials": (in_s3("x"), "spec.s3.credentialsSecretRef.name"),
    "credentials of pods": (
        in_s3("x", podCredentialsSecretRef={"name": "s3"}),
        "spec.s3.podCredentialsSecretRef.name",
    ),
    "credentials of clones": (
        in_s3("x", cloneCredentialsSecretRef={"name": "s3"}),
        "spec.s3.cloneCredentialsSecretRef.name",
    ),
    "passphrase": (named("x", "encryption.secretRef", {"name": "s3"}), "spec.encryption.secretRef.name"),
    "password": (named("x", "postgres.passwordSecretRef", {"name": "s3"}), "spec.postgres.passwordSecretRef.name"),
    "pull secret": (
        named("x", "podTemplate.spec.imagePullSecrets", [{"name": "s3"}]),
        "spec.podTemplate.spec.imagePullSecrets[0].name",
    ),
    "of a cluster": (
        cluster("x", repository={"storageType": "s3", "s3": S3}),
        "spec.repository.s3.credentialsSecretRef.name",
    ),
}
NEEDS_PODS = {
    "account": (repository("x", serviceAccountName="boss"), 'spec.serviceAccountName: "boss"'),
    "account of a cluster": (
        cluster("x", repository={"storageType": "local", "serviceAccountName": "boss"}),
        "spec.repository.serviceAccountName",
    ),
    "image of a cluster": (cluster("x", image="example.com/evil:1"), 'spec.image: "example.com/evil:1"'),
}


@pytest.mark.parametrize("case", NEEDS_SECRET)
def test_a_secret_is_named_by_who_may_read_it(people: People, case: str):
    obj, field = NEEDS_SECRET[case]
    for name in ("orders", "runs"):
        said = made(people[name], obj)
        assert f'{field}: "s3"' in said
        assert f"system:serviceaccount:{people.admin.namespace}:{name} may not get secrets in namespace" in said
        assert f"kubectl auth can-i get secrets/s3 -n {people.admin.namespace}" in said
    assert made(people["reads"], obj) == ""
    if obj["kind"] == "Repository":  # which the controller makes of a PostgresCluster
        assert made(people["controller"], obj) == ""


@pytest.mark.parametrize("case", NEEDS_PODS)
def test_an_account_and_an_image_are_named_by_who_may_create_pods(people: People, case: str):
    obj, field = NEEDS_PODS[case]
    for name in ("orders", "reads"):
        said = made(people[name], obj)
        assert field in said
        assert "may not create pods in namespace" in said
    assert made(people["runs"], obj) == ""


def test_the_image_of_a_restore_is_chosen_by_who_may_create_pods(people: People):
    people.admin.apply(repository("imaged"))
    obj = restore("x", repository="imaged", volumeClaim="aside", image="example.com/evil:1")
    assert "spec.image" in made(people["orders"], obj)
    assert "spec.image" not in made(people["runs"], obj)


def test_what_names_nothing_is_made_by_who_has_our_kinds_alone(people: People):
    assert made(people["orders"], repository("plain")) == ""
    assert made(people["orders"], cluster("plain")) == ""


def test_a_change_that_leaves_the_names_alone_is_not_asked_about(people: People):
    """The administrator has named the Secret; the team goes on with the rest."""
    people.admin.apply(in_s3("kept", "/kept", caSecretRef={"name": "ca"}))
    orders = people["orders"]
    assert patched(orders, "kept", {"retention": {"full": 5}}) == ""
    assert patched(orders, "kept", {"s3": {"caSecretRef": None}}) == ""
    assert 'spec.s3.credentialsSecretRef.name: "loot"' in patched(
        orders, "kept", {"s3": {"credentialsSecretRef": {"name": "loot"}}}
    )
    assert 'spec.s3.caSecretRef.name: "ca"' in patched(orders, "kept", {"s3": {"caSecretRef": {"key": "tls.key"}}})
    orders.run("annotate", "pgrepo", "kept", "team=data")
    orders.run("label", "pgrepo", "kept", "team=data")


def test_the_controller_makes_the_repository_of_a_cluster_with_all_that_it_names(people: People):
    """It may not create pods: asked about like anybody, it could not name the account."""
    assert not may(people["controller"], "create", "pods")
    spec = {"storageType": "s3", "s3": S3 | {"path": "/made"}, "serviceAccountName": "boss"}
    people.admin.apply(cluster("made", repository=spec))
    found = until(lambda: people.admin.get("pgrepo", "made"), "the controller has made it", 60)
    assert found["spec"]["serviceAccountName"] == "boss"


def test_the_cluster_roles_of_kubernetes_have_the_rights(release: Release, people: People, tmp_path):
    """Who has `edit`, as most teams have, notices nothing of all this. Here nobody aggregates it: its parts are bound."""
    space = people.admin
    space.run("create", "serviceaccount", "edits")
    for number, part in enumerate(("system:aggregate-to-edit", f"{release.fullname}-edit")):
        account = f"--serviceaccount={space.namespace}:edits"
        space.run("create", "rolebinding", f"edits-{number}", f"--clusterrole={part}", account)
    edits = with_token(release, space, tmp_path, "edits")
    until(lambda: may(edits, "create", "pods") and may(edits, "create", "pgrepo"), "it may", 60)
    for obj, _ in (*NEEDS_SECRET.values(), *NEEDS_PODS.values()):
        assert made(edits, obj) == ""


# --- other namespaces ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def payroll(release: Release, people: People) -> Kubectl:
    """Another team's namespace, with a Repository in the same bucket."""
    name = f"payroll-{uuid.uuid4().hex[:5]}"
    release.kubectl.run("create", "namespace", name)
    found = release.kubectl.within(name)
    found.apply(in_s3("ledger", "/books"))
    until(lambda: name in people.admin.refused(backup("x", repository="ledger")), "the webhook knows it", 30)
    return found


def questions(namespace: str) -> list[Object]:
    """Of which each is refused, and the refusal could name what is in *namespace*."""
    source = {"repository": "ledger", "namespace": namespace}
    return [
        backup("x", repository="ledger"),
        repository("x", storageType="s3", s3=S3 | {"path": "/books"}),
        cluster("x", dataSource=source),
    ]


TOLD = (
    ("there is no Repository ledger", "but there is one in {}"),
    ("in the same bucket; set another path", "is used by Repository {}/ledger"),
    ("allows clones into namespace", "Repository ledger in namespace {} does not allow clones"),
)


def test_refusals_name_nothing_of_another_namespace_to_who_may_not_look_there(people: People, payroll: Kubectl):
    for obj, (neutral, told) in zip(questions(payroll.namespace), TOLD, strict=True):
        said = made(people["orders"], obj)
        assert neutral in said
        assert told.format(payroll.namespace) not in said
        if obj["kind"] != "PostgresCluster":  # where the requester has written the name
            assert payroll.namespace not in said


def test_what_is_not_there_and_what_may_not_be_cloned_are_told_in_the_same_words(people: People, payroll: Kubectl):
    there, absent = (
        made(people["orders"], cluster("x", dataSource={"repository": name, "namespace": payroll.namespace}))
        for name in ("ledger", "nobody")
    )
    assert there.replace("ledger", "nobody") == absent


def test_refusals_name_it_to_who_may_read_it_there(people: People, payroll: Kubectl):
    space = people.admin.namespace
    look = [{"apiGroups": ["pgwarden.io"], "resources": ["repositories"], "verbs": ["get"]}]
    payroll.apply(*role("reads", look, payroll.namespace, space))
    until(lambda: may(people["reads"].within(payroll.namespace), "get", "pgrepo/ledger"), "it may look", 30)
    for obj, (_, told) in zip(questions(payroll.namespace), TOLD, strict=True):
        assert told.format(payroll.namespace) in made(people["reads"], obj)
