"""Which kubeconfig, and what one of its contexts says: merged as kubectl merges, by YAML alone, so that it is quick.

`access` makes a connection of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgwarden.api.near import near
from pgwarden.api.objects import Object

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
#: section → the key of an entry's content.
_SECTIONS = {"contexts": "context", "clusters": "cluster", "users": "user"}
#: Files of a cluster or user, which a kubeconfig may name relative to itself.
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class KubeconfigError(OSError):
    """The API server cannot be reached by this kubeconfig, and why, in one sentence.

    An OSError: whoever tries again when no API server answers does so here as well.
    """


@dataclass(frozen=True)
class Context:
    """One context with the cluster and the user that it names. Paths in them are absolute."""

    name: str
    cluster: Object
    user: Object


@dataclass(frozen=True)
class Kubeconfig:
    """All files merged: the first one that has a name wins."""

    contexts: dict[str, Object] = field(default_factory=dict)
    clusters: dict[str, Object] = field(default_factory=dict)
    users: dict[str, Object] = field(default_factory=dict)
    current: str = ""

    def namespace(self, wanted: str = "") -> str:
        """Of context *wanted*, or of the current one; `default` where none is said."""
        if not wanted and not self.current:
            return "default"
        return str(self._named(wanted).get("namespace") or "default")

    def context(self, wanted: str = "") -> Context:
        """Context *wanted*, or the current one."""
        name, found = wanted or self.current, self._named(wanted)
        cluster, user = str(found.get("cluster") or ""), str(found.get("user") or "")
        if cluster not in self.clusters:
            raise KubeconfigError(f"context {name} of the kubeconfig names cluster {cluster!r}, which it does not have")
        if user and user not in self.users:
            raise KubeconfigError(f"context {name} of the kubeconfig names user {user!r}, which it does not have")
        return Context(name, self.clusters[cluster], self.users.get(user, {}))

    def _named(self, wanted: str) -> Object:
        name = wanted or self.current
        listed = ", ".join(sorted(self.contexts)) or "none"
        if not name:
            raise KubeconfigError(f"the kubeconfig has no current-context; it has {listed}: choose with --context")
        if name not in self.contexts:
            close = near(name, list(self.contexts), most=2)
            known = f"did you mean {' or '.join(close)}?" if close else f"it has {listed}"
            raise KubeconfigError(f"the kubeconfig has no context {name}; {known}")
        return self.contexts[name]


def files(given: str = "") -> list[Path]:
    """The kubeconfig files that there are. KubeconfigError where some were named and none is there."""
    named = given or os.environ.get("KUBECONFIG", "")
    if not named:
        usual = Path.home() / ".kube" / "config"
        return [usual] if usual.is_file() else []
    paths = [Path(part).expanduser() for part in ([given] if given else named.split(os.pathsep)) if part]
    found = [path for path in paths if path.is_file()]
    if not found:
        whose = "--kubeconfig" if given else "KUBECONFIG"
        raise KubeconfigError(f"{whose}: {named}: no such file")
    return found


def read(given: str = "") -> Kubeconfig | None:
    """The kubeconfig that kubectl would read; None where there is none at all."""
    found = files(given)
    if not found:
        return None
    sections: dict[str, dict[str, Object]] = {section: {} for section in _SECTIONS}
    current = ""
    for path in found:
        document = _document(path)
        current = current or str(document.get("current-context") or "")
        for section, key in _SECTIONS.items():
            for name, content in _entries(document, path, section, key):
                sections[section].setdefault(name, _absolute(content, path.absolute().parent))
    return Kubeconfig(**sections, current=current)


def namespace(given: str = "", context: str = "") -> str:
    """The namespace of the context; without a kubeconfig the pod's own, or empty where that is not known either."""
    found = read(given)
    if found is not None:
        return found.namespace(context)
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _document(path: Path) -> Object:
    import yaml  # which the webhook and the controller in a cluster never need

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise KubeconfigError(f"kubeconfig {path} is not YAML: {line}{error.problem}") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise KubeconfigError(f"kubeconfig {path} is not YAML: {' '.join(str(error).split())}") from None
    if document is None:  # an empty file, which kubectl takes as well
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {path} is not a kubeconfig: it must be a mapping with contexts and clusters")
    return document


def _entries(document: Object, path: Path, section: str, key: str) -> list[tuple[str, Object]]:
    listed = document.get(section) or []
    found = []
    for entry in listed if isinstance(listed, list) else [None]:
        name, content = (entry.get("name"), entry.get(key) or {}) if isinstance(entry, dict) else ("", None)
        if not isinstance(content, dict) or not name:
            raise KubeconfigError(f"kubeconfig {path}: {section} must be a list of entries with name and {key}")
        found.append((str(name), content))
    return found


def _absolute(content: Mapping[str, Any], folder: Path) -> Object:
    paths: Object = {key: str(folder / content[key]) for key in _FILES if content.get(key)}
    plugin = content.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):
        paths["exec"] = plugin | {"command": str(folder / plugin["command"])}
    return {**content, **paths}
