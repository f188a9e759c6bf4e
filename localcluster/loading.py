"""Brings image archives into the node's containerd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from localcluster import tiny_images
from localcluster.cache import sha256
from localcluster.commands import run
from localcluster.config import Cluster
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.tools import Tools

_IMPORT_LIMIT = 900


def _ctr(cluster: Cluster, tools: Tools) -> list[str]:
    return [str(tools.path("ctr")), "--address", str(cluster.containerd_socket), "-n", "k8s.io"]


def containerd_answers(cluster: Cluster, tools: Tools) -> bool:
    """Whether containerd serves its socket."""
    if not cluster.containerd_socket.exists():
        return False
    try:
        run([*_ctr(cluster, tools), "version"], limit=10)
    except LocalClusterError:
        return False
    return True


def present(cluster: Cluster, tools: Tools) -> set[str]:
    """References of every image the node has."""
    return set(run([*_ctr(cluster, tools), "images", "list", "--quiet"]).split())


def load(cluster: Cluster, tools: Tools, archives: Sequence[Path]) -> list[str]:
    """Import docker-archives or OCI tars; returns the references that were loaded.

    An archive is skipped when the same bytes were imported before and all
    their references are still there.
    """
    book = cluster.state / "loaded.json"
    loaded: dict[str, list[str]] = json.loads(book.read_text()) if book.exists() else {}
    result: list[str] = []
    for archive in archives:
        if not archive.is_file():
            raise LocalClusterError(f"there is no archive {archive}")
        digest = sha256(archive)
        if digest in loaded and set(loaded[digest]) <= present(cluster, tools):
            say(f"{archive.name}: already loaded ({', '.join(loaded[digest])})")
            result += loaded[digest]
            continue
        with step(f"loading {archive.name}"):
            references = _import(cluster, tools, archive)
        # A newer archive of the same reference replaces it: older entries no longer hold.
        loaded = {key: names for key, names in loaded.items() if not set(names) & set(references)}
        loaded[digest] = references
        book.write_text(json.dumps(loaded, indent=1))
        result += references
    return result


def _import(cluster: Cluster, tools: Tools, archive: Path) -> list[str]:
    output = run(
        [*_ctr(cluster, tools), "images", "import", archive],
        limit=_IMPORT_LIMIT,
        way_out="the file must be a docker-archive or an OCI tar; is the cluster up?",
        what=f"import of {archive}",
    )
    # One line per image: "unpacking REFERENCE (sha256:...)...done".
    return [line.split()[1] for line in output.splitlines() if line.startswith("unpacking ")]


def load_own(cluster: Cluster, tools: Tools) -> None:
    """The pause and helper images."""
    entries = tiny_images.artifacts(tools.path("busybox"))
    load(cluster, tools, [tools.cache.ensure(entry) / entry.files[0] for entry in entries])
