"""What a new PostgresCluster does with what its Repository holds of an earlier one: nothing, or it begins with that."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller.cluster import beginning, instance, render, report
from controller.cluster.actions import BackUp, Clone, EndClone, KeepClone, Make
from controller.cluster.beginning import Origin
from controller.cluster.clone import Source
from controller.cluster.decide import decide
from controller.recovery.hindrance import Hindrance
from pgwarden.api import names
from pgwarden.contract.calls import NewestWal
from pgwarden.pgbackrest.info import Archive, BackupSet, Database, Info, RepoStatus

from .conftest import NOW, claim, facts, filling, spec
from .conftest import instance as member
from .test_clone import SETTINGS

SYSTEM = "7100000000000000001"
EARLIER = datetime(2026, 11, 20, 10, tzinfo=UTC)
LOCAL, BOTH = {"storageType": "local"}, {"storageType": "local,s3", "s3": {"bucket": "b"}}
RECOVER = {"onExistingBackups": "Recover"}


def repo(number: int = 1, code: int = 0, message: str = "ok") -> RepoStatus:
    return RepoStatus(repo=number, code=code, message=message, cipher="none")


def holds(*, backups: bool = True, **given: Any) -> Info:
    """The stanza of an earlier cluster: with a full backup, or with nothing but its identity."""
    size = {"database_size": 1, "database_delta": 1, "repository_delta": 1}
    one = BackupSet(label="F", type="full", repo=1, database_id=1, start=EARLIER, stop=EARLIER, **size)
    values = {
        "backups": (one,) if backups else (),
        "databases": (Database(repo=1, id=1, system_id=SYSTEM, version="18"),),
        "repos": (repo(),),
    }
    return Info(stanza="hippo", code=0, message="ok", **(values | given))


QUIET = NewestWal(ok=True, wal="0" * 24, time="2026-11-23T11:50:00Z")
NOTHING = Info(stanza="hippo", code=1, message="missing stanza path", repos=(repo(code=1),))


def new(info: Info | None = None, error: str = "", wanted: Any = None, newest: NewestWal = QUIET, **repository: Any):
    """A PostgresCluster of which nothing has been made yet."""
    own = Source({"metadata": {"name": "hippo"}, "spec": LOCAL}, info, error, newest)
    told = msgspec.structs.replace(wanted or spec(), repository=LOCAL | repository)
    return facts(own=own, leader="", status={}, listed=[], spec=told)


def condition(found, kind):
    status = report.status(found, decide(found))
    return next((one for one in status["conditions"] if one["type"] == kind), None)


EMPTY = {"a host that knows no stanza": None, "a stanza that is in no storage": NOTHING}


@pytest.mark.parametrize("case", EMPTY)
def test_it_begins_at_once_over_an_empty_repository(case):
    assert decide(new(EMPTY[case])).action == Make(1)


WAL = Archive(repo=1, database_id=1, id="18-1", min="0" * 24, max="0" * 24)
HELD = {
    "a backup": holds(),
    "WAL alone": holds(backups=False, archives=(WAL,)),
    "an identity alone": holds(backups=False),
    "files without a catalogue": Info(stanza="hippo", code=3, message="missing stanza data", repos=(repo(code=3),)),
    "one that only the second storage has": holds(
        databases=(Database(repo=2, id=1, system_id=SYSTEM, version="18"),), repos=(repo(code=1), repo(2)), backups=False
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
@pytest.mark.parametrize("copied", [False, True], ids=["empty", "cloned"])
def test_nothing_is_made_over_what_an_earlier_cluster_has_left(case, copied):
    wanted = spec(dataSource={"repository": "rhino"}) if copied else spec()
    more = BOTH if "second" in case else {}
    found = new(HELD[case], wanted=wanted, **more)
    assert decide(found).action is None
    ready = condition(found, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RepositoryNotEmpty")
    assert report.status(found, decide(found))["phase"] == "Failed"


def test_the_refusal_names_what_is_there_and_both_ways_out():
    text = decide(new(holds(repos=(repo(), repo(2, 1))), **BOTH)).message
    for part in (
        SYSTEM,
        "2026-11-20T10:00:00Z",
        "spec.repository.onExistingBackups to Recover",
        "another name or another spec.repository.s3.path",
        "claim hippo-pgbackrest-repo and the folder in the bucket",
    ):
        assert part in text
    assert "s3" not in decide(new(holds())).message


UNREAD = {
    "its Repository is not there yet": dataclasses.replace(new(), own=Source()),
    "its Repository has not been looked at": dataclasses.replace(new(), own=None),
    "the host does not answer": new(error="connection refused"),
    "a storage cannot be read": new(holds(repos=(repo(code=99, message="[FileOpenError] no"),), backups=False)),
    "a storage is not known yet": new(NOTHING, **BOTH),
}


@pytest.mark.parametrize("case", UNREAD)
@pytest.mark.parametrize("asked", [{}, RECOVER], ids=["refuse", "recover"])
def test_nothing_is_made_before_it_is_known_what_is_there(case, asked):
    found = UNREAD[case]
    told = msgspec.structs.replace(found.spec, repository=found.spec.repository | asked)
    found = dataclasses.replace(found, spec=told)
    assert decide(found).action is None
    assert condition(found, "Ready")["reason"] == "RepositoryNotReachable"
    assert report.status(found, decide(found))["phase"] == "Creating"


# --- one field ----------------------------------------------------------------------------------------------------


def test_with_the_field_it_begins_with_what_is_there():
    found = new(holds(), **RECOVER)
    assert decide(found).action == Clone(own=True)
    assert condition(found, "DataSource")["reason"] == "Recovering"
    assert decide(new(NOTHING, **RECOVER)).action == Make(1)


def test_what_is_there_goes_before_what_it_was_once_cloned_from():
    assert decide(new(holds(), wanted=spec(dataSource={"repository": "rhino"}), **RECOVER)).action == Clone(own=True)


def test_without_a_backup_nothing_can_be_recovered_and_it_says_so():
    found = new(holds(backups=False), **RECOVER)
    assert decide(found).action is None
    assert "nothing can be recovered: the Repository holds no backup" in condition(found, "Ready")["message"]


ALIVE = {
    "WAL came a minute ago": (NewestWal(ok=True, time="2026-11-23T11:59:00Z"), "FormerOwnerArchives", "11:59:00Z"),
    "nobody can say when it came": (NewestWal(error="no such call"), "FormerOwnerUnknown", "no such call"),
    "nobody was asked": (None, "FormerOwnerUnknown", "cannot be told"),
}  # fmt: skip


@pytest.mark.parametrize("case", ALIVE)
def test_nothing_is_taken_over_from_who_may_still_archive_whatever_the_field_says(case):
    newest, reason, words = ALIVE[case]
    found = new(holds(), newest=newest, **RECOVER)
    assert decide(found).action is None
    ready = condition(found, "Ready")
    assert (ready["reason"], words in ready["message"]) == (reason, True)
    assert report.status(found, decide(found))["phase"] == "Creating"


def test_who_may_still_archive_is_named():
    named = msgspec.structs.replace(holds().backups[0], annotations={"pgwarden-repository": "shop/hippo"})
    found = new(_with(named), newest=ALIVE["WAL came a minute ago"][0], **RECOVER)
    assert f"PostgreSQL cluster {SYSTEM} (Repository shop/hippo)" in condition(found, "Ready")["message"]


def _with(*sets: BackupSet) -> Info:
    return msgspec.structs.replace(holds(), backups=sets)


def begun(*instances, origin: str = names.ORIGIN_OWN, filled: str = "", **given: Any):
    """What was chosen is on the claim: the Repository is not asked again, and the status may be lost."""
    own = new(**given)
    return dataclasses.replace(own, instances=instances, claim=claim(origin=origin, filled=filled), own=None)


def test_what_was_begun_goes_on_by_the_claim():
    one = member(1, "", ready=False)
    assert beginning.origin(begun(one)) is Origin.OWN
    assert decide(begun(one, filled="done")).action == KeepClone()
    assert decide(dataclasses.replace(begun(), filling=filling())).action == KeepClone()
    assert decide(begun()).action is None
    assert "cannot be read" in decide(begun()).message
    again = dataclasses.replace(begun(), own=new(holds()).own)
    assert decide(again).action == Clone(own=True)
    assert beginning.origin(begun(one, origin="")) is Origin.EMPTY
    assert decide(begun(origin="")).action == Make(1)


def test_how_it_goes_and_ends_is_told():
    broken = dataclasses.replace(begun(), filling=filling("Failed", ok=False, exit_code=124, error="no route"))
    failed = condition(broken, "DataSource")
    assert (failed["reason"], "no route" in failed["message"]) == ("RecoveryFailed", True)
    assert "Another PostgresCluster can begin with it (spec.dataSource: repository hippo" in failed["message"]
    recovering = {"conditions": [{"type": "DataSource", "status": "False", "reason": "Recovering", "message": ""}]}
    done = facts(member(1, "primary"), status=recovering, spec=spec(replicas=1))
    assert condition(done, "DataSource")["reason"] == "Recovered"
    over = {"conditions": [{"type": "DataSource", "status": "False", "reason": "RecoveryFailed", "message": "broke"}]}
    one = member(1, "", ready=False)
    left = dataclasses.replace(begun(one), cluster=begun(one).cluster | {"status": over})
    assert decide(left).action == EndClone(remove=True, instance=one)


def test_one_that_has_recovered_has_its_job_taken_away():
    recovering = {"conditions": [{"type": "DataSource", "status": "False", "reason": "Recovering", "message": ""}]}
    done = facts(member(1, "primary"), status=recovering, spec=spec(replicas=1), claim=claim(filled="it went well"))
    assert decide(done).action == EndClone()
    assert condition(done, "DataSource")["message"].endswith("; it went well")


def test_a_cluster_with_a_primary_is_not_asked_where_it_began():
    found = facts(member(1, "primary"), member(2), member(3), own=Source({"spec": LOCAL}, holds()))
    assert decide(found).action is None
    assert condition(found, "Ready")["reason"] == "HasPrimary"


# --- its backups --------------------------------------------------------------------------------------------------

CREATED = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"


def with_sets(stop: str, system: str = "7", **given: Any):
    listed = [{"label": "F", "type": "full", "storage": "local", "repo": 1, "stopTime": stop}]
    found = facts(member(1, "primary"), spec=spec(replicas=2), listed=listed, **given)
    repository, cluster = found.repository, found.cluster
    repository["status"]["storages"] = [{"name": "local", "repo": 1, "backupCount": 1, "systemIdentifier": system}]
    metadata = cluster["metadata"] | {"creationTimestamp": CREATED}
    return dataclasses.replace(found, cluster=cluster | {"metadata": metadata}, repository=repository)


AFTER, BEFORE = f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "2026-11-20T10:00:00Z"
COUNTED = {
    "made after it was created": (with_sets(AFTER), True),
    "made before it was created": (with_sets(BEFORE), False),
    "of another system identifier": (with_sets(AFTER, system="8"), False),
}


@pytest.mark.parametrize("case", COUNTED)
def test_a_backup_counts_when_it_is(case):
    found, counts = COUNTED[case]
    assert (condition(found, "BackedUp")["status"] == "True") is counts
    action = decide(found).action
    assert (action == Make(2)) is counts  # a replica is made of its own backups alone
    assert isinstance(action, BackUp) is not counts
    assert (report.status(found, decide(found))["lastBackup"] is not None) is counts


def test_its_own_first_backup_counts_whatever_the_clocks_say():
    found = with_sets(BEFORE)
    owner = [{"kind": "PostgresCluster", "uid": "c"}]
    backup = {"metadata": {"name": "hippo-first", "ownerReferences": owner}, "status": {"phase": "Completed"}}
    assert dataclasses.replace(found, backups=[backup]).has_backup


# --- what is made --------------------------------------------------------------------------------------------------

CLUSTER = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}, "kind": "PostgresCluster"}


def test_the_pods_are_the_same_before_and_after():
    """Nothing of it is in the template: the end of the recovery, and a change of the field, restart nothing."""
    wanted = spec()
    asked = msgspec.structs.replace(wanted, repository={"onExistingBackups": "Recover"})
    assert instance.digest(CLUSTER, wanted, SETTINGS) == instance.digest(CLUSTER, asked, SETTINGS)


def test_patroni_takes_the_filled_folder_while_it_recovers_and_no_longer():
    def bootstrap(**given):
        data = render.config_map(CLUSTER, spec(), paused=False, primary="", **given)["data"]
        return json.loads(data["bootstrap.yml"])["bootstrap"]

    during, after = bootstrap(own=True), bootstrap()
    assert (during["method"], "initdb" in during) == ("clone", False)
    assert (after.get("method"), "initdb" in after) == (None, True)


def test_the_claim_says_where_its_data_comes_from():
    marked = instance.claim(CLUSTER, spec(), 1, names.ORIGIN_OWN)["metadata"]
    assert marked["annotations"] == {names.ANNOTATION_ORIGIN: names.ORIGIN_OWN}
    assert "annotations" not in instance.claim(CLUSTER, spec(), 1)["metadata"]


def test_a_hindrance_says_which_field_asked_for_what_cannot_be():
    verdict = beginning.origin(new(holds(backups=False), **RECOVER))
    assert isinstance(verdict, Hindrance)
    assert verdict.message.startswith("onExistingBackups is Recover, but")
