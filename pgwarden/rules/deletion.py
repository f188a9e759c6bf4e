"""What must be true before a Repository may be deleted: nothing depends on it any more. And what goes with a Backup.

Only people are held up. What the cluster itself cleans up (a namespace that goes, an owner that is gone) cannot be
refused: its namespace would hang for ever on a status that nobody brings up to date any more.
"""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.rules.common import Lookup, Object, Verdict, get, objects
from pgwarden.rules.dependents import dependents, is_only_full, may_have_more, set_in, set_of

#: Who cleans up. The last one is the controller manager where its controllers have no accounts of their own.
CLEANERS = frozenset(
    {
        "system:serviceaccount:kube-system:namespace-controller",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:kube-controller-manager",
    }
)
_FINAL = ("Completed", "Failed")


def judge(obj: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Of a Repository or a Backup that *user* deletes."""
    if get(obj, str, "kind") == "Backup":
        return of_backup(obj, lookup=lookup, user=user)
    return deletable(obj, lookup=lookup, user=user)


def deletable(repository: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Faults say what is in the way of the deletion of *repository*, and how it goes out of the way."""
    namespace = get(repository, str, "metadata", "namespace") or "default"
    name = get(repository, str, "metadata", "name") or ""
    allowed = get(repository, str, "metadata", "annotations", names.ANNOTATION_DELETE_IN_USE) == "true"
    if user in CLEANERS or allowed:
        return Verdict()
    faults = []
    pods = sorted(str(pod.get("name")) for pod in objects(repository, "status", "pods"))
    if pods:
        message = (
            "is in use: without it the WAL of these pods has nowhere to go and fills their volumes; delete them first, "
            f"or take the label {names.LABEL_REPOSITORY} off them{_anyway(name)}"
        )
        faults.append(Fault("status.pods", _some(pods), message, "in-use"))
    for kind, others in (("Backup", lookup.backups(namespace, name)), ("Restore", lookup.restores(namespace, name))):
        running = sorted(str(get(other, str, "metadata", "name")) for other in others if _runs(other))
        if running:
            message = f"is in use by a {kind} that is not done; wait for it, or delete it first{_anyway(name)}"
            faults.append(Fault(f"{kind.lower()}s", _some(running), message, "in-use"))
    return Verdict(faults)


def of_backup(backup: Object, *, lookup: Lookup, user: str = "") -> Verdict:
    """Never refused. Warnings say what goes with it, where deletionPolicy is Delete."""
    label, _ = set_of(backup)
    if user in CLEANERS or get(backup, str, "spec", "deletionPolicy") != "Delete" or not label:
        return Verdict()
    namespace = get(backup, str, "metadata", "namespace") or "default"
    repository = lookup.repository(namespace, get(backup, str, "spec", "repository") or "")
    if repository is None:
        return Verdict(warnings=[f"backup set {label} stays where it is: its Repository is gone"])
    label, repo = set_in(repository, backup)
    if is_only_full(repository, label, repo):
        why = "pgBackRest never expires the only full one"
        return Verdict(warnings=[f"backup set {label} stays in the repository: {why}"])
    return Verdict(warnings=[f"backup set {label} is expired{_with_it(repository, label, repo)}"])


def _with_it(repository: Object, label: str, repo: int | None) -> str:
    with_it, more = dependents(repository, label, repo), may_have_more(repository, label, repo)
    if not with_it:
        return ", and with it whatever builds on it: not all sets are listed" if more else "; no other builds on it"
    least = "at least " if more else ""
    return f", and with it {least}{len(with_it)} that build on it: {', '.join(_some(with_it))}"


def _anyway(name: str) -> str:
    return f"; to delete it all the same: kubectl annotate repository {name} {names.ANNOTATION_DELETE_IN_USE}=true"


def _some(found: list[str]) -> list[str]:
    return found if len(found) <= 5 else [*found[:5], f"and {len(found) - 5} more"]


def _runs(other: Object) -> bool:
    """One that is itself being deleted will not be waited for."""
    gone = get(other, str, "metadata", "deletionTimestamp") is not None
    return not gone and get(other, str, "status", "phase") not in _FINAL
