"""restore and undo on the command line: the resource, the prompt that is true, and the plan that changes nothing."""

from __future__ import annotations

import json

import pytest
import yaml

from pgwarden.api import names
from pgwarden.cli import data_loss, prospect
from pgwarden.cli.prospect import Around
from tests.unit.cli.conftest import NOW

STOPPED = "2026-11-23T10:00:00Z"
FACTS = {
    "container": "postgres", "dataDirectory": "/data", "port": 5432, "socketDirectory": "/run", "user": "postgres",
    "database": "postgres", "runAsUser": 999, "runAsGroup": 999, "configuredBy": "Arguments", "dataVolume": "pgdata",
}  # fmt: skip

SPECS = {
    "nothing else": ((), {}),
    "a larger volume of another class": (
        ("--pvc-size=50Gi", "--storage-class=fast"),
        {"newVolume": {"size": "50Gi", "storageClassName": "fast"}},
    ),
    "autofail on afterwards": (("--reenable-autofail",), {"reenableAutofail": True}),
    "how long it may stand still": (("--recovery-timeout=7200",), {"recoveryTimeoutSeconds": 7200}),
    "no way back": (("--delete-old-volume",), {"keepOldVolume": False}),
    "from one storage": (("--pgbackrest-storage-type=s3",), {"storage": "s3"}),
    "with an option": (("--backup-opts=--process-max=4",), {"options": ["--process-max=4"]}),
}


@pytest.mark.parametrize(("words", "spec"), SPECS.values(), ids=SPECS)
def test_restore_and_undo_take_what_a_restore_in_place_may_be_told(run, words, spec):
    for command in (("restore", "hippo"), ("undo", "back", "--repository=hippo")):
        outcome = run(*command, *words, "--dry-run")
        assert outcome.code == 0, outcome.err
        undo = {"undo": "back"} if command[0] == "undo" else {}
        assert yaml.safe_load(outcome.out)["spec"] == {"repository": "hippo"} | undo | spec


def test_an_undo_is_named_after_what_it_undoes(run):
    made = yaml.safe_load(run("undo", "back", "--repository=hippo", "--dry-run").out)
    assert made["metadata"]["name"] == "back-undo"
    long = yaml.safe_load(run("undo", "b" * 63, "--repository=hippo", "--dry-run").out)
    assert len(long["metadata"]["name"]) <= 63


@pytest.mark.parametrize("other", ["--dry-run", "--wait"])
def test_a_plan_is_not_combined_with_what_it_rules_out(run, other):
    outcome = run("restore", "hippo", "--plan", other)
    assert (outcome.code, "--plan and" in outcome.err) == (2, True)


@pytest.mark.parametrize("value", ["1", "99999999"])
def test_a_standstill_out_of_bounds_is_refused_before_anything_is_asked(run, value):
    outcome = run("restore", "hippo", f"--recovery-timeout={value}", "--dry-run")
    assert outcome.code == 1
    assert "spec.recoveryTimeoutSeconds" in outcome.err


# --- what is said before the question ------------------------------------------------------------------------------


def around(*restores, claims=("data-postgres-0",), pods=True, backups=()) -> Around:
    volume = {"name": "pgdata", "persistentVolumeClaim": {"claimName": "data-postgres-0"}}
    annotations = {names.ANNOTATION_POSTGRES: json.dumps(FACTS)}
    pod = {"metadata": {"name": "hippo-0", "annotations": annotations}, "spec": {"volumes": [volume]}}
    size = {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    return Around(restores, backups, [pod] if pods else [], dict.fromkeys(claims, size))


@pytest.fixture
def told(make, healthy):
    """What is said of a Restore `rewind`."""

    def call(there: Around, cluster=None, **spec) -> str:
        restore = make("Restore", "rewind", repository="hippo", **spec)
        repository = make("Repository", "hippo", status=healthy, storageType="local")
        return "\n".join(data_loss.of_restore(restore, repository, NOW, cluster, there))

    return call


@pytest.fixture
def back(make):
    """The Restore that is undone: it stopped PostgreSQL on timeline 1."""
    status = {
        "phase": "Completed",
        "timelineBefore": 1,
        "timeline": 2,
        "stoppedTime": STOPPED,
        "lsnBefore": "0/C000000",
    }
    return make("Restore", "back", repository="hippo", status=status)


def test_an_undo_says_that_everything_since_is_lost(told, back):
    text = told(around(back), undo="back")
    assert "back to just before Restore back stopped it at 2026-11-23 10:00:00Z." in text
    assert "EVERYTHING committed since Restore back stopped PostgreSQL at 2026-11-23 10:00:00Z (2 h ago)" in text
    assert "_20261105-000000D (diff, storage local" in text
    assert "then replays about 4 WAL segments (64.0 MiB)" in text


def test_an_undo_of_a_restore_that_is_gone_is_told_by_its_backup(told):
    marks = {names.ANNOTATION_TIMELINE_BEFORE: "1", names.ANNOTATION_STOPPED: STOPPED}
    backup = {"metadata": {"labels": {names.LABEL_RESTORE: "back"}, "annotations": marks}}
    assert "stopped PostgreSQL at 2026-11-23 10:00:00Z" in told(around(backups=[backup]), undo="back")
    unknown = told(around(), undo="back")
    assert "EVERYTHING committed since Restore back stopped PostgreSQL, by whomever" in unknown
    assert "begins with: a backup set that is found when the Restore begins" in unknown


KEPT = {
    "its name": (around(), "kept as claim data-postgres-0-before-rewind\n"),
    "one that an earlier one of this name has not taken": (
        around(claims=("data-postgres-0", "data-postgres-0-before-rewind")),
        "kept as claim data-postgres-0-before-rewind-2\n",
    ),
    "not known": (around(pods=False), "kept in a claim that status.keptClaim of Restore rewind will name\n"),
}


@pytest.mark.parametrize(("there", "said"), KEPT.values(), ids=KEPT)
def test_the_claim_that_keeps_the_old_data_is_named_as_it_will_be(told, there, said):
    text = told(there)
    assert said in text
    assert "to undo it: kubectl pgwarden undo rewind" in text


def test_without_the_old_volume_no_undo_from_it_is_promised(told):
    text = told(around(), keepOldVolume=False)
    assert "DELETED once the restore has succeeded" in text


def test_a_volume_that_is_too_small_is_told_with_the_way_out(told):
    assert "which has 1.0 GiB" in told(around())
    assert "TOO SMALL; give a larger one with --pvc-size" in told(around(), newVolume={"size": "1Mi"})


def test_the_time_is_by_the_restores_before(told, make):
    assert "takes:       not known: no restore of this Repository has measured it yet" in told(around())
    listed = [
        {"type": kind, "status": "True", "lastTransitionTime": f"2026-11-20T10:00:{second:02}Z"}
        for kind, second in (("VolumeReady", 0), ("Restored", 10), ("Replayed", 20))
    ]
    recovery = {"copiedBytes": 23422072, "segments": 7}
    status = {"phase": "Completed", "conditions": listed, "recovery": recovery, "timeline": 2}
    earlier = make("Restore", "earlier", repository="hippo", status=status)
    assert "takes:       about 13 s until PostgreSQL is stopped, by 1 earlier restore" in told(around(earlier))


def test_into_a_claim_of_its_own_nothing_is_lost(told):
    text = told(around(), volumeClaim="look")
    assert "into a new claim look." in text
    assert "lost:        nothing: claim look is filled" in text
    assert "old data" not in text


AUTOFAIL = {"off": ({}, "autofail stays off"), "on again": ({"reenableAutofail": True}, "then autofail is turned on")}


@pytest.mark.parametrize(("spec", "said"), AUTOFAIL.values(), ids=AUTOFAIL)
def test_of_a_cluster_it_says_what_becomes_of_autofail(told, make, spec, said):
    cluster = make("PostgresCluster", "hippo", instances={"replicas": 2})
    assert said in told(around(), cluster, **spec)


def test_the_plan_for_programs_is_as_the_status_will_be(make, healthy, back):
    restore = make("Restore", "rewind", repository="hippo", undo="back")
    repository = make("Repository", "hippo", status=healthy, storageType="local")
    found = prospect.of(restore, repository, NOW, around(back)).json()
    assert (found["claim"], found["newClaim"], found["keptClaim"]) == (
        "data-postgres-0",
        "rewind-restored",
        "data-postgres-0-before-rewind",
    )
    assert found["forecast"]["targetTimeline"] == "1"
    assert found["forecast"]["lostSince"] == STOPPED
    assert found["forecast"]["set"].endswith("_20261105-000000D")
