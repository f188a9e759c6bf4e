"""Which kubeconfig, which of its contexts, and that context's namespace, as kubectl reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pgwarden.cli.errors import CliError, near

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def files(given: str = "") -> list[Path]:
    """The kubeconfig files that exist. CliError where one was named and does not."""
    named = given or os.environ.get("KUBECONFIG", "")
    if not named:
        usual = Path.home() / ".kube" / "config"
        return [usual] if usual.is_file() else []
    paths = [Path(part).expanduser() for part in ([given] if given else named.split(os.pathsep)) if part]
    found = [path for path in paths if path.is_file()]
    if not found:
        whose = "--kubeconfig" if given else "KUBECONFIG"
        raise CliError(f"{whose}: {named}: no such file")
    return found


def namespace(given: str = "", context: str = "") -> str:
    """The namespace of the context, `default` where it names none; empty where there is no kubeconfig at all."""
    found = files(given)
    if not found:
        return in_pod_namespace()
    documents = list(_documents(found))
    contexts: dict[str, Any] = {}
    for document in documents:
        for entry in document.get("contexts") or []:
            contexts.setdefault(str(entry.get("name")), entry.get("context") or {})
    wanted = context or next((str(d["current-context"]) for d in documents if d.get("current-context")), "")
    if not wanted:
        return "default"
    if wanted not in contexts:
        known = near(wanted, contexts) or f"; it has {', '.join(sorted(contexts)) or 'none'}"
        raise CliError(f"the kubeconfig has no context {wanted}{known}")
    return str(contexts[wanted].get("namespace") or "default")


def in_pod_namespace() -> str:
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _documents(paths: list[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise CliError(f"cannot read kubeconfig {path}: {error}") from None
        if isinstance(document, dict):
            yield document
