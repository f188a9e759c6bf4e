"""What the checks of a RestoreDrill left, and what the drill comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from controller.drill import cleaning, render, report, status
from controller.recovery.plan import Plan, Recovered
from pgwarden.api.kinds import DrillCheck, DrillTarget, PodFacts, RepositorySpec, RestoreDrillSpec, ValueSource
from pgwarden.contract import environment
from pgwarden.pgbackrest.user_options import parse_options

WHOLE = (
    "Passed\tpgwarden/start\tPostgreSQL 17\nSeconds\tstart\t4\nSkipped\tpgwarden/checksums\tnot enabled\n"
    "Passed\trows\tit is t\nSeconds\tchecks\t61\nend\t3\n"
)
DRILL = {"metadata": {"name": "d", "namespace": "ns", "uid": "u"}, "spec": {"repository": "hippo"}}


@pytest.mark.parametrize(
    ("text", "phase", "reason", "words"),
    [
        pytest.param(WHOLE, "Completed", "Completed", "2 checks passed; not done: pgwarden/checksums", id="all"),
        pytest.param(WHOLE.removesuffix("end\t3\n"), "Failed", "ChecksInterrupted", "before they were done", id="cut"),
        pytest.param(WHOLE[40:], "Failed", "ChecksInterrupted", "before they were done", id="its beginning lost"),
        pytest.param("", "Failed", "ChecksInterrupted", "before they were done", id="nothing"),
        pytest.param("Failed\trows\tit is f\nend\t1\n", "Failed", "ChecksFailed", "rows: it is f", id="false"),
        pytest.param("Failed\trows\tit is f\n", "Failed", "ChecksFailed", "rows: it is f", id="false and cut"),
    ],
)
def test_a_drill_passes_only_if_its_report_is_whole_and_nothing_failed(text, phase, reason, words):
    found = status.judged(report.parse(text))
    assert found[:2] == (phase, reason)
    assert words in found[2]


def test_the_seconds_of_a_phase_are_numbers_or_nothing():
    assert dict(report.parse(WHOLE).seconds) == {"start": 4, "checks": 61}
    odd = "Seconds\tstart\t-4\nSeconds\tchecks\t٣\nSeconds\tcopy\t1\nSeconds\tstart\t" + "9" * 40 + "\nend\t0\n"
    assert report.parse(odd).seconds == ()


def ended(text: str, at: str, *, job: str = "j", container: str = "postgres") -> dict[str, Any]:
    state = {"terminated": {"message": text, "finishedAt": at, "exitCode": 0}}
    owner = {"uid": job, "controller": True, "kind": "Job", "name": "x", "apiVersion": "batch/v1"}
    return {
        "metadata": {"name": at, "uid": at, "ownerReferences": [owner]},
        "status": {"containerStatuses": [{"name": container, "state": state}]},
    }


def test_the_last_pod_that_left_a_report_is_the_one_that_counts():
    """A killed one has left a part of it, one that did not start nothing, and a mesh's proxy words of its own."""
    job = {"metadata": {"uid": "j"}, "spec": {"template": {"spec": {"containers": [{"name": "postgres"}]}}}}
    pods = [
        ended(WHOLE, "2026-12-01T10:02:00Z"),
        ended("Failed\tpgwarden/start\tkilled\n", "2026-12-01T10:00:00Z"),
        ended("", "2026-12-01T10:03:00Z"),
        ended("Failed\tmesh\tx\nend\t1\n", "2026-12-01T10:04:00Z", container="proxy"),
        ended("Failed\tother\tx\nend\t1\n", "2026-12-01T10:05:00Z", job="another"),
    ]
    assert report.of(job, pods) == report.parse(WHOLE)
    assert report.of(job, []) == report.Report()


def test_a_line_of_another_form_is_no_outcome_and_nothing_steers_a_terminal():
    found = report.parse("Fine\trows\tx\nPassed\n\nFailed\trows\t\x1b[2Jgone\n" + "Passed\tmany\tx\n" * 100)
    assert [one.name for one in found.checks] == ["rows", "many"]
    assert "\x1b" not in found.checks[0].message
    assert not found.whole


FACTS = PodFacts(
    container="postgres", data_directory="/data/pg", port=5432, socket_directory="/run", user="postgres",
    database="app", run_as_user=999, run_as_group=999, configured_by="Arguments", data_volume="data",
)  # fmt: skip


def planned(facts: PodFacts = FACTS) -> Plan:
    return Plan(
        restore="d-drill", restore_uid="r", repository="hippo", new_claim="d-drill", facts=facts,
        mounts=[{"mountPath": "/data"}], image="postgres:17",
    )  # fmt: skip


def test_a_superuser_by_reference_is_handed_on_by_it():
    source = ValueSource(variable=environment.USER, kind="secretKeyRef", name="s", key="who")
    other = ValueSource(variable="PGPASSWORD", kind="secretKeyRef", name="s", key="password")
    facts = replace(FACTS, user="", sources=(source, other))
    made = render.job(DRILL, RestoreDrillSpec(repository="hippo"), planned(facts), RepositorySpec())
    env = made["spec"]["template"]["spec"]["containers"][0]["env"]
    reference = {"name": "s", "key": "who", "optional": True}
    assert [one for one in env if one["name"] == "DRILL_USER"] == [
        {"name": "DRILL_USER", "valueFrom": {"secretKeyRef": reference}}
    ]
    assert not [one for one in env if one["name"] == "PGPASSWORD"]


def test_the_users_sql_reaches_the_shell_as_it_is_written():
    plan = planned()
    spec = RestoreDrillSpec(repository="hippo", checks=[DrillCheck(name="a", sql="SELECT '$(HOME)' = $$x$$")])
    made = render.job(DRILL, spec, plan, RepositorySpec())
    pod = made["spec"]["template"]["spec"]
    values = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert values["DRILL_0_SQL"] == "SELECT '$$(HOME)' = $$$$x$$$$"
    assert values["DRILL_0_DATABASE"] == "app"
    assert pod["automountServiceAccountToken"] is False
    assert made["spec"]["podReplacementPolicy"] == "Failed"  # never two servers on one volume


def variables(spec: RestoreDrillSpec) -> dict[str, str]:
    pod = render.job(DRILL, spec, planned(), RepositorySpec())["spec"]["template"]["spec"]
    return {one["name"]: one["value"] for one in pod["containers"][0]["env"]}


def test_some_databases_are_restored_and_looked_at_and_the_checks_run_in_them():
    spec = RestoreDrillSpec(repository="hippo", databases=["two words", "b"], checks=[DrillCheck(name="a", sql="x")])
    options = render.restore(DRILL, spec)["spec"]["options"]
    parsed, faults = parse_options(options, command="restore", storages=("local",))
    assert not faults
    assert parsed.arguments == ("--db-include=two words", "--db-include=b")
    found = variables(spec)
    assert found["DRILL_DATABASES"] == "two words\nb"
    assert (found["DRILL_DATABASE"], found["DRILL_0_DATABASE"]) == ("two words", "two words")
    whole = variables(replace(spec, databases=[]))
    assert (whole["DRILL_DATABASES"], whole["DRILL_DATABASE"], whole["DRILL_0_DATABASE"]) == ("", "app", "app")


@pytest.mark.parametrize(
    ("check", "wanted"),
    [
        pytest.param({}, ("t", "", ""), id="true"),
        pytest.param({"expect": ""}, ("", "", ""), id="nothing"),
        pytest.param({"min": 0, "max": "0.5"}, ("t", "0", "0.5"), id="bounds"),
    ],
)
def test_what_a_check_has_to_say(check: dict[str, Any], wanted: tuple[str, str, str]):
    found = variables(RestoreDrillSpec(repository="hippo", checks=[DrillCheck(name="a", sql="x", **check)]))
    assert tuple(found[f"DRILL_0_{one}"] for one in ("EXPECT", "MIN", "MAX")) == wanted


def test_the_pod_with_the_checks_is_as_large_as_the_drill_says():
    size = {"limits": {"memory": "4Gi"}}
    made = render.job(DRILL, RestoreDrillSpec(repository="hippo", resources=size), planned(), RepositorySpec())
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "4Gi"


def test_a_random_target_is_a_moment_in_the_restore_and_in_the_status():
    spec = RestoreDrillSpec(repository="hippo", target=DrillTarget(random=True))
    drill = DRILL | {"spec": {"repository": "hippo", "target": {"random": True}}}
    made = render.restore(drill, spec, datetime(2026, 12, 1, 10, tzinfo=UTC))
    assert made["spec"]["target"] == {"time": "2026-12-01T10:00:00Z"}
    made["metadata"]["uid"] = "r"
    told = status.of_restore(made, spec, None)
    assert (told["target"], told["seed"]) == ({"time": "2026-12-01T10:00:00Z"}, 1796119200)
    assert status.of_restore(made, replace(spec, seed=7), None)["seed"] == 7


@pytest.mark.parametrize("first", ["Fenced", "Validated"])
def test_the_phases_and_the_wal_are_told_once_the_recovery_has_ended(first: str):
    recovered = Recovered(segments=3, copy_seconds=40.4, replay_seconds=7.0)
    plan = replace(planned(), recovered=recovered)
    listed = [
        {"type": kind, "status": "True", "lastTransitionTime": f"2026-12-01T10:{minute}:00Z"}
        for kind, minute in ((first, "00"), ("VolumeReady", "00"), ("Restored", "01"), ("Recovered", "02"))
    ]
    made = {"metadata": {"name": "d-drill", "uid": "r"}, "status": {"plan": plan.dump(), "conditions": listed}}
    told = status.of_restore(made, RestoreDrillSpec(repository="hippo"), None)
    assert told["seconds"] == {"volume": 20, "copy": 40, "replay": 7}
    assert told["wal"] == {"segments": 3, "bytes": 3 * 16 * 2**20}
    made["status"]["plan"] = planned().dump()
    assert not {"seconds", "wal"} & status.of_restore(made, RestoreDrillSpec(repository="hippo"), None).keys()


@pytest.mark.parametrize(
    ("hours", "phase", "going", "kept"),
    [
        pytest.param(2, "Failed", False, True, id="failed"),
        pytest.param(0, "Failed", False, False, id="not asked for"),
        pytest.param(2, "Completed", False, False, id="passed"),
        pytest.param(2, "Failed", True, False, id="deleted"),
    ],
)
def test_what_a_failed_drill_made_is_kept_where_it_asks_for_it(hours: int, phase: str, *, going: bool, kept: bool):
    drill = {
        "metadata": DRILL["metadata"] | ({"deletionTimestamp": "2026-12-01T11:00:00Z"} if going else {}),
        "spec": {"repository": "hippo", "keepFailedHours": hours},
        "status": {"phase": phase, "completionTime": "2026-12-01T10:00:00Z"},
    }
    assert cleaning.kept_until(drill) == (datetime(2026, 12, 1, 12, tzinfo=UTC) if kept else None)


def test_the_pod_with_the_checks_reaches_nobody():
    spec = render.policy(DRILL)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & spec.keys()
    assert spec["podSelector"]["matchLabels"].items() <= render.labels(DRILL).items()


def checked_by(*pods: dict[str, Any], failed: int = 0, refused: str = "") -> tuple[str, str]:
    job = {"metadata": {"name": "d-drill-checks", "uid": "j"}, "status": {"failed": failed}}
    return status.checking(
        job | {"spec": {"template": {"spec": {"containers": [{"name": "postgres"}]}}}}, pods, refused
    )


def test_what_keeps_the_checks_from_going_on_is_said():
    assert checked_by() == ("Checking", "Job d-drill-checks checks what was restored")
    assert "on attempt 3 of 4" in checked_by(failed=2)[1]
    assert checked_by(refused="exceeded quota: q") == (
        "JobStuck",
        "Job d-drill-checks: Kubernetes creates no pod of it: exceeded quota: q",
    )
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    waits = {
        "metadata": {"name": "p"},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "postgres", "state": state}]},
    }
    reason, text = checked_by(waits)
    assert reason == "JobStuck"
    assert "no such image" in text
