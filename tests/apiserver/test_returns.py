"""What kubectl does to the mark of a Backup that is over, and what comes of one that comes back."""

from __future__ import annotations

import json

import pytest
import yaml

from harness.kubectl import Kubectl, Object, phase
from pgwarden.api import names, records
from tests.apiserver.manifests import backup, repository
from tests.apiserver.release import Controllers

OVER = phase("Completed", "Failed")
STATUS = {
    "phase": "Completed",
    "reason": "Completed",
    "message": "full backup 20261123-100000F",
    "type": "full",
    "label": "20261123-100000F",
    "repo": 1,
    "startTime": "2026-11-23T10:00:00Z",
    "completionTime": "2026-11-23T10:01:00Z",
}


@pytest.fixture(autouse=True)
def leader(webhook, controllers: Controllers) -> None:
    controllers.leader()


@pytest.fixture
def done(leader, space: Kubectl) -> Object:
    """Backup `nightly`, over and marked."""
    space.apply(repository("hippo"), backup("nightly"))
    space.run("patch", "pgb", "nightly", "--subresource=status", "--type=merge", "-p", json.dumps({"status": STATUS}))
    yield marked(space)
    space.delete("pgb", "nightly")


def marked(space: Kubectl) -> Object:
    return space.until("pgb", "nightly", records.text_of, "is marked", 20)


REWRITES = {
    "applied again": ("apply", "-f", "-"),
    "applied by the server": ("apply", "--server-side", "--force-conflicts", "-f", "-"),
    "replaced": ("replace", "-f", "-"),
}


@pytest.mark.parametrize("how", REWRITES.values(), ids=REWRITES)
def test_its_manifest_written_over_it_leaves_the_mark(done: Object, space: Kubectl, how: tuple[str, ...]):
    assert records.mark_of(done).uid == done["metadata"]["uid"]
    space.run(*how, stdin=yaml.safe_dump(backup("nightly")))
    after = marked(space)
    assert records.text_of(after) == records.text_of(done)
    assert after["status"] == done["status"]


def test_from_a_dump_it_is_a_record_again_and_again(done: Object, space: Kubectl):
    for _ in range(2):
        dump = space.run("get", "pgb", "nightly", "-o", "yaml").stdout
        space.delete("pgb", "nightly")
        told = space.run("apply", "-f", "-", stdin=dump).stderr
        assert "Warning: this is the record of an earlier Backup of this name, which is not run again." in told
        status = space.until("pgb", "nightly", OVER, "is over", 20)["status"]
        assert (status["phase"], status["reason"], status["label"]) == ("Completed", "Record", STATUS["label"])
        assert done["metadata"]["uid"] in status["message"]


def test_a_mark_that_kubectl_takes_away_is_put_back(done: Object, space: Kubectl):
    """Applied with its mark once, and without it then: kubectl removes what it had applied."""
    bare = backup("nightly")
    with_mark = bare | {"metadata": {"name": "nightly", "annotations": {names.ANNOTATION_DONE: records.text_of(done)}}}
    space.delete("pgb", "nightly")
    space.apply(with_mark)
    was = space.until("pgb", "nightly", OVER, "is over", 20)["status"]
    space.apply(bare)
    again = marked(space)
    assert (again["status"], records.mark_of(again).label) == (was, STATUS["label"])


@pytest.mark.parametrize("kind", ["Backup", "Restore"])
def test_it_comes_back_before_its_repository_does(leader, space: Kubectl, kind: str):
    mark = records.Mark(uid="u", name="early", phase="Completed", label="20261123-100000F")
    obj = backup("early") | {"kind": kind, "spec": {"repository": "not-there"}}
    obj["metadata"]["annotations"] = {names.ANNOTATION_DONE: mark.dump()}
    space.apply(obj)
    status = space.until({"Backup": "pgb", "Restore": "pgr"}[kind], "early", OVER, "is over", 20)["status"]
    assert (status["phase"], status["reason"]) == ("Completed", "Record")
    space.delete({"Backup": "pgb", "Restore": "pgr"}[kind], "early")
