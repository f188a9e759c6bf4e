"""Images that only some tests need: built from this checkout, and loaded into the running cluster."""

from __future__ import annotations

import subprocess
import sys

import pytest

from localcluster.image_inputs import IMAGES
from localcluster.pytest_plugin import ClusterHandle

OLD_MAJOR, OLD_ALONE, ENGLISH, MARKS = "postgres-16", "postgres-16-alone", "postgres-english", "postgres-marks"
#: The release before, as it was made, and with a pgBackRest that this release's refuses.
RELEASE, RELEASE_OTHER = "pgwarden-release", "pgwarden-release-other"


def loaded(cluster: ClusterHandle, name: str) -> str:
    """Its reference."""
    if cluster.local is None:
        pytest.skip("its image is built and loaded by the local cluster")
    subprocess.run([sys.executable, "-m", "localcluster.images", "build", name, "--load"], check=True)
    return IMAGES[name].tag
