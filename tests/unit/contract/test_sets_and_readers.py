"""What the controller writes of a Repository's backup sets, given to metrics, command line and controllers.

Nobody takes the newest 50 for all that there are.
"""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from controller.cluster import beginning, clone
from controller.cluster import report as cluster_report
from controller.cluster.actions import ClusterDecision
from controller.recovery.hindrance import Hindrance
from controller.repository import backups_available, metrics, report
from pgwarden.api.schema import crds
from pgwarden.cli import cluster_data_loss, data_loss, show
from pgwarden.cli.protection import judge
from pgwarden.cli.terminal import Terminal
from pgwarden.rules import backup_sets
from tests.unit import sources
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set, chain
from tests.unit.contract.worlds import OLD_S3, Object, World, some, two, unreadable, weekly, world
from tests.unit.controller.cluster.conftest import facts as cluster_facts
from tests.unit.rules.conftest import build


def test_the_newest_are_listed_newest_first_and_all_are_counted(there: World):
    listed = there.status["backups"]
    assert listed == backup_sets.newest_first(listed)
    assert len(listed) == min(50, len(there.sets))
    assert there.status["backupCount"] == len(there.sets)
    for entry in there.status["storages"]:
        own = there.of(entry["name"])
        assert entry["backupCount"] == len(own)
        assert entry["backupCounts"] == {
            kind: sum(one.kind == kind for one in own) for kind in ("full", "diff", "incr")
        }
        for kind in ("full", "diff", "incr"):
            last = next((one.label for one in reversed(own) if one.kind == kind), None)
            assert entry.get(f"last{kind.capitalize()}", {}).get("label") == last


def test_the_crd_has_a_field_for_everything_that_is_written(there: World):
    """What it has not the API server drops."""
    status = crds()["Repository"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert list(not_in_schema(there.status, status)) == []


def not_in_schema(value: Any, node: Object, path: str = "status") -> Any:
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in node.get("properties", {}):
                yield f"{path}.{key}"
            else:
                yield from not_in_schema(one, node["properties"][key], f"{path}.{key}")
    if isinstance(value, list):
        if len(value) > node.get("maxItems", len(value)):
            yield f"{path}: too many"
        for one in value:
            yield from not_in_schema(one, node["items"], f"{path}[]")


def test_however_many_there_are_a_status_is_small():
    """etcd takes 1.5 MiB; what people read should be a page."""
    few, many = (world(weekly(count)).status for count in (60, 20_000))
    sizes = [len(msgspec.json.encode(status)) for status in (few, many)]
    assert sizes[1] < 32 * 1024
    assert sizes[1] - sizes[0] < 1024


def test_the_metric_of_a_type_stays_while_there_is_a_set_of_it_and_is_of_the_newest(there: World):
    metrics.show(("ns", "hippo"), there.status)
    for storage, kind in itertools.product(("local", "s3"), ("full", "diff", "incr")):
        labels = {"namespace": "ns", "repository": "hippo", "storage": storage, "type": kind}
        own = (
            [one.stop.timestamp() for one in there.of(storage) if one.kind == kind] if storage in there.storages else []
        )
        assert REGISTRY.get_sample_value("pgwarden_last_backup_timestamp_seconds", labels) == max(own, default=None)
    metrics.forget(("ns", "hippo"))


def shown(there: World) -> list[str]:
    terminal = Terminal(io.StringIO(), io.StringIO(), io.StringIO(), width=100)
    return show.of_repository(there.repository, [], terminal, ascii_only=True, now=NOW)


def test_a_list_that_is_cut_is_shown_as_such(there: World):
    lines = shown(there)
    listed = [line.split()[0] for line in lines if re.match(r"\d{8}-\d{6}F", line)]
    assert listed == [one["label"] for one in there.status["backups"]]
    cut = f"the newest 50 of {len(there.sets)} backup sets:"
    assert (cut in lines) == (len(there.sets) > 50)
    for storage in there.storages:
        number = len(there.of(storage))
        (at,) = [n for n, line in enumerate(lines) if line.startswith(f"storage {storage}: ")]
        assert f"; {number} backup{'s' if number > 1 else ''} (" in lines[at + 1]


def test_the_picture_has_the_last_full_one_though_it_is_not_listed():
    there = world(chain("F" + "I" * 59))
    (window,) = show.windows(there.repository)
    assert [mark.stop for mark in window.marks if mark.kind == "full"] == [there.sets[0].stop]
    assert "60 backups (1 full, 59 incr), the newest drawn" in "\n".join(shown(there))


def test_a_list_of_an_older_version_that_may_be_cut_is_shown_as_such():
    there = world(chain("F" + "I" * 59))
    text = "\n".join(shown(World(there.sets, produced.without_facts(there.repository))))
    assert "at least 50 backups (50 incr), the newest drawn" in text
    assert "the newest 50 backup sets:" in text


def test_a_completed_backup_whose_set_is_not_listed_any_more_is_no_backup_without_a_set():
    there = world(chain("F" + "I" * 59))
    status = {"phase": "Completed", "label": there.sets[0].label, "storage": "local", "repo": 1}
    condition = {"type": "Available", "status": "True"}
    old = build("Backup", "old", repository="hippo", status=status | {"conditions": [condition]})
    gone = build(
        "Backup", "gone", repository="hippo", status=status | {"conditions": [condition | {"status": "False"}]}
    )
    terminal = Terminal(io.StringIO(), io.StringIO(), io.StringIO(), width=100)
    lines = show.of_repository(there.repository, [old, gone], terminal, ascii_only=True, now=NOW)
    assert [line.split()[0] for line in lines if line.startswith(("old", "gone"))] == ["gone"]


def test_status_tells_since_when_and_names_the_newest(there: World):
    everything = {"repositories": [there.repository], "backups": [], "backupschedules": [], "restores": []}
    (one,) = judge(everything, NOW)
    assert one.since == min(found.stop for found in there.sets)
    newest = max(there.sets, key=lambda found: (found.stop, found.label))
    assert one.last["label"] == newest.label


def test_damaged_sets_are_told_of_though_they_are_not_listed():
    sets = chain("F" + "I" * 59)
    sets = [replace(one, error=n in {0, 1, 59}) for n, one in enumerate(sets)]
    everything = {"repositories": [world(sets).repository], "backups": [], "backupschedules": [], "restores": []}
    said = [text for text in judge(everything, NOW)[0].wrong if "checksums" in text]
    assert [text.partition(" pages")[0] for text in said] == [
        f"backup set {sets[-1].label} has",
        "2 older backup sets have",
    ]


def test_what_a_restore_begins_with_is_the_newest_before_its_target_or_is_not_said(there: World):
    for storage in there.storages:
        sets = there.of(storage)
        assert begins(there, storage=storage) == sets[-1].label
        for one in some(sets):
            at = one.stop + timedelta(seconds=1)
            said = begins(there, storage=storage, target={"time": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
            assert said in {one.label, ""}
            assert said or len(there.sets) > 50


def begins(there: World, **spec: Any) -> str:
    restore = build("Restore", "rewind", repository="hippo", **spec)
    lines = data_loss.of_restore(restore, there.repository, NOW)
    return next((found[1] for line in lines if (found := re.search(r"begins with: *backup (\S+)", line))), "")


def test_who_deletes_a_cluster_reads_how_many_backup_sets_stay(there: World):
    cluster = build("PostgresCluster", "hippo", instances={"replicas": 1})
    text = "\n".join(cluster_data_loss.of_deletion(cluster, there.repository, [], NOW))
    assert f"{len(there.sets)} backup set{'s and their' if len(there.sets) > 1 else ' and its'} WAL" in text


def test_a_cluster_with_backups_has_them_and_names_the_newest(there: World):
    found = cluster_facts()
    store = replace(found.store, system_identifier=str(produced.SYSTEM))
    found = replace(found, repository=there.repository, store=store)
    assert found.has_backup
    newest = max(there.sets, key=lambda one: (one.stop, one.label))
    assert cluster_report.status(found, ClusterDecision(None, ""))["lastBackup"]["label"] == newest.label


def test_a_repository_that_holds_an_earlier_cluster_is_not_taken_for_an_empty_one(there: World):
    storages = there.repository["spec"]["storageType"]
    found = replace(cluster_facts(leader=""), own=clone.Source(there.repository, produced.read(there.sets, storages)))
    verdict = beginning.origin(found)
    assert isinstance(verdict, Hindrance)
    assert verdict.reason == "RepositoryNotEmpty"


def statuses(sets: list[Set], *gone: Set) -> tuple[Object, Object]:
    """Of a Repository before and after sets of it have gone."""
    before = world(sets)
    return before.status, world([one for one in sets if one not in gone], before=before.status).status


def test_what_falls_off_the_end_of_the_list_is_not_lost():
    sets = chain("F" * 61)
    assert backups_available.lost(world(sets[:-1]).status, world(sets).status) == set()


@pytest.mark.parametrize("at", [-1, -20, -50], ids=["the newest", "a middle one", "the last that is listed"])
def test_a_listed_set_that_goes_is_lost(at: int):
    sets = chain("F" * 60)
    assert backups_available.lost(*statuses(sets, sets[at])) == {(sets[at].label, "local")}


def test_sets_of_a_storage_that_cannot_be_read_are_not_lost():
    before = two(chain("F" + "I" * 9), OLD_S3)
    assert backups_available.lost(before.status, unreadable(before).status) == set()
    after = produced.facts(produced.read(before.sets, "local,s3", unreadable=[2]), "local,s3")
    assert set(backups_available.read(after)) == {"local"}


def completed(one: Set, storage: str = "local", ended: datetime | None = None) -> Object:
    when = f"{ended or one.stop + timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"
    status = {"phase": "Completed", "label": one.label, "repo": one.repo, "storage": storage, "completionTime": when}
    return build("Backup", f"b-{one.number}", repository="hippo", status=status)


def test_a_set_that_was_beyond_the_list_is_missed_all_the_same():
    sets = chain("F" * 60)
    there = backups_available.read(produced.facts(produced.read(sets[1:])))
    assert [backups_available.is_missing(completed(one), there, NOW) for one in sets] == [True, *[False] * 59]


def test_a_set_that_was_completed_while_the_storages_were_asked_is_not_missed():
    sets = chain("FF")
    there = backups_available.read(produced.facts(produced.read(sets[:1])))
    late = NOW + timedelta(seconds=1)
    assert not backups_available.is_missing(completed(sets[1], ended=late), there, NOW)
    assert not backups_available.is_missing(completed(sets[1], ended=NOW), there, NOW + timedelta(milliseconds=900))
    assert backups_available.is_missing(completed(sets[1], ended=NOW), there, late)


def test_a_set_in_a_storage_that_cannot_be_read_is_not_missed():
    sets = chain("F" * 3, repo=2)
    there = backups_available.read(produced.facts(produced.read(sets, "local,s3", unreadable=[2]), "local,s3"))
    assert not backups_available.is_missing(completed(sets[0], "s3"), there, NOW)


def test_a_set_whose_label_is_in_another_storage_is_missed():
    sets = chain("F" * 3)
    there = backups_available.read(produced.facts(produced.read(sets, "local,s3"), "local,s3"))
    assert backups_available.is_missing(completed(sets[0], "s3"), there, NOW)
    assert not backups_available.is_missing(completed(sets[0], "local"), there, NOW)


def test_a_look_without_info_keeps_all_that_was_known():
    before = two(weekly(60), OLD_S3).status
    after = produced.stored(report.status(produced.facts(None, "local,s3", before=before), {}))
    for field in ("backups", "backupCount", "recoveryWindow", "lastBackup"):
        assert after[field] == before[field]
    facts = [{key: value for key, value in one.items() if key in backup_sets.FACTS} for one in after["storages"]]
    assert facts == [
        {key: value for key, value in one.items() if key in backup_sets.FACTS} for one in before["storages"]
    ]


def test_the_list_of_a_repositorys_backups_is_read_in_one_place():
    reads = re.compile(r"""["']status["'], ["']backups["']|(status|found|before|after)\)?(\.get\(|\[)["']backups["']""")
    readers = {
        str(path.relative_to(sources.ROOT)) for path in sources.modules() if reads.search(path.read_text("utf-8"))
    }
    assert readers == {"pgwarden/rules/backup_sets.py"}
