"""A Restore of a PostgresCluster under fire: the most telling cells of what `make faults` tries as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from harness.cluster import Cluster, manifest
from harness.direct import direct
from harness.fire import prepare, trial
from harness.kubectl import Kubectl
from harness.s3 import Store, repository
from harness.scene import Scene


@pytest.fixture(scope="module")
def scene(installed, space: Kubectl) -> Iterator[Scene]:
    """One cluster for all of them, its repository in S3."""
    store = Store(installed.cluster._own())
    bucket = store.make_bucket(f"faults-{uuid.uuid4().hex[:6]}")
    space.apply(*store.secrets(), manifest(replicas=1, repository=repository("s3", bucket)["spec"]))
    with direct(space) as api:
        found = Scene(Cluster(space), api, store)
        Cluster(space).wait_ready(300)
        prepare(found)
        yield found


@pytest.mark.parametrize(
    ("step", "fault", "phase", "rows"),
    [
        pytest.param("Swapped", "controller killed", "Completed", "the target's", id="controller at the swap"),
        pytest.param("Stopped", "deleted, applied again", "Completed", "the target's", id="applied again at the stop"),
        pytest.param("Replayed", "S3 away for 30 s", "Completed", "the target's", id="S3 away at the replay"),
        pytest.param("Swapped", "deleted", "Undone", "as before", id="deleted at the swap"),
    ],
)
def test_it_resumes_or_is_undone_and_the_next_one_works(scene: Scene, step: str, fault: str, phase: str, rows: str):
    outcome = trial(scene, f"{step}-{fault}".lower().replace(" ", "-").replace(",", ""), step, fault)
    assert outcome.good, outcome
    assert (outcome.phase, outcome.rows) == (phase, rows), outcome
