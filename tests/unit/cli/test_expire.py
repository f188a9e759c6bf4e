"""expire: what is said before, what is asked, and the one word that is written."""

from __future__ import annotations

import argparse
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pgwarden.api import names
from pgwarden.cli import expire
from pgwarden.cli.errors import CliError
from pgwarden.cli.protection_room import of_room

OLD, NEW = "20261101-000000F", "20261108-000000F"
EXPIRABLE = {"label": OLD, "sets": 3, "size": 3 * 2**30}


def repository(expirable: dict[str, Any] | None = EXPIRABLE, percent: int = 10, **reasons: str) -> dict[str, Any]:
    """*reasons*: of conditions that are False."""
    local: dict[str, Any] = {"name": "local", "repo": 1, "backupCount": 2, "reachable": True}
    local["volume"] = {"size": 10 * 2**30, "usedPercent": percent}
    listed = [
        {"label": NEW, "type": "full", "storage": "local", "repo": 1, "stopTime": "2026-11-08T00:10:00Z"},
        {"label": "20261105-000000F", "type": "full", "storage": "s3", "repo": 2, "stopTime": "2026-11-05T00:10:00Z"},
        {"label": OLD, "type": "full", "storage": "local", "repo": 1, "stopTime": "2026-11-01T00:10:00Z"},
    ]
    status = {
        "storages": [local | ({"expirable": expirable} if expirable else {}), {"name": "s3", "repo": 2}],
        "backups": listed,
        "conditions": [
            {"type": kind, "status": "False", "reason": reason, "message": f"of {kind}"}
            for kind, reason in reasons.items()
        ],
    }
    spec = {"storageType": "local,s3"}
    return {"kind": "Repository", "metadata": {"name": "hippo", "namespace": "zoo"}, "spec": spec, "status": status}


SAID = (
    f"full backup {OLD} with 2 sets on it (3.0 GiB) is expired in storage local, with all WAL before the next full "
    "backup; what was before 2026-11-08 00:10:00Z cannot be recovered from it any more"
)


def test_what_goes_and_what_can_be_recovered_then_is_said():
    assert expire.consequence(repository(), OLD) == SAID
    alone = expire.consequence(repository({"label": OLD, "sets": 1, "size": 5}), OLD)
    assert alone.startswith(f"full backup {OLD} (5 B) is expired")


def test_of_a_list_that_is_cut_no_moment_is_told():
    cut = repository()
    cut["status"]["storages"][0]["backupCount"] = 60
    assert expire.consequence(cut, OLD).endswith("with all WAL before the next full backup")


def test_without_anything_to_spare_it_says_so():
    with pytest.raises(CliError, match="hippo has nothing to expire: the newest full backup stays"):
        expire.chosen(repository(None), "")


class Session:
    namespace = "zoo"

    def __init__(self) -> None:
        self.merged: list[tuple[str, Any]] = []
        self.client = SimpleNamespace(merge=self._merge)

    async def repository(self, name: str) -> dict[str, Any]:
        assert name == "hippo"
        return repository()

    async def _merge(self, path: str, body: Any) -> None:
        self.merged.append((path, body))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    found = Session()

    @asynccontextmanager
    async def connect(_args: Any):
        yield found

    monkeypatch.setattr(expire, "connect", connect)
    return found


def args(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(**({"repository": "hippo", "set": None, "dry_run": False, "yes": False} | given))


async def test_who_agrees_writes_the_one_word(session: Session, someone):
    terminal = someone("y\n")
    assert await expire.run(args(), terminal) == 0
    ((path, body),) = session.merged
    assert path.endswith("/namespaces/zoo/repositories/hippo")
    assert body == {"metadata": {"annotations": {names.ANNOTATION_EXPIRE: OLD}}}
    assert SAID in terminal.err.getvalue()
    assert f"{OLD} is expired as soon as no Backup or Restore runs" in terminal.out.getvalue()


async def test_another_full_backup_can_be_named(session: Session, terminal):
    await expire.run(args(yes=True, set=NEW), terminal)
    ((_, body),) = session.merged
    assert body["metadata"]["annotations"] == {names.ANNOTATION_EXPIRE: NEW}


async def test_nothing_is_written_by_a_dry_run_or_without_a_yes(session: Session, someone, terminal):
    assert await expire.run(args(dry_run=True), terminal) == 0
    with pytest.raises(CliError, match="nothing was changed"):
        await expire.run(args(), someone("n\n"))
    with pytest.raises(CliError, match="no terminal"):
        await expire.run(args(), terminal)
    assert session.merged == []


# --- status ----------------------------------------------------------------------------------------------------------

WAY_OUT = (
    "to make room in storage local: `kubectl pgwarden expire hippo` expires the oldest full backup and 2 sets on it "
    "(3.0 GiB)"
)


def test_a_volume_that_fills_up_is_a_note_and_one_that_is_nearly_full_is_wrong():
    assert of_room(repository(HasRoom="VolumeFillsUp")).notes == ("of HasRoom",)
    assert of_room(repository(HasRoom="VolumeNearlyFull")).wrong == ("of HasRoom",)
    assert of_room(repository()) == of_room({"metadata": {}, "status": {}})


def test_the_way_to_make_room_has_a_line_of_its_own_where_the_storages_volume_fills_up():
    assert of_room(repository(percent=85, HasRoom="VolumeFillsUp")).notes == ("of HasRoom", WAY_OUT)
    assert of_room(repository(Writable="RepositoryFull")).notes == (WAY_OUT,)
    assert of_room(repository(None, percent=99)).notes == ()
    told = repository(HasRoom="VolumeFillsUp")
    told["status"]["conditions"][0]["message"] = (
        "the volume of storage local is 85 % full. To make room: expire the oldest full backup X: kubectl pgwarden "
        "expire hippo; the data volume of pod db-0 is 81 % full"
    )
    assert of_room(told).notes == (
        "the volume of storage local is 85 % full; the data volume of pod db-0 is 81 % full",
    )


@pytest.mark.parametrize(
    ("reason", "wrong"),
    [("Expanding", 0), ("FileSystemResizePending", 0), ("ClaimNotExpanded", 1), ("ExpansionFailed", 1)],
)
def test_a_claim_that_does_not_grow_is_told(reason: str, wrong: int):
    found = of_room(repository(Sized=reason))
    assert (len(found.wrong), len(found.notes)) == (wrong, 1 - wrong)
