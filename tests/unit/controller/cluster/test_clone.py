"""A cluster that begins as a copy: when it is begun, how its end is read, and what is made for it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from controller import patroni
from controller.cluster import clone, instance, report, scripts
from controller.cluster.actions import Clone, EndClone, KeepClone, Make
from controller.cluster.clone import Source
from controller.cluster.decide import decide
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.pgbackrest.info import BackupSet, Database, Info, RepoStatus

from .conftest import ended_pod, facts, spec
from .conftest import instance as member

SOURCE = {"repository": "rhino"}
SETTINGS = Settings(*[""] * 7, validating_webhook="", defaults=None, http_port=0, lease="")  # type: ignore[arg-type]


def info(*stops: datetime) -> Info:
    """What `pgbackrest info` says of the source, with a full backup for each of *stops*."""
    size = {"database_size": 1, "database_delta": 1, "repository_delta": 1}
    sets = [BackupSet(label="F", type="full", repo=1, database_id=1, start=at, stop=at, **size) for at in stops]
    repo = RepoStatus(repo=1, code=0, message="ok", cipher="none")
    return Info(stanza="rhino", code=0, message="ok", backups=tuple(sets), repos=(repo,))


def repository(latest: str = "2026-11-20T00:00:00Z", **given: Any) -> dict[str, Any]:
    window = [{"storage": "local", "repo": 1, "earliest": "2026-11-01T00:00:00Z", "latest": latest}]
    return {"metadata": {"name": "rhino", "namespace": "ns"}, "spec": given, "status": {"recoveryWindow": window}}


AWAY = RepoStatus(repo=1, code=99, message="[FileOpenError] unable to open", cipher="none")
GOOD = Source(repository(), info(datetime(2026, 11, 1, tzinfo=UTC)))
SIXTEEN = Database(repo=1, id=1, system_id="7", version="16")
#: The cluster's own Repository before the clone: it can be read, and is empty.
OWN = Source({"metadata": {"name": "hippo"}, "spec": {}})


def asked(*instances, source=GOOD, own=OWN, **data_source):
    wanted = spec(dataSource=SOURCE | data_source)
    return facts(*instances, spec=wanted, source=source, own=own, leader="", status={})


def test_it_is_begun_when_its_source_can_be_read():
    assert decide(asked()).action == Clone()


FULL = dataclasses.replace(OWN, info=info(datetime(2026, 11, 1, tzinfo=UTC)))
WAITING = {
    "the source is gone": ({"source": Source()}, "SourceMissing", "does not exist"),
    "the source is of another namespace and does not allow it": (
        {"source": Source(repository() | {"metadata": {"name": "rhino", "namespace": "other"}}), "namespace": "other"},
        "NotAllowed", "cloneableFrom",
    ),
    "its host does not answer": ({"source": Source(repository(), error="it is down")}, "SourceNotReachable", "it is down"),
    "it holds no backup": ({"source": Source(repository(), info())}, "NoBackup", "holds no backup"),
    "its storage cannot be read": (
        {"source": Source(repository(), msgspec.structs.replace(info(), repos=(AWAY,)))}, "StorageNotReadable", "storage local: ",
    ),
    "its set is of another major version": (
        {"source": Source(repository(), msgspec.structs.replace(GOOD.info, databases=(SIXTEEN,)))}, "SetOfOtherVersion",
        "Repository rhino: backup set F is of PostgreSQL 16, and spec.postgresVersion is 17",
    ),
    "the target is before its oldest backup": (
        {"target": {"time": "2026-10-01T00:00:00Z"}}, "TargetTooEarly", "spec.dataSource.target.time",
    ),
    "the target is not archived yet": (
        {"target": {"time": "2026-11-20T00:00:01Z"}}, "TargetNotArchived", "archived up to 2026-11-20T00:00:00Z",
    ),
    "its own Repository is not there yet": ({"own": Source()}, "RepositoryNotReachable", "its Repository"),
    "its own Repository holds a backup": ({"own": FULL}, "RepositoryNotEmpty", "hippo-pgbackrest-repo"),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITING)
def test_nothing_is_made_while(case):
    given, reason, words = WAITING[case]
    found = asked(**given)
    decision = decide(found)
    assert decision.action is None
    assert words in decision.message
    condition = told(found)
    assert (condition["status"], condition["reason"]) == ("False", reason)
    assert words in condition["message"]


def told(found):
    status = report.status(found, decide(found))
    return next(one for one in status["conditions"] if one["type"] == "DataSource")


def ended(message: str, restarts: int = 1):
    return dataclasses.replace(member(1, "", ready=False), pod=ended_pod(message, restarts))


FATAL = "clone: recovery (1): FATAL:  recovery ended before configured recovery target was reached"
ENDS = {
    "still at work": (member(1, "", ready=False), "Cloning", "restores and recovers"),
    "a repository that was away": (
        ended("clone: restore 124 (4): ERROR: [124]: unable to connect"), "Cloning", "attempt 2; the last one ended: pgbackrest",
    ),
    "a repository host that nobody answers at for hours": (
        ended("clone: restore 49 (0): ERROR: [049]: timeout connecting to 'rhino-pgbackrest'", 20), "Cloning", "attempt 21; the",
    ),
    "a repository that answers with errors for the fifth time": (
        ended("clone: restore 124 (5): ERROR: [124]: no route"), "CloneFailed", "no route",
    ),
    "an error after it was away for hours": (
        ended("clone: restore 124 (1): ERROR: [124]: no route", 40), "Cloning", "attempt 41; the last one ended: pgbackrest",
    ),
    "too little memory, which more of it would end": (ended("", 5), "Cloning", "its container ended (OOMKilled, exit code 1)"),
    "a target that was never reached": (ended(FATAL), "CloneFailed", "recovery ended before configured"),
    "an image that lacks something": (
        ended("clone: needs (1): library pgaudit (shared_preload_libraries)"), "CloneFailed", "nothing was copied, because the image lacks",
    ),
    "a backup that is not there": (ended("clone: restore 75 (1): ERROR: [075]: no backup set"), "CloneFailed", "no backup set"),
    "WAL that could not be fetched": (
        ended('clone: recovery (1): FATAL:  could not restore file "0" from archive: x'), "Cloning", "could not restore file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_how_it_goes_is_told_in_their_own_words(case):
    one, reason, words = ENDS[case]
    found = asked(one)
    assert told(found)["reason"] == reason
    assert words in told(found)["message"]
    assert report.status(found, decide(found))["phase"] == ("Failed" if reason == "CloneFailed" else "Creating")
    assert decide(found).action == (None if reason == "CloneFailed" else KeepClone())


def test_the_pod_of_an_earlier_cluster_of_the_name_is_no_attempt_of_this_one():
    one = ended(FATAL, 7)
    one.pod["metadata"]["deletionTimestamp"] = "2026-11-23T11:59:00Z"
    assert told(asked(one))["reason"] == "Cloning"


def marked(found, reason):
    status = {"conditions": [{"type": "DataSource", "status": "False", "reason": reason, "message": "it broke"}]}
    return dataclasses.replace(found, cluster=found.cluster | {"status": status})


def test_what_there_is_of_a_failed_clone_is_removed_and_it_is_not_tried_again():
    one = ended(FATAL)
    assert decide(marked(asked(one), "CloneFailed")).action == EndClone(one)
    after = marked(asked(), "CloneFailed")
    assert decide(after).action is None
    assert decide(after).message == "it broke"
    assert report.status(after, decide(after))["phase"] == "Failed"


def test_a_clone_with_a_primary_reads_its_source_no_more():
    done = facts(member(1, "primary"), spec=spec(dataSource=SOURCE, replicas=1), status={})
    assert decide(done).action == EndClone()
    assert told(done)["reason"] == "Cloned"
    assert decide(marked(done, "Cloned")).action is None


def test_an_instance_that_is_out_of_date_is_renewed_while_it_clones():
    assert decide(asked(member(1, "", ready=False, digest="old"))).action == Make(1)


def test_an_access_key_that_a_service_repeats_is_not_told():
    said = clone.attempt(ended("clone: restore 39 (1): ERROR: [039]: Credential=AKIA1/x refused").pod)
    assert "AKIA1" not in said.message


# --- what is made --------------------------------------------------------------------------------------------------


def test_patroni_takes_the_restored_folder_and_the_clone_archives_to_its_own_repository():
    wanted = spec(dataSource=SOURCE)
    bootstrap = json.loads(patroni.bootstrap("hippo", wanted, copy=True))["bootstrap"]
    assert bootstrap["method"] == "clone"
    assert bootstrap["clone"]["command"].rpartition("/")[2] in scripts.files("hippo", wanted)
    assert "initdb" not in bootstrap
    assert "--stanza=hippo" in bootstrap["dcs"]["postgresql"]["parameters"]["archive_command"]


def test_the_scripts_read_the_source_by_its_own_configuration_alone(tmp_path):
    moment = {"time": "2026-11-15T10:00:00Z"}
    wanted = spec(dataSource=SOURCE | {"target": moment, "set": "F", "options": ["--db-include=mine"]})
    made = scripts.files("hippo", wanted)
    lines = [line for line in made["clone.sh"].splitlines() if line.strip().startswith(names.PGBACKREST)]
    assert len(lines) == 1
    for part in (
        "--stanza=rhino",
        names.CLONE_CONF_FILE,
        "'--target=2026-11-15 10:00:00+00'",
        "--set=F",
        "--db-include=mine",
    ):
        assert part in lines[0]
    assert names.CONF_FILE not in made["clone.sh"].replace(names.CLONE_CONF_FILE, "")
    assert "clone.sh" in made["begin.sh"]
    for name, text in made.items():
        path = tmp_path / name
        path.write_text(text)
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0


@pytest.mark.parametrize(
    ("said", "signal", "written"),
    [
        (
            "2026-11-23 17:52:21.000 P00   INFO: repo2: restore backup set 20261123-175221F, recovery will",
            "",
            "--repo=2\n",
        ),
        ("P00   INFO: restore command end: completed successfully", "", ""),
        ("P00   INFO: repo2: restore backup set 20261123-175221F", None, None),
    ],
    ids=["named", "of no storage", "no recovery"],
)
def test_recovery_waits_for_the_storage_that_the_clone_was_restored_from(tmp_path, said, signal, written):
    lines = scripts.files("hippo", spec(dataSource=SOURCE))["clone.sh"].splitlines()
    own = [line for line in lines if "repo=$" in line]
    assert len(own) == 2
    log, path = tmp_path / "log", tmp_path / "recovery.signal"
    log.write_text(f"P00   INFO: restore command begin 2.60: --repo1-host=a\n{said}\n")
    if signal is not None:
        path.write_text(signal)
    subprocess.run(["sh", "-euc", f"log={log} clone={tmp_path}\n" + "\n".join(own)], check=True)
    assert (path.read_text() if path.exists() else None) == written


@pytest.mark.parametrize("name", ["take-clone.sh", "after-bootstrap.sh", "replica.sh"])
def test_what_patroni_calls_uses_no_variable_that_patroni_keeps_to_itself(name):
    assert "PATRONI_" not in scripts.files("hippo", spec(dataSource=SOURCE))[name]


def test_a_cluster_that_is_no_copy_has_none_of_it():
    made = scripts.files("hippo", spec())
    assert "clone.sh" not in made
    assert "clone" not in made["begin.sh"] + made["stop.sh"]


def test_the_end_of_cloning_restarts_nothing():
    """The volume of the source stays in the template, of an instance that may read it and of all others."""
    wanted = spec(dataSource=SOURCE)
    cluster = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}, "kind": "PostgresCluster"}
    pods = [instance.deployment(cluster, wanted, SETTINGS, n, "")["spec"]["template"]["spec"] for n in (1, 2)]
    volumes = [[one for one in pod["volumes"] if one["name"] == "source"] for pod in pods]
    assert volumes[0] == volumes[1]
    assert volumes[0][0]["secret"]["optional"] is True
