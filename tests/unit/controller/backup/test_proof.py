"""What becomes of a Backup whose Job has ended, and of one that waits: each look of the controller, over plain objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from controller.agents import AgentError
from controller.backup.reconcile import BackupController
from controller.context import Context
from controller.settings import Settings
from harness.patches import carried_out
from pgwarden.api import names, records
from pgwarden.contract.status import Status
from pgwarden.kube import paths
from pgwarden.kube.events import Recorder
from pgwarden.storages import explain
from tests.unit.controller.backup.test_expire import EMPTY, FULL, MADE, Answers, Cache, backup, repository
from tests.unit.controller.replicas import hosts

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RUNS = {
    "phase": "Running",
    "reason": "JobRuns",
    "job": "one-backup",
    "label": None,
    "startTime": "2026-11-23T11:00:00Z",
}


def stanza(*codes: int, uid: str = "") -> dict[str, Any]:
    """`info` with a storage for each of *codes*, and one set in the first."""
    found: dict[str, Any] = {"name": "hippo", "status": {"code": 0, "message": "ok"}, "archive": [], "db": []}
    status = [{"code": code, "message": "no answer" if code else "ok"} for code in codes]
    found["repo"] = [{"key": n, "cipher": "none", "status": one} for n, one in enumerate(status, 1)]
    made = {
        "label": FULL, "type": "full", "database": {"id": 1, "repo-key": 1}, "timestamp": {"start": 1, "stop": 2},
        "info": {"size": 1, "delta": 1, "repository": {"delta": 1}}, "annotation": {names.PGBACKREST_ANNOTATION_UID: uid},
    }  # fmt: skip
    return {"info": found | {"backup": [made] if uid else []}, "infoError": ""}


class Agents:
    """The repository host's pods by address; what is not there does not answer."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {ip.replace("_", "."): answer for ip, answer in answers.items()}

    async def host(self, _key: Any, ip: str, *_: Any, **__: Any) -> Any:
        if ip not in self.answers:
            raise AgentError(f"the agent at {ip} cannot be reached")
        return msgspec.convert(self.answers[ip], Status)


@pytest.fixture
def client() -> Answers:
    return Answers()


@pytest.fixture
def look(client: Answers):
    """One look at Backup `one`; what its status is then. *ended*: since when its Job is complete, None: it is gone."""

    async def one(
        mine: dict, agents: Agents, *, ended: timedelta | None = None, others: tuple = (), **status: Any
    ) -> dict[str, Any]:
        repo = repository(FULL, generation=1)
        repo["spec"] = status.pop("spec_of_repository", {"storageType": "local"})
        repo["status"] |= {"primary": "pg-0"} | status
        pods = [
            {"metadata": {"name": f"host-{ip}", "labels": {names.LABEL_COMPONENT: "host"}}, "status": {"podIP": ip}}
            for ip in ("10.0.0.1", "10.0.0.2")
        ]
        caches = SimpleNamespace(
            repositories=Cache({("ns", "hippo"): repo}), backups=Cache({("ns", "one"): mine}), restores=Cache(), own_pods=None,
            **dict.fromkeys(("postgres_pods", "deployments", "quotas", "limit_ranges", "jobs"), EMPTY),
            schedules=None, labelled=lambda *_: [],
            of_repository=lambda cache, *_: [*cache.values(), *(others if cache is caches.backups else ())] if cache else [],
        )  # fmt: skip
        caches.ours = {"backups": caches.backups, "restores": caches.restores}
        client.there[paths.of("backups", "ns")] = {"items": [mine, *others]}
        client.there[paths.of("restores", "ns")] = {"items": []}
        if ended is not None:
            client.there[paths.of("jobs", "ns", "one-backup")] = {
                "metadata": {"name": "one-backup", "ownerReferences": [{"uid": "u-one"}]},
                "status": {"conditions": [{"type": "Complete", "status": "True"}],
                           "completionTime": (NOW - ended).isoformat().replace("+00:00", "Z")},
            }  # fmt: skip
        context = Context(
            client,
            caches,
            agents,
            Recorder(client, "c"),
            Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"}),
            clock=lambda: NOW,
        )  # type: ignore[arg-type]
        context.hosts = hosts(pods)  # type: ignore[method-assign]
        await BackupController(context).reconcile(("ns", "one"))
        changes = [body for _, path, body in client.sent if path == "ns/backups/one/status"]
        return carried_out(mine, changes[-1])["status"] if changes else mine["status"]

    return one


def mine(**status: Any) -> dict[str, Any]:
    found = backup("one", deleted=None, **status)
    found |= {"apiVersion": names.API_VERSION, "spec": {"repository": "hippo"}}
    if found["status"]["phase"] == "Running":
        found["metadata"]["annotations"] = {names.ANNOTATION_DONE: records.begun(found).dump()}
    return found


SOON, LATE = timedelta(minutes=1), timedelta(minutes=3)


@pytest.mark.parametrize(
    ("agents", "ended", "phase", "reason"),
    [
        pytest.param(
            Agents(**{"10_0_0_1": stanza(0, uid="u-one")}), SOON, "Completed", "Completed", id="its set is there"
        ),
        pytest.param(
            Agents(**{"10_0_0_2": stanza(0, uid="u-one")}), SOON, "Completed", "Completed", id="the first host ends"
        ),
        pytest.param(Agents(**{"10_0_0_1": stanza(0)}), SOON, "Running", "ReadingInfo", id="not yet"),
        pytest.param(Agents(**{"10_0_0_1": stanza(0)}), LATE, "Failed", "InfoHasNoSet", id="for two minutes"),
        pytest.param(Agents(), LATE, "Running", "ReadingInfo", id="no host answers: nothing is known"),
        pytest.param(Agents(**{"10_0_0_1": stanza(99)}), LATE, "Running", "ReadingInfo", id="its storage is away"),
        pytest.param(Agents(**{"10_0_0_1": stanza(0)}), None, "Failed", "JobLost", id="the job is gone, and no set"),
        pytest.param(Agents(), None, "Running", "ReadingInfo", id="the job is gone, and no host answers"),
    ],
)
async def test_a_set_that_info_does_not_show_is_waited_for_but_not_for_ever(look, agents, ended, phase, reason):
    found = await look(mine(**RUNS), agents, ended=ended)
    assert (found["phase"], found["reason"]) == (phase, reason)


async def test_while_the_cache_shows_that_others_go_before_nothing_is_listed(look, client):
    other = backup("two", deleted=None, phase="Running", reason="JobRuns")
    client.there.pop(paths.of("backups", "ns"), None)
    asked: list[str] = []
    request = client.request

    async def told(method: str, path: str, **more: Any) -> Any:
        asked.append(path)
        return await request(method, path, **more)

    client.request = told  # type: ignore[method-assign]
    found = await look(mine(phase="Pending", reason="", label=None, job=None), Agents(), others=(other,))
    assert found["reason"] == "WaitingForTurn"
    assert [path for path in asked if not path.endswith("/status") and "/events" not in path] == []


@pytest.mark.parametrize(
    ("storage", "reason"), [("local", "JobStarting"), ("", "JobStarting"), ("s3", "RepositoryNotReady")]
)
async def test_a_backup_waits_for_the_storage_that_it_goes_to_and_no_other(look, storage, reason):
    wanted = mine(phase="Pending", reason="", label=None, job=None)
    wanted["spec"] |= {"storage": storage} if storage else {}
    down = {
        "type": "Ready",
        "status": "False",
        "reason": "CannotConnect",
        "message": "storage s3: no; storage local responds",
    }
    entries = [
        {"name": "local", "repo": 1, "ready": True, "reachable": True},
        {"name": "s3", "repo": 2, "ready": False, "reachable": False, "message": "no answer"},
    ]
    answering = Agents(**{"10_0_0_1": stanza(0, 99)})  # it is read whether the Backup came back
    both = {"storageType": "local,s3", "s3": {"bucket": "b", "credentialsSecretRef": {"name": "k"}}}
    found = await look(wanted, answering, conditions=[down], storages=entries, spec_of_repository=both)
    assert found["reason"] == reason
    assert reason == "JobStarting" or found["message"] == "storage s3: no answer"


# --- deleted before it was over ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "minutes", "reason", "told"),
    [
        pytest.param(Agents(), 5, "RepositoryNotReachable", [], id="no host answers"),
        pytest.param(Agents(**{"10_0_0_1": stanza(99)}), 5, "RepositoryNotReachable", [], id="its storage is away"),
        pytest.param(Agents(), 61, "JobRuns", ["SetKept"], id="for an hour"),
        pytest.param(Agents(**{"10_0_0_1": stanza(0)}), 5, "JobRuns", [], id="it has made none"),
        pytest.param(Agents(**{"10_0_0_1": stanza(0, uid="u-one")}), 5, "Expiring", [], id="it has made one"),
    ],
)
async def test_the_set_of_one_that_was_deleted_is_not_left_behind_unsaid_while_info_cannot_be_read(
    look, client, agents, minutes, reason, told
):
    deleted = backup("one", deleted=NOW - timedelta(minutes=minutes), **RUNS)
    found = await look(deleted, agents)
    assert found["reason"] == reason
    assert client.released is (reason == "JobRuns")
    assert [one for _, one, _ in client.events() if one == "SetKept"] == told


async def test_the_job_that_expires_a_set_is_followed_while_info_cannot_be_read(look, client):
    client.there[paths.of("jobs", "ns", "one-expire")] = {"metadata": MADE, "status": {}}
    found = await look(backup("one", **RUNS | {"reason": "Expiring"}), Agents())
    assert (found["reason"], client.released) == ("Expiring", False)


DUMP = """[HostConnectError] unable to connect to 's3.example:443 (10.1.1.1)': [111] Connection refused
    [HostConnectError] on 8 retries from 109-8001ms: unable to connect
    *** Path/Query ***:
    GET /bucket?list-type=2"""


@pytest.mark.parametrize("where", ["of the storage", "of all"])
async def test_what_pgbackrest_prints_of_a_storage_is_told_in_one_line_for_people(look, where):
    answer = stanza(99)
    answer["info"]["repo"][0]["status"]["message"] = DUMP
    if where == "of all":
        answer = {"info": None, "infoError": DUMP}
    agents = Agents(**{"10_0_0_1": answer, "10_0_0_2": answer})
    found = await look(mine(phase="Pending", reason="", label=None, job=None), agents)
    assert found["reason"] == "RepositoryNotReachable"
    assert found["message"] == f"the backups cannot be listed: {explain(DUMP).sentence}"
    assert "\n" not in found["message"]
    assert "retries" not in found["message"]
