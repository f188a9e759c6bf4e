"""The release before, installed as its users did: its own chart out of the history, with its own image."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import images
from harness.install import ROOT, Helm, wait_admission
from harness.kubectl import Kubectl
from localcluster import history
from localcluster.image_inputs import RELEASE_COMMIT
from localcluster.images import Store
from localcluster.pytest_plugin import ClusterHandle


@contextmanager
def before(cluster: ClusterHandle, kubectl: Kubectl, helm: Helm, name: str, image: str) -> Iterator[str]:
    """In place of this release inside; afterwards this one, of *image*, whatever happened. Yields the old image."""
    old = images.loaded(cluster, name)
    with tempfile.TemporaryDirectory() as folder:
        history.extract(ROOT, RELEASE_COMMIT, Path(folder), Store().sources)
        helm.uninstall()
        try:
            helm.install(old, chart=Path(folder) / "charts" / "pgwarden")
            wait_admission(kubectl)
            yield old
        finally:
            helm.install(image)
            wait_admission(kubectl)
