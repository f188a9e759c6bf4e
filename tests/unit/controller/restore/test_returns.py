"""A Restore that comes back: from a dump, from Velero, from Git, edited, forged, half done. What was done is not done again."""

from __future__ import annotations

import copy
from datetime import datetime

import pytest

from controller import returned
from harness.patches import merged
from pgwarden.api import names, records

WORD = names.ANNOTATION_RUN_AGAIN
DONE = names.ANNOTATION_DONE


async def finished(run, cluster, **spec):
    """Restore `back`, Completed and looked at once more, as it is dumped; gone then, and PostgreSQL has new data since."""
    run.create(**spec)
    assert (await run.until_over())["phase"] == "Completed"
    await run.until_over()
    return gone(cluster)


def gone(cluster):
    found = copy.deepcopy(cluster.objects.pop(("restores", "ns", "back")))
    cluster.settle()
    cluster.restored_data = "restored again"
    return found


def back(cluster, dump, *, status=False, **metadata):
    """*dump* as the API server takes it: with a new uid, and without its status unless a tool writes that as well."""
    body = copy.deepcopy(dump)
    body["metadata"] = merged({key: dump["metadata"].get(key) for key in ("name", "annotations")}, metadata)
    if not status:
        body.pop("status", None)
    return cluster.add("restores", "ns", body)


def touched(cluster, before):
    """What was written since but for the Restore itself."""
    return [line for line in cluster.log[before:] if " restores/" not in line]


RETURNS = {
    "a dump, or Velero": {},
    "with its status": {"status": True},
    "its spec changed on the way": {"spec": {"repository": "hippo", "keepOldVolume": True, "target": {"immediate": True}}},
    "with the word of the first time": {"word": "monday"},
}  # fmt: skip


@pytest.mark.parametrize("how", RETURNS.values(), ids=RETURNS)
@pytest.mark.parametrize("aside", [False, True], ids=["in place", "into a claim of its own"])
async def test_it_is_a_record_and_nothing_is_touched(run, cluster, how, aside):
    annotations = {WORD: how["word"]} if "word" in how else None
    dump = await finished(run, cluster, annotations=annotations, **({"volumeClaim": "copy"} if aside else {}))
    serves, before = cluster.serves(), len(cluster.log)
    dump["spec"] = how.get("spec", dump["spec"])
    made = back(cluster, dump, status=how.get("status", False))
    status = await run.until_over()
    assert status["phase"] == "Completed"
    assert (cluster.serves(), touched(cluster, before)) == (serves, [])
    if not how.get("status"):
        assert status["reason"] == "Record"
        assert dump["metadata"]["uid"] in status["message"]
        assert f"a new value in the annotation {WORD}" in status["message"]
        assert status["completionTime"] == dump["status"]["completionTime"]
        assert {k: status.get(k) for k in ("set", "keptClaim")} == {
            k: dump["status"].get(k) for k in ("set", "keptClaim")
        }
        assert "plan" not in status
    assert records.mark_of(made).uid == dump["metadata"]["uid"]


async def test_it_is_told_once(run, cluster):
    back(cluster, await finished(run, cluster))
    cluster.told.clear()
    for _ in range(3):
        await run.until_over()
    assert [text.partition(":")[0] for _, _, text in cluster.told] == ["a record"]


AGAIN = {
    "by a word that is new": {"annotations": {WORD: "tuesday"}},
    "under another name": {"name": "second"},
}


@pytest.mark.parametrize("how", AGAIN.values(), ids=AGAIN)
async def test_it_is_done_again(run, cluster, how):
    back(cluster, await finished(run, cluster, annotations={WORD: "monday"}), **how)
    name = how.get("name", "back")
    status = await run.until_over(name)
    assert (status["phase"], status["reason"], cluster.serves()) == ("Completed", "Completed", "restored again")
    await run.until_over(name)
    mark = records.mark_of(cluster.restore(name))
    assert (mark.uid, mark.phase) == (cluster.restore(name)["metadata"]["uid"], "Completed")


async def test_the_word_counts_once(run, cluster):
    back(cluster, await finished(run, cluster), annotations={WORD: "tuesday"})
    await run.until_over()
    await run.until_over()
    dump = gone(cluster)
    cluster.restored_data = "restored a third time"
    back(cluster, dump)
    assert (await run.until_over())["reason"] == "Record"
    assert cluster.serves() == "restored again"


async def test_from_git_it_is_known_by_the_claim_that_it_kept(run, cluster):
    await finished(run, cluster)
    before = len(cluster.log)
    run.create()
    status = await run.until_over()
    assert (status["phase"], status["reason"], status["keptClaim"]) == ("Completed", "Record", "data-pg-0-before-back")
    assert (cluster.serves(), touched(cluster, before)) == ("restored", [])


def forget(cluster):
    """The claim is as one that version 0.2.0 put in place."""
    del cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]["metadata"]["annotations"]


@pytest.mark.parametrize("going", [False, True], ids=["the kept claim is gone", "the kept claim is being deleted"])
async def test_from_git_it_is_known_by_the_claim_that_it_put_in_place(run, cluster, going):
    """Its last set may be in a storage that is away."""
    await finished(run, cluster, keepOldVolume=going)
    if going:
        kept = cluster.objects["persistentvolumeclaims", "ns", "data-pg-0-before-back"]["metadata"]
        kept |= {"deletionTimestamp": "2026-11-24T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}
    before = len(cluster.log)
    run.create(keepOldVolume=going)
    status = await run.until_over()
    assert (status["phase"], status["reason"], status.get("keptClaim")) == ("Completed", "Record", None)
    assert (cluster.serves(), touched(cluster, before)) == ("restored", [])


async def test_a_kept_claim_that_is_being_deleted_counts_for_nothing(run, cluster):
    await finished(run, cluster)
    forget(cluster)
    kept = cluster.objects["persistentvolumeclaims", "ns", "data-pg-0-before-back"]["metadata"]
    kept |= {"deletionTimestamp": "2026-11-24T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}
    run.create()
    await run.until_over(rounds=1)
    assert cluster.restore().get("status", {}).get("reason") != "Record"


async def test_the_claim_of_a_restore_of_another_name_tells_nothing(run, cluster):
    await finished(run, cluster, keepOldVolume=False)
    run.create("second", keepOldVolume=False)
    assert (await run.until_over("second"))["reason"] == "Completed"
    assert cluster.serves() == "restored again"


BY_SET = {
    "the same": ({}, {}, "Record"),
    "with the same word": ({WORD: "monday"}, {}, "Record"),
    "another target": ({}, {"target": {"immediate": True}}, "Completed"),
    "a word that is new": ({WORD: "tuesday"}, {}, "Completed"),
}


@pytest.mark.parametrize(("annotations", "spec", "reason"), BY_SET.values(), ids=BY_SET)
async def test_from_git_it_is_known_by_the_backup_that_it_ended_with(run, cluster, annotations, spec, reason):
    """What one side writes, the other reads: the set's annotations are those of the Backup that the Restore made."""
    await finished(run, cluster, keepOldVolume=False, annotations={WORD: "monday"} if annotations else None)
    made = cluster.objects["backups", "ns", "back-after"]
    assert (await run.controller._context.sealing()).vouches(made)
    run.agents.annotations = returned.marks(made, sealed=True)
    assert len(run.agents.annotations) == 9
    forget(cluster)
    run.create(keepOldVolume=False, annotations=annotations, **spec)
    assert (await run.until_over())["reason"] == reason
    assert cluster.serves() == ("restored" if reason == "Record" else "restored again")


#: When the set was made after the claim, in seconds; the system identifier of PostgreSQL; whether onExistingBackups is Recover.
DATABASES = {
    "of the database that is here": (1, "", False, "Record"),
    "of a database that is gone": (-1, "8", False, "Completed"),
    "of this one, whose claim a later restore has made anew": (-1, "7", False, "Record"),
    "of one that comes back by itself": (-1, "8", True, "Record"),
}


@pytest.mark.parametrize(("seconds", "here", "recovers", "reason"), DATABASES.values(), ids=DATABASES)
async def test_the_backup_counts_where_it_is_of_this_database(run, cluster, seconds, here, recovers, reason):
    """In a namespace that is made anew over the bucket that is left, nothing was restored yet."""
    repository = cluster.objects["repositories", "ns", "hippo"]
    repository.setdefault("status", {})["systemIdentifier"] = here
    repository["spec"]["onExistingBackups"] = "Recover" if recovers else "Refuse"
    await finished(run, cluster, keepOldVolume=False)
    run.agents.annotations = returned.marks(cluster.objects["backups", "ns", "back-after"], sealed=True)
    claim = cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]["metadata"]
    forget(cluster)
    run.agents.made = int(datetime.fromisoformat(claim["creationTimestamp"]).timestamp()) + seconds
    run.create(keepOldVolume=False)
    assert (await run.until_over())["reason"] == reason
    assert cluster.serves() == ("restored" if reason == "Record" else "restored again")


async def test_it_waits_until_it_is_known_whether_this_database_was_restored(run, cluster):
    await finished(run, cluster, keepOldVolume=False)
    run.agents.annotations = returned.marks(cluster.objects["backups", "ns", "back-after"], sealed=True)
    claim = cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]["metadata"]
    forget(cluster)
    run.agents.made = int(datetime.fromisoformat(claim["creationTimestamp"]).timestamp()) - 1
    run.create(keepOldVolume=False)
    await run.until_over(rounds=5)
    status = cluster.restore()["status"]
    assert (status["phase"], status["reason"]) == ("Pending", "DatabaseUnknown")
    assert "ended with backup set 20261123-" in status["message"]
    cluster.objects["repositories", "ns", "hippo"].setdefault("status", {})["systemIdentifier"] = "7"
    assert (await run.until_over())["reason"] == "Record"


async def test_from_git_the_claim_that_it_keeps_is_named_as_well(run, cluster):
    await finished(run, cluster)
    run.agents.annotations = returned.marks(cluster.objects["backups", "ns", "back-after"], sealed=True)
    run.create()
    status = await run.until_over()
    assert (status["reason"], status["keptClaim"]) == ("Record", "data-pg-0-before-back")


async def test_from_git_it_runs_where_nothing_tells_of_an_earlier_one(run, cluster):
    await finished(run, cluster, keepOldVolume=False)
    forget(cluster)
    run.create(keepOldVolume=False)
    status = await run.until_over()
    assert (status["reason"], cluster.serves()) == ("Completed", "restored again")


@pytest.mark.parametrize("how", [{}, {"status": True}], ids=["without its status", "with its status, plan and all"])
@pytest.mark.parametrize("undone", [True, False], ids=["undone meanwhile", "undone by its own return"])
@pytest.mark.parametrize("writes", [8, 20, 30])
async def test_dumped_half_way_it_comes_back_as_a_record_that_is_not_finished(run, cluster, writes, how, undone):
    cluster.kill_at = writes
    run.create()
    while cluster.writes < writes:
        await run.until_over(rounds=1)
    run.agents.recovers = False
    dump = gone(cluster)
    assert records.mark_of(dump).phase == "Running"
    while undone and await run.controller.reconcile(("ns", "back")) is not None:
        cluster.settle()
    before = len(cluster.log)
    back(cluster, dump, **how)
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "RecordUnfinished")
    assert "had started, and its result is unknown" in status["message"]
    await run.until_over()
    assert cluster.serves() == "old"
    assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    if undone:
        assert touched(cluster, before) == []


async def test_a_status_of_another_uid_without_a_mark_resumes_nothing(run, cluster):
    cluster.kill_at = 20
    run.create()
    while cluster.writes < 20:
        await run.until_over(rounds=1)
    dump = gone(cluster)
    del dump["metadata"]["annotations"][DONE]
    while await run.controller.reconcile(("ns", "back")) is not None:
        pass
    before = len(cluster.log)
    back(cluster, dump, status=True)
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "RecordUnfinished")
    assert touched(cluster, before) == []


FORGED = {
    "no JSON": "{",
    "another shape": "[]",
    "a field of another kind": '{"uid":7,"name":"back","phase":"Completed"}',
    "nested without end": "[" * 100_000,
    "very long": '{"uid":"u","name":"back","phase":"Completed","message":"' + "x" * 20_000 + '"}',
    "a time that is none": '{"uid":"u","name":"back","phase":"Completed","completionTime":"now"}',
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
async def test_a_mark_that_cannot_be_read_keeps_it_from_being_done_and_says_so(run, cluster, text):
    run.create(annotations={DONE: text})
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "RecordUnfinished")
    assert f"its annotation {DONE} cannot be read" in status["message"]
    assert (cluster.serves(), touched(cluster, 0)) == ("old", [])


async def test_a_mark_that_somebody_changes_half_way_stops_nothing(run, cluster):
    forged = records.Mark(uid="another", name="back", phase="Failed").dump()

    def forge(number):
        if number in {10, 25}:
            cluster.restore()["metadata"]["annotations"][DONE] = forged

    cluster.before_write = forge
    run.create()
    status = await run.until_over()
    assert (status["phase"], status["reason"], cluster.serves()) == ("Completed", "Completed", "restored")
    await run.until_over()
    assert records.mark_of(cluster.restore()).uid == cluster.restore()["metadata"]["uid"]


async def test_a_mark_that_was_replaced_away_is_put_back(run, cluster):
    run.create()
    await run.until_over()
    await run.until_over()
    before = cluster.restore()["metadata"]["annotations"].pop(DONE)
    await run.until_over()
    assert cluster.restore()["metadata"]["annotations"][DONE] == before


async def test_one_whose_status_was_lost_is_over_by_its_mark(run, cluster):
    run.create()
    was = await run.until_over()
    await run.until_over()
    del cluster.restore()["status"]
    before = len(cluster.log)
    status = await run.until_over()
    assert (status["phase"], status["reason"], status["message"]) == ("Completed", "Completed", was["message"])
    assert touched(cluster, before) == []


async def test_one_that_failed_before_it_began_comes_back_as_a_record_of_that(run, cluster):
    run.create(target={"time": "2001-01-01T00:00:00Z"})
    assert (await run.until_over())["phase"] == "Failed"
    await run.until_over()
    dump = gone(cluster)
    assert (records.mark_of(dump).phase, records.mark_of(dump).began) == ("Failed", False)
    back(cluster, dump)
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "Record")
    assert touched(cluster, 0) == []
