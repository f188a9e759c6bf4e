"""Brings image archives into the containerd of every node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from localcluster import tiny_images
from localcluster.cache import sha256
from localcluster.commands import run
from localcluster.config import Cluster, Machine
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.tools import Tools

_IMPORT_LIMIT = 900
#: Which archives a node has, by the digest of their bytes.
_BOOK = "loaded.json"
_BLOBS = "containerd/io.containerd.content.v1.content/blobs/sha256"


def _ctr(machine: Machine, tools: Tools) -> list[str]:
    return [str(tools.path("ctr")), "--address", str(machine.containerd_socket), "-n", "k8s.io"]


def containerd_answers(machine: Machine, tools: Tools) -> bool:
    """Whether containerd serves its socket."""
    if not machine.containerd_socket.exists():
        return False
    try:
        run([*_ctr(machine, tools), "version"], limit=10)
    except LocalClusterError:
        return False
    return True


def present(machine: Machine, tools: Tools) -> set[str]:
    """References of every image the node has."""
    return set(run([*_ctr(machine, tools), "images", "list", "--quiet"]).split())


def load(cluster: Cluster, tools: Tools, archives: Sequence[Path]) -> list[str]:
    """Import docker-archives or OCI tars into every node; returns the references that were loaded.

    An archive is skipped when the same bytes were imported before and all
    their references are still there.
    """
    first, *others = cluster.machines
    result = _load(first, tools, archives)
    for machine in others:
        _load(machine, tools, archives)
        share_blobs(first, machine)
    return result


def copy(source: Machine, target: Machine, tools: Tools) -> None:
    """Give *target* every image that *source* has, as a node that joins later needs them."""
    lacking = sorted(name for name in present(source, tools) - present(target, tools) if not _is_digest(name))
    if not lacking:
        return
    with step(f"copying {len(lacking)} images to {target.node}"):
        words = [*_ctr(source, tools), "images", "export", "-", *lacking]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as export:
            run([*_ctr(target, tools), "images", "import", "-"], stdin=export.stdout, limit=_IMPORT_LIMIT)
        if export.returncode != 0:
            raise LocalClusterError(f"export of the images of {source.node}: exit code {export.returncode}")
    (target.state / _BOOK).write_text((source.state / _BOOK).read_text())
    share_blobs(source, target)


def share_blobs(source: Machine, target: Machine) -> None:
    """One copy on the disk of what both have. containerd never changes a blob, and removes only its own link."""
    for blob in (target.state / _BLOBS).glob("*"):
        original, link = source.state / _BLOBS / blob.name, blob.with_name(f".{blob.name}")
        if original.exists() and not original.samefile(blob):
            link.unlink(missing_ok=True)
            link.hardlink_to(original)
            link.rename(blob)


def _is_digest(reference: str) -> bool:
    """Whether it is a name that the kubelet's interface gives to an image beside its reference."""
    return reference.startswith("sha256:")


def _load(machine: Machine, tools: Tools, archives: Sequence[Path]) -> list[str]:
    book = machine.state / _BOOK
    loaded: dict[str, list[str]] = json.loads(book.read_text()) if book.exists() else {}
    result: list[str] = []
    for archive in archives:
        if not archive.is_file():
            raise LocalClusterError(f"there is no archive {archive}")
        digest = sha256(archive)
        if digest in loaded and set(loaded[digest]) <= present(machine, tools):
            say(f"{archive.name}: already loaded ({', '.join(loaded[digest])})")
            result += loaded[digest]
            continue
        with step(f"loading {archive.name}" + (f" into {machine.node}" if machine.number > 1 else "")):
            references = _import(machine, tools, archive)
        # A newer archive of the same reference replaces it: older entries no longer hold.
        loaded = {key: names for key, names in loaded.items() if not set(names) & set(references)}
        loaded[digest] = references
        book.write_text(json.dumps(loaded, indent=1))
        result += references
    return result


def _import(machine: Machine, tools: Tools, archive: Path) -> list[str]:
    output = run(
        [*_ctr(machine, tools), "images", "import", archive],
        limit=_IMPORT_LIMIT,
        way_out="the file must be a docker-archive or an OCI tar; is the cluster up?",
        what=f"import of {archive}",
    )
    # One line per image: "unpacking REFERENCE (sha256:...)...done".
    return [line.split()[1] for line in output.splitlines() if line.startswith("unpacking ")]


def load_own(machine: Machine, tools: Tools) -> None:
    """The pause and helper images."""
    entries = tiny_images.artifacts(tools.path("busybox"))
    _load(machine, tools, [tools.cache.ensure(entry) / entry.files[0] for entry in entries])
