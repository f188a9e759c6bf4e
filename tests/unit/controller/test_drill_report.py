"""What the checks of a RestoreDrill left, and what the drill comes to."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from controller.drill import render, report, status
from controller.recovery.plan import Plan
from pgwarden.api.kinds import DrillCheck, PodFacts, RepositorySpec, RestoreDrillSpec, ValueSource
from pgwarden.contract import environment

WHOLE = "Passed\tpgwarden/start\tPostgreSQL 17\nSkipped\tpgwarden/checksums\tnot enabled\nPassed\trows\tit is t\nend\n"
DRILL = {"metadata": {"name": "d", "namespace": "ns", "uid": "u"}, "spec": {"repository": "hippo"}}


@pytest.mark.parametrize(
    ("text", "phase", "reason", "words"),
    [
        pytest.param(WHOLE, "Completed", "Completed", "2 checks passed; not done: pgwarden/checksums", id="all"),
        pytest.param(WHOLE.removesuffix("end\n"), "Failed", "ChecksInterrupted", "before they were done", id="cut"),
        pytest.param("", "Failed", "ChecksInterrupted", "before they were done", id="nothing"),
        pytest.param("Failed\trows\tit is f\nend\n", "Failed", "ChecksFailed", "rows: it is f", id="false"),
        pytest.param("Failed\trows\tit is f\n", "Failed", "ChecksFailed", "rows: it is f", id="false and cut"),
    ],
)
def test_a_drill_passes_only_if_its_report_is_whole_and_nothing_failed(text, phase, reason, words):
    found = status.judged(report.parse(text))
    assert found[:2] == (phase, reason)
    assert words in found[2]


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
    assert made["spec"]["backoffLimit"] == 0


def test_the_pod_with_the_checks_reaches_nobody():
    spec = render.policy(DRILL)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & spec.keys()
    assert spec["podSelector"]["matchLabels"].items() <= render.labels(DRILL).items()
