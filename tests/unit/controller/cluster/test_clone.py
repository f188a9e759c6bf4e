"""A cluster that begins as a copy: when it is begun, how its end is read, and what is made for it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller import patroni
from controller.cluster import clone, instance, report, scripts
from controller.cluster.actions import Clone, EndClone, EndPod, KeepClone, Make, RepeatClone, TakeClone
from controller.cluster.clone import Source
from controller.cluster.decide import decide
from controller.recovery.progress import Seen
from controller.settings import Settings
from pgwarden.api.kinds import DataSource
from pgwarden.contract.recovery import Recovery
from pgwarden.pgbackrest.info import BackupSet, Database, Info, RepoStatus
from tests.unit.controller import beside

from .conftest import claim, facts, filling, spec
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


def asked(*instances, source=GOOD, own=OWN, system_identifier="7", **data_source):
    wanted = spec(dataSource=SOURCE | data_source)
    given = {"source": source, "own": own, "leader": "", "status": {}, "system_identifier": system_identifier}
    return facts(*instances, spec=wanted, **given)


def test_it_is_begun_when_its_source_can_be_read():
    assert decide(asked()).action == Clone()


BACK = {
    "metadata": {"name": "back", "namespace": "ns"},
    "spec": {"repository": "rhino", "target": {"time": "2026-11-14T00:00:00Z"}},
    "status": {
        "timelineBefore": 1, "timeline": 2, "stoppedTime": "2026-11-16T00:00:00Z", "recoveredTo": "2026-11-14T00:00:00Z",
        "conditions": [{"type": "Started", "status": "True"}],
    },
}  # fmt: skip
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
    "its bucket held nothing at that time": (
        {"source": Source(repository(), info()), "repoTargetTime": "2026-11-15T00:00:00Z"},
        "NoBackup", "spec.dataSource.repoTargetTime: the Repository held no backup at 2026-11-15T00:00:00Z",
    ),
    "a Restore has taken the target's time back": (
        {"source": dataclasses.replace(GOOD, restores=(BACK,)), "target": {"time": "2026-11-15T00:00:00Z"}},
        "TimeTakenBack", "Repository rhino: the target's time was taken back by Restore back",
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


#: Seconds for which the source has archived nothing; how far the target is behind what it has archived: the clone begins.
SECONDS = {
    "it archives still": (59, 0.5, False),
    "it is quiet": (61, 0.5, True),
    "it is quiet, and the target is at the end": (61, 0.0, True),
    "it archives still, and the target is at the end": (1, 0.0, True),
    "it is quiet, and the target is later": (3600, 1.0, False),
}


@pytest.mark.parametrize(("quiet", "later", "begins"), SECONDS.values(), ids=SECONDS)
def test_a_quiet_source_has_archived_the_whole_of_its_last_second(quiet, later, begins):
    """Its status has whole seconds: a target within the last one was waited for as long as nothing was written."""
    latest = asked().now - timedelta(seconds=quiet)
    source = dataclasses.replace(GOOD, repository=repository(latest.strftime("%Y-%m-%dT%H:%M:%SZ")))
    found = asked(source=source, target={"time": (latest + timedelta(seconds=later)).isoformat()})
    assert (told(found)["reason"] != "TargetNotArchived") is begins


def told(found):
    status = report.status(found, decide(found))
    return next(one for one in status["conditions"] if one["type"] == "DataSource")


def at_work(seen, *instances, **given):
    """A clone whose first volume is being filled."""
    return dataclasses.replace(asked(*instances, source=None, **given), filling=seen, claim=claim(), own=None)


AWAY_FOR_HOURS = {"ok": False, "exit_code": 49, "error": "ERROR: [049]: timeout connecting to 'rhino-pgbackrest'"}
HOLE = {
    "ok": False,
    "reason": "MissingSegment",
    "error": "000000010000000000000004 is missing in the archive; restore to a moment before it (spec.target)",
}
LACKS = {"ok": False, "reason": "LibraryMissing", "error": "nothing was copied, because the image lacks x"}
REPLAYING = Recovery(
    phase="Replaying", set="F", segment="000000010000000000000004", remaining=3, rate=1.0, log=("redo",)
)
STILL = msgspec.structs.replace(REPLAYING, advanced="2026-11-23T11:50:00Z")
NO_ANSWER = msgspec.structs.replace(REPLAYING, reason="StorageNotReadable", message="the archive cannot be looked at")
ENDS = {
    "just begun": (filling(), "Cloning", "Job hippo-recovery runs", KeepClone),
    "at work": (filling(said=REPLAYING), "Cloning", "up to segment 000000010000000000000004; 3 segments left", KeepClone),
    "at a standstill": (filling(said=STILL), "Cloning", "it has not advanced for 10 min", KeepClone),
    "an archive that does not answer": (filling(said=NO_ANSWER), "Cloning", "the archive cannot be looked at", KeepClone),
    "an attempt that failed": (filling(ok=False, error="no room", exit_code=39), "Cloning", "is starting", KeepClone),
    "a host that nobody answers at for hours": (
        filling("Failed", **AWAY_FOR_HOURS), "Cloning", "begun again, as ERROR: [049]", RepeatClone,
    ),
    "killed again and again": (filling("Failed"), "Cloning", "begun again, as Job hippo-recovery failed", RepeatClone),
    "a repository that answers with errors each time": (
        filling("Failed", ok=False, exit_code=124, error="ERROR: [124]: no route"), "CloneFailed", "RestoreFailed: ERROR: [124]: no", None,
    ),
    "a hole": (filling(**HOLE), "CloneFailed", "MissingSegment: 000000010000000000000004 is missing", None),
    "an image that lacks something": (filling(**LACKS), "CloneFailed", "LibraryMissing: nothing was copied", None),
    "a backup that is not there": (
        filling(ok=False, exit_code=75, error="ERROR: [075]: no backup set"), "CloneFailed", "no backup set", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_how_it_goes_is_told_in_the_engines_words(case):
    seen, reason, words, action = ENDS[case]
    found = at_work(seen)
    assert told(found)["reason"] == reason
    assert words in told(found)["message"]
    assert report.status(found, decide(found))["phase"] == ("Failed" if reason == "CloneFailed" else "Creating")
    assert type(decide(found).action) is (action or type(None))


def test_a_clone_whose_source_takes_back_what_allowed_it_ends():
    found = dataclasses.replace(at_work(filling(said=REPLAYING)), no_longer_allowed="NotAllowed: it was taken back")
    assert decide(found).action is None
    assert (told(found)["reason"], told(found)["message"]) == (
        "CloneFailed", "cloning Repository rhino: NotAllowed: it was taken back",
    )  # fmt: skip
    assert report.status(found, decide(found))["phase"] == "Failed"


def test_what_the_clone_was_given_and_keeps_is_named():
    secret = {"bucket": "b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "keys"}}
    given = {"storageType": "local,s3", "s3": secret, "encryption": {"secretRef": {"name": "pass"}}}
    wanted = msgspec.convert(SOURCE | {"namespace": "apps"}, DataSource)
    there = repository(**given) | {"metadata": {"name": "rhino", "namespace": "apps"}}

    text = clone.no_longer_allowed(wanted, "ns", there)

    assert text.startswith("NotAllowed: Repository rhino of namespace apps no longer allows clones into namespace ns ")
    assert "the keys of Secret keys (spec.s3.credentialsSecretRef): they stay valid until they are rotated" in text
    assert "the passphrase of Secret pass (spec.encryption.secretRef)" in text
    there["spec"]["s3"] = secret | {"podCredentialsSecretRef": {"name": "pods"}}
    less = clone.no_longer_allowed(wanted, "ns", there)
    assert "the keys of Secret pods (spec.s3.podCredentialsSecretRef): they stay valid" in less
    assert "Secret keys" not in less
    there["spec"]["s3"] |= {"cloneCredentialsSecretRef": {"name": "read"}}
    least = clone.no_longer_allowed(wanted, "ns", there)
    assert "the keys of Secret read (spec.s3.cloneCredentialsSecretRef): they stay valid" in least
    assert "Secret pods" not in least
    there["spec"]["s3"] = secret
    local = msgspec.structs.replace(wanted, storage="local")
    assert "Secret keys" not in clone.no_longer_allowed(local, "ns", there)
    there["spec"]["cloneableFrom"] = ["ns"]
    assert clone.no_longer_allowed(wanted, "ns", there) == ""


def test_a_failure_names_the_way_out_by_the_fields_of_this_kind():
    assert (
        "a moment before it (spec.dataSource.target); the source is unchanged"
        in told(at_work(filling(**HOLE)))["message"]
    )
    assert "Name an image in spec.image that has it" in told(at_work(filling(**LACKS)))["message"]


def test_the_status_shows_how_the_recovery_stands_and_why_it_failed():
    before = {"phase": "Copying", "set": "F"}

    def shown(found, **status):
        found = dataclasses.replace(found, cluster=found.cluster | {"status": status})
        return report.status(found, decide(found))["recovery"]

    assert shown(at_work(filling(said=REPLAYING)))["segment"] == "000000010000000000000004"
    assert shown(at_work(filling(said=REPLAYING)))["log"] == ["redo"]
    assert shown(at_work(filling()), recovery=before) == before  # its agent has not answered once
    failed = shown(at_work(filling(**HOLE)), recovery=before)
    assert failed == before | {"reason": "MissingSegment", "message": HOLE["error"]}
    over = [{"type": "DataSource", "status": "False", "reason": "CloneFailed", "message": "it broke"}]
    assert shown(asked(), recovery=failed, conditions=over) == failed
    assert shown(facts(member(1, "primary"), spec=spec(dataSource=SOURCE, replicas=1)), recovery=before) is None


DONE = filling("Complete", ok=True, timeline=2, reached="2026-11-23T11:00:00Z", note="all of it is there")
CAME = "PostgreSQL recovered to 2026-11-23T11:00:00Z; all of it is there"


def test_the_first_instance_is_made_once_its_volume_is_filled_and_what_came_of_it_is_kept():
    assert decide(at_work(DONE)).action == TakeClone(CAME)
    filled = dataclasses.replace(at_work(DONE), claim=claim(filled=CAME))
    assert decide(filled).action == Make(1)  # ended after the note
    made = dataclasses.replace(filled, instances=(member(1, "", ready=False),))
    assert decide(made).action == KeepClone()
    assert told(made)["reason"] == "Cloning"
    older = dataclasses.replace(filled, instances=(member(1, "", ready=False, digest="old"),))
    assert decide(older).action == Make(1)
    over = facts(member(1, "primary"), spec=spec(dataSource=SOURCE, replicas=1), claim=claim(filled=CAME))
    assert told(over)["message"] == f"it was cloned from Repository rhino; {CAME}"


def test_a_volume_that_is_deleted_while_it_is_filled_is_filled_anew():
    lost = dataclasses.replace(asked(), filling=filling())
    assert isinstance(decide(lost).action, RepeatClone)
    assert decide(dataclasses.replace(asked(), claim=claim())).action == Clone()  # its Job is gone
    gone = dataclasses.replace(asked(source=Source()), claim=claim())
    assert "does not exist" in decide(gone).message


def test_a_clone_that_an_earlier_version_has_begun_is_begun_anew_unless_patroni_has_it():
    one = member(1, "", ready=False)
    found = dataclasses.replace(asked(one, source=None, system_identifier=""), claim=claim())
    assert decide(found).action == EndClone(remove=True, instance=one)
    assert told(found)["reason"] == "Cloning"
    bootstrapped = dataclasses.replace(asked(one, source=None), claim=claim())
    assert decide(bootstrapped).action == KeepClone()


def marked(found, reason):
    status = {"conditions": [{"type": "DataSource", "status": "False", "reason": reason, "message": "it broke"}]}
    return dataclasses.replace(found, cluster=found.cluster | {"status": status})


def test_what_there_is_of_a_failed_clone_is_removed_and_it_is_not_tried_again():
    assert decide(marked(at_work(filling(**HOLE)), "CloneFailed")).action == EndClone(remove=True)
    one = member(1, "", ready=False)
    assert decide(marked(asked(one), "CloneFailed")).action == EndClone(remove=True, instance=one)
    after = marked(asked(), "CloneFailed")
    assert decide(after).action is None
    assert decide(after).message == "it broke"
    assert report.status(after, decide(after))["phase"] == "Failed"


def test_a_clone_with_a_primary_reads_its_source_no_more():
    done = facts(member(1, "primary"), spec=spec(dataSource=SOURCE, replicas=1), status={})
    assert decide(done).action == EndClone()
    assert told(done)["reason"] == "Cloned"
    assert decide(marked(done, "Cloned")).action is None


# --- what is made --------------------------------------------------------------------------------------------------


def test_patroni_takes_the_restored_folder_and_the_clone_archives_to_its_own_repository():
    wanted = spec(dataSource=SOURCE)
    bootstrap = json.loads(patroni.bootstrap("hippo", wanted, copy=True))["bootstrap"]
    assert bootstrap["method"] == "clone"
    assert bootstrap["clone"]["command"].rpartition("/")[2] in scripts.files("hippo", wanted)
    assert "initdb" not in bootstrap
    assert "--stanza=hippo" in bootstrap["dcs"]["postgresql"]["parameters"]["archive_command"]


@pytest.mark.parametrize("name", ["take-clone.sh", "after-bootstrap.sh", "replica.sh"])
def test_what_patroni_calls_uses_no_variable_that_patroni_keeps_to_itself(name):
    assert "PATRONI_" not in scripts.files("hippo", spec(dataSource=SOURCE))[name]


def test_a_cluster_that_begins_empty_has_none_of_it():
    assert "take-clone.sh" not in scripts.files("hippo", spec())


def test_the_scripts_are_ones_that_a_shell_can_read(tmp_path):
    for name, text in scripts.files("hippo", spec(dataSource=SOURCE)).items():
        if not name.endswith(".sh"):
            continue
        path = tmp_path / name
        path.write_text(text)
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0


def test_nothing_of_its_source_is_in_a_clones_pods():
    """The end of cloning restarts nothing."""
    cluster = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}, "kind": "PostgresCluster"}
    assert instance.digest(cluster, spec(dataSource=SOURCE), SETTINGS) == instance.digest(cluster, spec(), SETTINGS)


def test_a_pod_of_the_recovery_that_failed_beside_a_mesh_proxy_is_deleted_and_the_job_tries_again():
    left = {"ok": False, "error": "ERROR: [039]: no room", "exitCode": 39}
    seen = Seen(beside.job(own="postgres"), (beside.pod(1, left, own="postgres"),))
    found = decide(at_work(seen))
    assert isinstance(found.action, EndPod)
    assert found.action.pod["metadata"]["uid"] == "p"
    assert "runs again; the last attempt failed: ERROR: [039]: no room (container proxy kept its pod)" in found.message
