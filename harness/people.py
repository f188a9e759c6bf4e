"""ServiceAccounts with the rights that a test gives them, and kubectl as one of them: by its token, in no other way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from harness.kubectl import Kubectl, Object
from harness.waiting import until

RBAC = "rbac.authorization.k8s.io"


def rule(group: str, resources: str, verbs: str, *names: str) -> Object:
    """*resources* and *verbs* parted by spaces; *names* of objects, where the rule is for some."""
    found: Object = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return found | ({"resourceNames": list(names)} if names else {})


def role(name: str, rules: list[Object], account: str, of: str) -> list[Object]:
    """A Role, with its binding to *account* of namespace *of*."""
    ref = {"apiGroup": RBAC, "kind": "Role", "name": name}
    api: Object = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": of}
    return [
        api | {"kind": "Role", "rules": rules},
        api | {"kind": "RoleBinding", "roleRef": ref, "subjects": [subject]},
    ]


def hired(space: Kubectl, folder: Path, name: str, *rules: Object) -> Kubectl:
    """A ServiceAccount of that name in *space*, with these rights there."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    space.apply(account, *role(name, list(rules), name, space.namespace))
    return with_token(space, folder, name)


def with_token(space: Kubectl, folder: Path, account: str, *bound: str) -> Kubectl:
    """kubectl as *account* of *space*, by a token that is made now."""
    return by(space, folder, space.run("create", "token", account, *bound).stdout.strip())


def by(space: Kubectl, folder: Path, token: str) -> Kubectl:
    """kubectl as whoever has *token*."""
    config = yaml.safe_load(Path(space.kubeconfig).read_text(encoding="utf-8"))
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    path = folder / f"{len(list(folder.iterdir()))}.kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return replace(space, kubeconfig=path)


def may(kubectl: Kubectl, *right: str) -> bool:
    """`create pods`, as `kubectl auth can-i` takes it."""
    return kubectl.run("auth", "can-i", *right, check=False).stdout.strip() == "yes"


def wait_may(kubectl: Kubectl, *right: str) -> None:
    """The API server's authorizer sees a new Role a moment later."""
    until(lambda: may(kubectl, *right), f"the account may {' '.join(right)}", 30)


def said(kubectl: Kubectl, *args: str, stdin: Object | str | None = None) -> str:
    """What kubectl says against *args*; empty where it was done, whatever it warned of."""
    text = yaml.safe_dump(stdin) if isinstance(stdin, dict) else stdin
    done = kubectl.run(*args, stdin=text, check=False)
    return (done.stderr.strip() or f"exit {done.returncode}") if done.returncode else ""


def made(kubectl: Kubectl, obj: Object | str, *more: str) -> str:
    """What is said against its creation."""
    return said(kubectl, "create", "-f", "-", *more, stdin=obj)
