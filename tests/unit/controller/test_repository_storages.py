"""What the conditions of a Repository say of its storages, judged over plain facts."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller import storage_state
from controller.repository import decide, due, report
from controller.repository.facts import PodView, RepositoryFacts
from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import RepositorySpec
from pgwarden.contract.status import Status
from pgwarden.pgbackrest.info import parse_info

TEXTS = json.loads((Path(__file__).parents[1] / "pgbackrest" / "data" / "trouble-2.60.json").read_text("utf-8"))
MINE, OTHER = "7401234567890123456", "7400000000000000001"
S3 = {"uriStyle": "path", "credentialsSecretRef": {"name": "keys"}}
DEFAULTS = OperatorDefaults(s3_bucket="backups", s3_endpoint="s3.example:7070", s3_region="us-east-1")


def info(*repos: dict[str, Any]) -> Any:
    """Each of *repos*: code, message, system identifier, newest segment; what is left out is well."""
    entry: dict[str, Any] = {
        "name": "hippo",
        "status": {"code": 0, "message": "ok"},
        "archive": [],
        "db": [],
        "repo": [],
    }
    for number, repo in enumerate(repos, 1):
        status = {"code": repo.get("code", 0), "message": repo.get("message", "ok")}
        entry["repo"].append({"key": number, "cipher": "none", "status": status})
        if not status["code"]:
            base = {"id": 1, "repo-key": number}
            entry["db"].append(base | {"system-id": repo.get("system", MINE), "version": "17"})
            entry["archive"].append({"database": base, "id": "17-1", "min": "0" * 24, "max": repo.get("max", "A" * 24)})
    return parse_info([entry], "hippo")


def facts(
    found: Any = None, storage_type: str = "local,s3", answer: dict[str, Any] | None = None, **more: Any
) -> RepositoryFacts:
    spec = msgspec.convert({"storageType": storage_type, "s3": S3}, RepositorySpec)
    postgres = {"reachable": True, "systemIdentifier": MINE, "archiveMode": "on", "archiveCommand": "/pgwarden/x"}
    answered = {"postgres": postgres, "archiver": {}} | (answer or {})
    pod = PodView("db-0", "10.0.0.1", None, msgspec.convert(answered, Status))
    repository = {"metadata": {"name": "hippo", "namespace": "ns", "generation": 3}}
    values = {
        "repository": repository, "spec": spec, "now": datetime(2026, 11, 23, tzinfo=UTC), "pods": (pod,), "host_ready": True,
        "info": found, "places": storages.places(spec, DEFAULTS, "ns", "hippo"),
    }  # fmt: skip
    return RepositoryFacts(**(values | more))


def told(kind: str, given: RepositoryFacts) -> tuple[str, str, str]:
    listed = report.status(given, {})["conditions"]
    found = next(one for one in listed if one["type"] == kind)
    return found["status"], found["reason"], found["message"]


def test_the_storage_that_is_down_is_named_and_so_is_the_one_that_answers():
    given = facts(info({}, {"code": 99, "message": TEXTS["down"]}))
    sentence = "storage s3: cannot connect to s3.pgwarden-s3.svc.cluster.local:7070: Connection refused; storage local responds"
    assert told("Reachable", given) == ("False", "CannotConnect", sentence)


def test_names_of_bucket_and_secret_are_in_the_sentence():
    given = facts(info({"code": 99, "message": TEXTS["nobucket"]}), "s3")
    assert told("Reachable", given)[2].startswith(
        "storage s3: bucket backups does not exist at s3.example:7070; create it"
    )
    given = facts(info({"code": 99, "message": TEXTS["badkey"]}), "s3")
    assert "correct s3-key in Secret keys" in told("Reachable", given)[2]


DENIED = (
    "[ProtocolError] HTTP request failed with 403 (Forbidden):\n*** Response Content ***:\n"
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


@pytest.mark.parametrize(
    ("of_pods", "sentence"),
    [
        pytest.param(
            {"podCredentialsSecretRef": {"name": "less"}},
            "the key in Secret less has no access to bucket backups; allow it to list it, and to get objects, and put "
            "those of the folder archive",
            id="keys of their own",
        ),
        pytest.param(
            {},
            "the key has no access to bucket backups; allow it to list it, and to get, put and delete objects",
            id="the host's keys",
        ),
    ],
)
def test_why_pods_archive_nothing_asks_for_no_right_to_delete_where_they_have_keys_of_their_own(of_pods, sentence):
    spec = msgspec.convert({"storageType": "s3", "s3": S3 | of_pods}, RepositorySpec)
    failed = {"archiver": {"lastFailedWal": "A" * 24, "lastFailedTime": "2026-11-23T00:00:05Z"}, "archiveError": DENIED}
    places = storages.places(spec, DEFAULTS, "ns", "hippo")
    given = facts(info({}), "s3", failed, spec=spec, places=places)
    status, reason, message = told("Archiving", given)
    assert (status, reason) == ("False", "ArchiveCommandFailing")
    assert f": storage s3: {sentence}" in message
    host = facts(info({"code": 99, "message": DENIED}), "s3", spec=spec, places=places)
    assert "to get, put and delete objects" in told("Reachable", host)[2]


def test_while_a_storage_cannot_be_read_nothing_is_claimed_of_stanza_and_wal():
    given = facts(info({}, {"code": 99, "message": TEXTS["down"]}))
    unknown = ("Unknown", "StorageNotReadable", "unknown while storage s3 cannot be read")
    assert told("StanzaCreated", given) == unknown
    assert told("Archiving", given) == unknown
    assert not due.needs_fence(given)


def test_what_took_wal_before_is_degraded_and_what_never_did_is_pending():
    down = info({}, {"code": 99, "message": TEXTS["down"]})
    before = {
        "metadata": {"name": "hippo", "namespace": "ns", "generation": 3},
        "status": {"archive": {"max": "A" * 24}},
    }
    assert decide.phase(facts(down)) == "Pending"
    assert decide.phase(facts(down, repository=before)) == "Degraded"


def test_why_archive_command_fails_is_told_storage_by_storage():
    error = f"archive-push command encountered error(s):\nrepo2: {TEXTS['down']}"
    archiver = {
        "lastFailedTime": "2026-11-23T10:00:05Z",
        "lastArchivedTime": "2026-11-23T10:00:00Z",
        "lastFailedWal": "B" * 24,
    }
    given = facts(info({}, {}), answer={"archiver": archiver, "unarchived": 7, "archiveError": error})
    status, reason, message = told("Archiving", given)
    assert (status, reason) == ("False", "ArchiveCommandFailing")
    assert "7 segments wait in pg_wal of pod db-0" in message
    assert (
        ": storage s3: cannot connect to s3.pgwarden-s3.svc.cluster.local:7070: Connection refused; 7 segments"
        in message
    )


def test_wal_is_archived_up_to_what_is_in_every_storage():
    given = facts(info({"max": "B" * 24}, {"max": "A" * 24}))
    assert told("Archiving", given) == ("True", "WALArchived", f"WAL up to {'A' * 24} is in local and s3")


@pytest.mark.parametrize("foreign", ["local", "s3"])
def test_a_stanza_of_another_cluster_in_either_storage_is_never_touched(foreign):
    repos = [
        {"system": OTHER} if name == foreign else {"code": 1, "message": "missing stanza path"}
        for name in ("local", "s3")
    ]
    given = facts(info(*repos))
    status, reason, message = told("StanzaCreated", given)
    assert (status, reason) == ("False", "SystemIdentifierMismatch")
    assert f"storage {foreign} holds stanza hippo of cluster {OTHER}" in message
    assert not due.wants_stanza(given)
    assert decide.phase(given) == "Failed"


def test_a_stanza_is_made_in_every_storage_that_can_be_had_before_one_that_cannot_be_read():
    missing = {"code": 1, "message": "missing stanza path"}
    assert due.wants_stanza(facts(info({}, missing)))
    assert not due.wants_stanza(facts(info({}, {})))
    down = {"code": 99, "message": TEXTS["down"]}
    assert due.wants_stanza(facts(info(missing, down)))
    assert not due.wants_stanza(facts(info({}, down)))
    assert due.wants_stanza(facts(info(down, missing)))
    assert due.lone_stanza(facts(info(down, missing))) == 2, "stanza-create of all would end at the first one"
    assert due.lone_stanza(facts(info(missing, missing))) == 0
    assert not due.wants_stanza(facts(info(missing, missing), pods=()))


DOWN = {"code": 99, "message": TEXTS["down"]}
MISSING = {"code": 1, "message": "missing stanza path"}
SECRET = "spec.s3.credentialsSecretRef: there is no Secret keys in namespace ns; create it"
PASSPHRASE = "spec.encryption.secretRef: there is no Secret words in namespace ns; create it"


@pytest.mark.parametrize(
    ("repos", "more", "ready"),
    [
        pytest.param(({}, {}), {}, [True, True], id="all is well"),
        pytest.param(({}, DOWN), {}, [True, False], id="s3 is away"),
        pytest.param((DOWN, {}), {}, [False, True], id="the volume cannot be read"),
        pytest.param(({}, DOWN), {"answer": {}}, [False, False], id="an agent that pushes no WAL past the other one"),
        pytest.param(({}, MISSING), {}, [True, False], id="no stanza in s3 yet"),
        pytest.param(({},), {"secret_error": SECRET}, [True, False], id="widened, and the Secret is not there"),
        pytest.param(({}, {}), {"secret_error": PASSPHRASE}, [False, False], id="no passphrase"),
        pytest.param(({}, {"system": OTHER}), {}, [False, False], id="another cluster's stanza"),
        pytest.param(({}, {}), {"host_ready": False}, [False, False], id="no host"),
        pytest.param(({}, {}), {"info_error": "pgbackrest info: no"}, [False, False], id="nothing can be read"),
    ],
)
def test_each_storage_is_ready_by_itself(repos, more, ready):
    given = facts(info(*repos), **({"answer": {"relays": True}} | more))
    shown = report.status(given, {})
    assert [storage["ready"] for storage in shown["storages"]] == ready
    told_of = {name: storage_state.hindrance({"status": shown}, name) for name in ("local", "s3")}
    assert [not why for why in told_of.values()] == ready


def test_what_hinders_an_operation_is_what_its_own_storage_says():
    shown = report.status(facts(info({}, DOWN), answer={"relays": True}), {})
    assert storage_state.hindrance({"status": shown}, "s3").startswith("storage s3: cannot connect to")
    assert storage_state.hindrance({}, "s3") == "the Repository has not been checked yet"


def test_the_status_has_each_storage_with_all_defaults_filled_in():
    shown = report.status(facts(info({}, {"code": 99, "message": TEXTS["badca"]})), {})["storages"]
    assert shown[0] == {
        "name": "local", "repo": 1, "type": "posix", "location": "persistentvolumeclaim/hippo-pgbackrest-repo",
        "reachable": True, "message": "", "lastWal": "A" * 24, "ready": False, "systemIdentifier": "7401234567890123456",
        "backupCount": 0, "backupCounts": {"full": 0, "diff": 0, "incr": 0},
    }  # fmt: skip
    place = {"bucket": "backups", "endpoint": "s3.example:7070", "region": "us-east-1", "path": "/pgwarden/ns/hippo"}
    assert {key: shown[1][key] for key in place} == place
    assert shown[1]["reachable"] is False
    assert shown[1]["message"].startswith("the certificate of s3.pgwarden-s3.svc.cluster.local:7070 is not trusted")


def test_the_status_has_how_long_each_storage_keeps_backups_in_one_spelling():
    spec = {
        "storageType": "local,s3", "s3": S3, "retention": {"full": 14, "fullType": "time"},
        "options": ["--repo2-retention-history 7", "--repo1-retention-archive-type=diff"],
    }  # fmt: skip
    shown = report.status(facts(info({}, {}), spec=msgspec.convert(spec, RepositorySpec)), {})["storages"]
    assert shown[0]["retention"] == {"full": 14, "fullType": "time", "archiveType": "diff"}
    assert shown[1]["retention"] == {"full": 14, "fullType": "time", "history": 7}
    assert all("retention" not in storage for storage in report.status(facts(info({}, {})), {})["storages"])


def test_while_no_host_answers_nothing_is_said_of_a_storage():
    shown = report.status(facts(None, host_ready=False), {})["storages"]
    assert all("reachable" not in storage for storage in shown)


@pytest.mark.parametrize(
    ("age", "words"),
    [(31, "30 s"), (59, "30 s"), (60, "1 min"), (119, "1 min"), (130, "2 min"), (900, "4 min")],
)
def test_a_slow_storage_is_reachable_and_its_answer_has_an_age_in_coarse_steps(age, words):
    """A text that changed at each look would be a status to write."""
    status, reason, message = told("Reachable", facts(info({}), "s3", info_age=age))
    assert (status, reason) == ("True", "HostAnswers")
    assert message == (
        f"the repository host reads s3, slowly: what is said of backups and WAL is more than {words} old"
    )


def test_an_answer_that_is_not_old_has_no_age():
    assert "slowly" not in told("Reachable", facts(info({}), "s3", info_age=30))[2]


def test_an_answer_that_is_late_is_told_as_such():
    given = facts(None, "s3", info_error="pgbackrest info takes longer than 10 s")
    assert told("Reachable", given)[1:] == (
        "CannotConnect",
        "storage s3: no response in time: pgbackrest info takes longer than 10 s",
    )


def test_of_a_storage_that_cannot_be_read_what_was_known_of_it_stays():
    def entry(storage: str, repo: int, hour: int) -> dict[str, Any]:
        return {
            "label": f"of-{storage}",
            "type": "full",
            "storage": storage,
            "repo": repo,
            "stopTime": f"2026-11-23T{hour}:00:00Z",
        }

    known = {
        "archive": {"min": "0" * 24, "max": "B" * 24},
        "backups": [entry("s3", 2, 11), entry("local", 1, 10)],
        "recoveryWindow": [
            {"storage": name, "repo": n, "earliest": "e", "latest": "l"} for n, name in ((1, "local"), (2, "s3"))
        ],
    }
    repository = {"metadata": {"name": "hippo", "namespace": "ns", "generation": 3}, "status": known}
    down = {"code": 99, "message": TEXTS["down"]}
    after = report.status(facts(info({}, down), repository=repository), {})
    assert [one["label"] for one in after["backups"]] == ["of-s3"]
    assert [one["storage"] for one in after["recoveryWindow"]] == ["s3"]
    assert after["lastBackup"] == {"label": "of-s3", "type": "full", "stopTime": "2026-11-23T11:00:00Z"}
    assert after["archive"]["max"] == "A" * 24
    alone = report.status(facts(info(down), "s3", repository=repository), {})
    assert (alone["archive"]["max"], alone["phase"]) == ("B" * 24, "Degraded")


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [
        pytest.param(0, 3.0, id="it has just turned"),
        pytest.param(1, 3.0, id="a minute ago"),
        pytest.param(4, 12.0, id="four minutes ago"),
        pytest.param(600, 15.0, id="it has been so for hours"),
    ],
)
def test_what_stays_out_of_order_is_looked_at_less_and_less_often(minutes: int, seconds: float):
    given = facts(host_ready=False)
    turned = (given.now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    listed = [
        {"type": "Ready", "status": "False", "lastTransitionTime": turned},
        {"type": "Stanza", "status": "Unknown", "lastTransitionTime": "2026-11-20T00:00:00Z"},
    ]
    assert decide.pause(given, listed) == seconds


def test_a_repository_that_is_well_is_looked_at_each_quarter_of_a_minute():
    given = facts(info({"max": "A" * 24}), "local", pods=())
    listed = report.status(given, {})["conditions"]
    assert (decide.settled(given), decide.pause(given, listed)) == (True, 15.0)


def test_one_that_a_rule_refuses_by_now_is_told_true_to_life_and_is_not_simply_ready():
    known: Any = object()
    pod = dataclasses.replace(facts().pods[0], facts=known)
    well = facts(info({}, {}), pods=(pod,))
    assert decide.phase(well) == "Ready"
    refused = dataclasses.replace(well, refused="newer")
    assert decide.phase(refused) == "Degraded"
    assert told("Archiving", refused)[0] == "True"
    assert told("Rejected", refused) == ("True", "NoLongerValid", "newer")
