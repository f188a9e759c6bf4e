"""What blocks the deletion of a Repository or a PostgresCluster, and which sets are expired with a Backup.

Only people are refused. The cluster's own cleanup (of a deleted namespace, or of an object whose owner was deleted) is
never refused: the namespace would hang on a status that nobody updates any more.
"""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.judging import Lookup, Verdict
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.rules.dependents import dependents, is_only_full, may_have_more, set_in, set_of

#: The accounts that clean up. The last is the controller manager, if its controllers have no accounts of their own.
CLEANERS = frozenset(
    {
        "system:serviceaccount:kube-system:namespace-controller",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:kube-controller-manager",
    }
)
_FINAL = ("Completed", "Failed")


def judge(obj: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Of a Repository, a PostgresCluster or a Backup that *user* deletes."""
    kind = get(obj, str, "kind")
    if kind == "Backup":
        return of_backup(obj, lookup=lookup, user=user)
    if kind == "PostgresCluster":
        return of_cluster(obj, user=user)
    return deletable(obj, lookup=lookup, user=user)


def deletable(repository: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Faults name what blocks the deletion of *repository*, and what to do about it."""
    namespace = get(repository, str, "metadata", "namespace") or "default"
    name = get(repository, str, "metadata", "name") or ""
    allowed = get(repository, str, "metadata", "annotations", names.ANNOTATION_DELETE_IN_USE) == "true"
    if user in CLEANERS or allowed:
        return Verdict()
    anyway = _anyway(namespace, name)
    faults = []
    pods = sorted(str(pod.get("name")) for pod in objects(repository, "status", "pods"))
    if pods:
        message = (
            f"is in use: without it these pods cannot archive WAL and their volumes fill up; {_way_out(repository)}"
            f"{anyway}"
        )
        faults.append(Fault("status.pods", _some(pods), message, "in-use"))
    for kind, others in (("Backup", lookup.backups(namespace, name)), ("Restore", lookup.restores(namespace, name))):
        running = sorted(str(get(other, str, "metadata", "name")) for other in others if _runs(other))
        if running:
            message = f"is in use by a {kind} that has not finished; wait for it, or delete it first{anyway}"
            faults.append(Fault(f"{kind.lower()}s", _some(running), message, "in-use"))
    return Verdict(faults)


def of_cluster(cluster: Object, *, user: str = "") -> Verdict:
    """Refused while it is protected. One without the field is of a CRD that has none, where it could not be lifted."""
    if user in CLEANERS or get(cluster, bool, "spec", "deletionProtection") is not True:
        return Verdict()
    namespace = get(cluster, str, "metadata", "namespace") or "default"
    name = get(cluster, str, "metadata", "name") or ""
    patch = '{"spec":{"deletionProtection":false}}'
    message = (
        "protects it: its instances and all their data would be deleted. To delete it, lift that first: "
        f"kubectl -n {namespace} patch postgrescluster {name} --type=merge -p '{patch}'"
    )
    return Verdict([Fault("spec.deletionProtection", True, message, "deletion-protection")])


def of_backup(backup: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Never refused. With deletionPolicy Delete, warnings say which sets are expired."""
    label, _ = set_of(backup)
    if user in CLEANERS or get(backup, str, "spec", "deletionPolicy") != "Delete" or not label:
        return Verdict()
    namespace = get(backup, str, "metadata", "namespace") or "default"
    repository = lookup.repository(namespace, get(backup, str, "spec", "repository") or "")
    if repository is None:
        return Verdict(warnings=[f"backup set {label} is kept: its Repository was deleted"])
    label, repo = set_in(repository, backup)
    if is_only_full(repository, label, repo):
        why = "pgBackRest never expires the only full backup"
        return Verdict(warnings=[f"backup set {label} is kept: {why}"])
    return Verdict(warnings=[f"backup set {label} will be expired{_with_it(repository, label, repo)}"])


def _with_it(repository: Object, label: str, repo: int | None) -> str:
    with_it, more = dependents(repository, label, repo), may_have_more(repository, label, repo)
    if not with_it:
        return " with every set that depends on it (not all are listed)" if more else "; no other set depends on it"
    least = "at least " if more else ""
    depend = "depends" if len(with_it) == 1 else "depend"
    return f", and {least}{len(with_it)} that {depend} on it: {', '.join(_some(with_it))}"


def _way_out(repository: Object) -> str:
    """The pods of a PostgresCluster are recreated, and its Repository is deleted with it."""
    owners = objects(repository, "metadata", "ownerReferences")
    cluster = next((get(one, str, "name") for one in owners if one.get("kind") == "PostgresCluster"), None)
    if cluster:
        return f"it belongs to PostgresCluster {cluster}: delete that instead"
    return f"delete the pods first, or remove their label {names.LABEL_REPOSITORY}"


def _anyway(namespace: str, name: str) -> str:
    command = f"kubectl -n {namespace} annotate repository {name} {names.ANNOTATION_DELETE_IN_USE}=true"
    return f"; to delete it anyway: {command}"


def _some(found: list[str]) -> list[str]:
    return found if len(found) <= 5 else [*found[:5], f"and {len(found) - 5} more"]


def _runs(other: Object) -> bool:
    """One that is being deleted itself does not count."""
    gone = get(other, str, "metadata", "deletionTimestamp") is not None
    return not gone and get(other, str, "status", "phase") not in _FINAL
