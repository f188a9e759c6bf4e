"""Volumes that can be filled, and volumes that grow: what a storage's driver does, where the local cluster has none."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.kubectl import Kubectl, Object

REPOSITORY_CLAIM = "hippo-pgbackrest-repo"
_LABELS = {"app.kubernetes.io/managed-by": "pgwarden", "pgwarden.io/for-repository": "hippo"}


@contextmanager
def small_disk(space: Kubectl, mebibytes: int) -> Iterator[Path]:
    """A small file system of its own on the node, behind the claim that the Repository hippo adopts.

    The namespace ends with it: until then its pods hold the volume.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgwarden-disk-"))
    size = f"size={mebibytes}m,mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "pgwarden-disk", str(folder)], check=True)
    name, request = f"{space.namespace}-disk", {"storage": f"{mebibytes}Mi"}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = common | {"capacity": request, "hostPath": {"path": str(folder)}}
    claim = common | {"volumeName": name, "resources": {"requests": request}}
    try:
        space.apply(
            _object("v1", "PersistentVolume", name) | {"spec": volume},
            _object("v1", "PersistentVolumeClaim", REPOSITORY_CLAIM, labels=_LABELS) | {"spec": claim},
        )
        yield folder
    finally:
        space.run("delete", "namespace", space.namespace, "--wait=true", "--timeout=120s", check=False, seconds=150)
        space.run("delete", "pv", name, "--wait=false", check=False)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def overcommitted(space: Kubectl, kind: str, size: int) -> Iterator[str]:
    """The StorageClass of one volume that promises 2 GiB and has *size* bytes, as an overcommitted storage does."""
    name = f"{space.namespace}-{kind}"
    with tempfile.TemporaryDirectory(prefix="pgwarden-disk-") as folder:
        Path(folder).chmod(0o777)
        options = f"size={size // 1024}k,mode=0777"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pgwarden-disk", folder], check=True)
        try:
            spec = {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "capacity": {"storage": "2Gi"},
                "hostPath": {"path": folder},
                "persistentVolumeReclaimPolicy": "Retain",
            }
            made = {"metadata": {"name": name}, "provisioner": "kubernetes.io/no-provisioner"}
            space.apply(
                {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"} | made,
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec},
            )
            yield name
        finally:
            space.run("delete", f"pv/{name}", f"storageclass/{name}", "--wait=false", check=False)
            subprocess.run(["umount", "--lazy", folder], check=True)


def growing_class(name: str) -> Object:
    """A storage class that says that its driver can expand volumes. The local cluster's cannot: see `expand`."""
    made = _object("storage.k8s.io/v1", "StorageClass", name, annotations={"defaultVolumeType": "local"})
    return made | {
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }


def expand(space: Kubectl, claim: str) -> None:
    """What a driver does for a claim that asks for more: a larger volume, and the claim is told so."""
    found = space.get("pvc", claim)
    assert found is not None
    capacity = {"capacity": {"storage": found["spec"]["resources"]["requests"]["storage"]}}
    volume = json.dumps({"spec": capacity})
    space.run("patch", "pv", found["spec"]["volumeName"], "--type=merge", "-p", volume)
    space.run("patch", "pvc", claim, "--subresource=status", "--type=merge", "-p", json.dumps({"status": capacity}))


def _object(version: str, kind: str, name: str, **metadata: object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name} | metadata}
