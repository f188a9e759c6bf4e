"""The Secret's passwords, and the roles that are to have them: which, when, and what is told."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.agents import AgentError
from controller.cluster import decide, passwords, report, scram
from controller.cluster.actions import ClusterDecision, Make
from controller.cluster.password_keeper import PasswordKeeper
from controller.cluster.passwords import Known
from pgwarden.contract.calls import Outcome
from tests.unit.controller.cluster.conftest import NOW, facts, instance

KEY = ("ns", "hippo")
OWN = ["postgres", "replicator", "rewind"]


def secret(**given: str) -> dict[str, Any]:
    values = {
        "superuser-password": "s", "replication-password": "r", "rewind-password": "w", "patroni-password": "p",
        "password": "a", "username": "app", "database": "app", "host": "h", "port": "5432",
        "uri": "postgresql://app:a@h:5432/app",
    } | {key.replace("_", "-"): value for key, value in given.items()}  # fmt: skip
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": "hippo-credentials", "uid": "u", "resourceVersion": "5"}, "data": data}


def test_a_verifier_is_that_of_rfc_7677():
    """The example of section 3, whose user is `user` and whose password is `pencil`."""
    made = scram.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert made == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize(
    ("given", "prepared"),
    [("I\u00adX", "IX"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"), ("\u0627\u0031", "\u0627\u0031"),
     ("a\u0007", "a\u0007"), ("plain", "plain")],
    ids=["mapped to nothing", "normalised", "of compatibility", "a space", "of two directions: as it is",
         "a control character: as it is", "ASCII"],
)  # fmt: skip
def test_passwords_are_prepared_as_libpq_does_it(given, prepared):
    assert scram.prepared(given) == prepared


@pytest.mark.parametrize(
    ("before", "now", "initialized", "due"),
    [
        (None, Known("d"), True, False),
        (None, Known("d"), False, True),
        (Known(""), Known("d"), True, True),
        (Known("d"), Known("d"), True, False),
        (Known("d"), Known("e"), True, True),
        (Known("d"), Known("d", "2026-11-29T01:00:00Z"), True, True),
        (Known("d", "2026-11-29T01:00:00Z"), Known("d", "2026-11-29T01:00:00Z"), True, False),
        (Known("d", "2026-11-29T01:00:00Z"), Known("d"), True, False),
    ],
    ids=["a cluster from before: SQL may have set it", "a new cluster", "a new one whose agent did not answer",
         "nothing new", "the Secret was changed", "a Restore has brought other data", "the same Restore",
         "that Restore was deleted"],
)  # fmt: skip
def test_the_applications_password_is_set_by_a_changed_secret_and_after_a_restore(before, now, initialized, due):
    assert passwords.application_is_due(before, now, initialized=initialized) == due


def restore(start: str, *, started: bool = True, phase: str = "Completed", claim: str = "") -> dict[str, Any]:
    conditions = [{"type": "Started", "status": "True" if started else "False"}]
    spec = {"repository": "hippo"} | ({"volumeClaim": claim} if claim else {})
    return {"spec": spec, "status": {"startTime": start, "phase": phase, "conditions": conditions}}


def test_only_a_restore_that_has_started_postgresql_in_place_has_brought_other_data():
    listed = [
        restore("2026-11-29T01:00:00Z"), restore("2026-11-29T02:00:00Z", phase="Running"),
        restore("2026-11-29T03:00:00Z", phase="Running", started=False), restore("2026-11-29T04:00:00Z", claim="other"),
        restore("2026-11-29T05:00:00Z", phase="Failed"),
    ]  # fmt: skip
    assert passwords.restored(listed) == "2026-11-29T02:00:00Z"
    assert passwords.restored([]) == ""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, ""),
        ({"password": "n&w"}, "postgresql://app:n%26w@h:5432/app"),
        (
            {"password": "n", "uri": "postgresql://app:a@h/app?sslmode=require"},
            "postgresql://app:n@h/app?sslmode=require",
        ),
        ({"uri": "whatever"}, ""),
    ],
    ids=["in step", "another password, quoted", "the rest stays", "the user's own words"],
)
def test_the_uri_follows_the_password(given, wanted):
    assert base64.b64decode(passwords.uri(secret(**given))).decode() == wanted


def test_each_password_counts_in_the_digest_and_nothing_else():
    first = passwords.digest(secret())
    assert passwords.digest(secret(uri="other", host="x")) == first
    for key in ("password", "superuser_password", "replication_password", "rewind_password", "patroni_password"):
        assert passwords.digest(secret(**{key: "other"})) != first


@pytest.mark.parametrize("bad", ["", "a\0b"], ids=["empty", "with a zero byte"])
@pytest.mark.parametrize("key", passwords.PASSWORDS)
def test_a_password_that_postgresql_or_patroni_cannot_have_is_named(key, bad):
    with pytest.raises(passwords.UnreadableError, match=f"{key} in Secret hippo-credentials is empty"):
        passwords.roles(secret(**{key.replace("-", "_"): bad}), application=False, create=False)


# --- the keeper --------------------------------------------------------------------------------------------------


class World:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.made: list[str] = []
        self.events: list[str] = []
        self.patched: list[Any] = []
        self.answer: Outcome | AgentError = Outcome(ok=True, output="password of app")
        self.status: dict[str, Any] = {"initialized": True}
        self.secret, self.now, self.pod, self.restored, self.of_another = secret(), NOW, "pod-1", "", False
        self.keeper = PasswordKeeper(SimpleNamespace(agents=self, recorder=self, client=self))  # type: ignore[arg-type]

    async def pod_call(self, key, ip, call, *, seconds):
        assert (key, ip, seconds > 0) == (KEY, "10.0.0.1", True)
        self.asked.append([one.name for one in call.body.roles])
        self.made += [one.name for one in call.body.roles if one.create]
        if isinstance(self.answer, AgentError):
            raise self.answer
        return self.answer

    async def normal(self, _about, reason, text):
        self.events.append(f"{reason}: {text}")

    async def merge(self, path, patch):
        self.patched.append((path, patch))

    def facts(self):
        primary = instance(1, "primary")
        primary.pod["metadata"]["uid"] = self.pod
        primary.pod["status"]["podIP"] = "10.0.0.1"
        found = facts(primary, instance(2), status=self.status, credentials=self.secret, restores=self.restores())
        store = dataclasses.replace(found.store, of_another=self.of_another)
        return dataclasses.replace(found, now=self.now, store=store)

    def restores(self):
        started = {"startTime": self.restored, "conditions": [{"type": "Started", "status": "True"}]}
        return [{"spec": {}, "status": started}] if self.restored else []

    def look(self, seconds: float = 30):
        self.now += timedelta(seconds=seconds)
        world = SimpleNamespace(pod=self.pod_call)
        self.keeper._context = SimpleNamespace(agents=world, recorder=self, client=self)  # type: ignore[assignment]
        kept = asyncio.run(self.keeper.keep(KEY, self.facts()))
        self.status = self.status | {"passwords": kept.entry}
        return kept


def test_patronis_roles_are_kept_and_the_applications_is_left_alone_in_a_cluster_from_before():
    world = World()
    world.look()
    world.look()
    assert world.asked == [OWN]
    assert world.status["passwords"]["digest"] == passwords.digest(world.secret)


def test_after_a_restore_all_roles_have_the_passwords_of_the_secret():
    world = World()
    world.look()
    world.pod, world.restored = "pod-2", "2026-11-29T01:00:00Z"
    world.look()
    world.look()
    assert world.asked == [OWN, [*OWN, "app"]]
    assert "app" not in world.made
    assert world.events[-1] == "PasswordsSet: set by the Secret hippo-credentials: password of app"


def test_after_a_restore_of_another_clusters_data_the_applications_role_is_made():
    world = World()
    world.look()
    world.restored, world.of_another = "2026-11-29T01:00:00Z", True
    world.look()
    assert "app" in world.made


def test_a_changed_secret_changes_the_roles_and_its_uri():
    world = World()
    world.look()
    world.secret = secret(password="new")
    world.look()
    assert world.asked == [OWN, [*OWN, "app"]]
    ((path, patch),) = world.patched
    assert path.endswith("/secrets/hippo-credentials")
    assert base64.b64decode(patch["data"]["uri"]).decode() == "postgresql://app:new@h:5432/app"


def test_what_the_agent_does_not_do_is_told_and_tried_again():
    world = World()
    world.status = {}
    world.answer = AgentError("the agent at 10.0.0.1 cannot be reached")
    assert world.look().trouble == "the agent at 10.0.0.1 cannot be reached"
    world.status["initialized"] = True  # by the same report
    assert world.look(1).trouble
    assert len(world.asked) == 1
    world.answer = Outcome(ok=True)
    assert world.look(10).trouble == ""
    assert world.asked[-1] == [*OWN, "app"]


def test_what_sql_has_changed_of_patronis_roles_is_changed_back_within_minutes():
    world = World()
    world.look()
    world.look(400)
    assert world.asked == [OWN, OWN]


@pytest.mark.parametrize(
    "lack", [{"instances": ()}, {"credentials": None}, {"fault": "x"}], ids=lambda one: next(iter(one))
)
def test_without_a_primary_or_a_secret_nothing_is_done(lack):
    world = World()
    kept = asyncio.run(world.keeper.keep(KEY, dataclasses.replace(world.facts(), **lack)))
    assert (kept.entry, kept.trouble) == (None, "")


def test_a_cluster_that_is_being_made_is_patronis_own():
    world = World()
    found = world.facts()
    found = dataclasses.replace(found, store=dataclasses.replace(found.store, system_identifier=""))
    asyncio.run(world.keeper.keep(KEY, found))
    assert world.asked == []


def test_the_condition_is_there_once_there_was_trouble(whole):
    quiet = report.status(whole, ClusterDecision(None, ""))
    assert all(one["type"] != passwords.CONDITION for one in quiet["conditions"])
    told = report.status(whole, ClusterDecision(None, ""), "no answer")
    (condition,) = [one for one in told["conditions"] if one["type"] == passwords.CONDITION]
    assert (condition["status"], condition["reason"]) == ("False", "PasswordsNotSet")
    assert condition["reason"] in report.LACKS  # so an Event is written
    assert condition["message"].endswith("may not have the passwords in Secret hippo-credentials: no answer")
    later = dataclasses.replace(whole, cluster=whole.cluster | {"status": told})
    mended = report.status(later, ClusterDecision(None, ""))
    assert [one["status"] for one in mended["conditions"] if one["type"] == passwords.CONDITION] == ["True"]


# --- Patroni's processes log in by what they were started with -----------------------------------------------------


def begun_with(number: int, role: str, digest: str, now: str):
    one = instance(number, role)
    for obj in (one.deployment["spec"]["template"], one.pod):
        obj["metadata"]["annotations"] |= {"pgwarden.io/passwords": digest} if digest else {}
    return dataclasses.replace(one, passwords=now)


@pytest.mark.parametrize(
    ("begun", "now", "rolls"),
    [("old", "new", True), ("new", "new", False), ("", "new", False), ("old", "", False)],
    ids=["with passwords of before", "with those of now", "by a version that did not say", "not known yet"],
)
def test_instances_are_rolled_once_the_roles_have_new_passwords(begun, now, rolls):
    found = facts(*(begun_with(n, "primary" if n == 1 else "replica", begun, now) for n in (1, 2, 3)))
    action = decide.decide(found).action
    assert (isinstance(action, Make) and action.number == 3) is rolls
