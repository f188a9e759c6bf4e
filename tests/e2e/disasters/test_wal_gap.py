"""A segment that is lost in the storage, and a database that is quiet: what can be recovered is told as it is."""

from __future__ import annotations

import pytest

from harness import foretold
from harness.command_line import pgwarden
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import backup, in_host, protect, restore
from harness.postgres import SWITCH, Postgres
from harness.waiting import until
from pgwarden.contract import server_facts


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    found = protect(space, installed.postgres_image)
    found.sql("CREATE TABLE notes (id int)")
    space.apply(backup("base", "--type=full"))
    space.until("pgb", "base", phase("Completed"), "is completed", 180)
    space.until("pgrepo", "hippo", lambda r: r["status"].get("recoveryWindow"), "knows its recovery window", 60)
    return found


def set_by(who: str):
    def good(repository: Object) -> bool:
        told = server_facts.of(repository).archive_timeout
        return told is not None and told.set_by == who

    return good


def test_a_quiet_database_loses_a_minute_at_most(postgres: Postgres, space: Kubectl):
    space.until("pgrepo", "hippo", set_by("pgwarden"), "has archive_timeout set", 60)
    assert postgres.sql("SHOW archive_timeout") == "1min"
    segment = postgres.sql("INSERT INTO notes VALUES (1); SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    archived = "SELECT last_archived_wal FROM pg_stat_archiver"
    until(lambda: postgres.sql(archived)[:24] >= segment, f"{segment} is archived by itself", 90)


def test_the_users_own_value_wins_and_off_takes_pgwardens_back(postgres: Postgres, space: Kubectl):
    postgres.run("sh", "-c", "echo \"archive_timeout = '5min'\" >> $PGDATA/postgresql.conf")
    postgres.sql("SELECT pg_reload_conf()")
    until(lambda: postgres.sql("SHOW archive_timeout") == "5min", "PostgreSQL has the user's value", 90)
    space.until("pgrepo", "hippo", set_by("user"), "knows whose it is", 60)
    postgres.run("sh", "-c", "sed -i /^archive_timeout/d $PGDATA/postgresql.conf")
    postgres.sql("SELECT pg_reload_conf()")
    until(lambda: postgres.sql("SHOW archive_timeout") == "1min", "pgwarden has set it again", 120)
    off = '{"spec": {"archiveTimeout": "off"}}'
    space.run("patch", "pgrepo", "hippo", "--type=merge", "-p", off)
    until(lambda: postgres.sql("SHOW archive_timeout") == "0", "it is as it was", 120)


def write_segments(postgres: Postgres, first: int, many: int) -> list[str]:
    """Archived, one row in each."""
    segments = []
    for number in range(first, first + many):
        postgres.sql(f"INSERT INTO notes VALUES ({number})")
        segments.append(postgres.sql(SWITCH))
    last = segments[-1]
    until(lambda: postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= last, "all are archived", 60)
    return segments


def lose(space: Kubectl, segment: str) -> None:
    in_host(space, "find", "/pgwarden/repo/archive/hippo", "-name", f"{segment}-*", "-delete")


def test_a_lost_segment_that_postgresql_still_has_is_archived_again(postgres: Postgres, space: Kubectl):
    _, lost, _ = write_segments(postgres, 2, 3)
    lose(space, lost)
    until(lambda: lost in in_host(space, "find", "/pgwarden/repo/archive/hippo"), f"{lost} is there again", 300)
    space.until("pgrepo", "hippo", lambda one: not gaps(one), "has no gap any more", 180)
    events = space.run("get", "events", "-o", "jsonpath={.items[*].reason}").stdout
    assert "WALBroughtBack" in events
    assert [one for one in space.list("pgb") if "-after-" in one["metadata"]["name"]] == []


def test_a_lost_segment_is_told_and_a_backup_begins_a_new_window(postgres: Postgres, space: Kubectl):
    segments = write_segments(postgres, 10, 6)
    for _ in range(2):  # PostgreSQL needs them no more
        postgres.sql("CHECKPOINT")
    assert segments[2] not in postgres.sql("SELECT name FROM pg_ls_waldir()")
    behind = postgres.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    lose(space, segments[2])
    told = space.until("pgrepo", "hippo", gaps, "tells of the segment that is missing", 240)
    (gap,) = gaps(told)
    assert (gap["missing"], gap["segments"], gap["next"]) == (segments[2], 1, segments[3])
    name = f"hippo-after-{segments[2].lower()}"
    space.until("pgb", name, phase("Completed"), "is asked for, and completed", 180)
    mended = space.until("pgrepo", "hippo", is_true("WALContinuous"), "has a backup after the gap", 60)
    assert segments[2] in condition(mended, "WALContinuous")["message"]
    newest, oldest = mended["status"]["recoveryWindow"]
    assert "missing" not in newest
    assert oldest["missing"] == segments[2]
    assert oldest["latest"] <= behind <= newest["earliest"]
    told = pgwarden(space, "status", "hippo").stdout
    assert newest["earliest"].replace("T", " ") in told.splitlines()[0]
    assert f"WAL segment {segments[2]} is missing after that" in told
    events = space.run("get", "events", "-o", "jsonpath={.items[*].reason}").stdout
    assert "WALMissing" in events


def test_a_restore_to_a_moment_behind_the_gap_is_refused_and_one_before_it_is_done(postgres: Postgres, space: Kubectl):
    newest, oldest = space.get("pgrepo", "hippo")["status"]["recoveryWindow"]
    behind = newest["earliest"].replace("Z", ".000000Z")
    moment = postgres.sql(
        f"SELECT to_char(timestamptz '{behind}' AT TIME ZONE 'UTC' - interval '1 s', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    )
    said = space.refused(restore("behind", {"time": moment}))
    assert f"WAL segment {oldest['missing']} is missing in storage local" in said
    assert f"choose a target time up to then, or from {newest['earliest']} on" in said
    foretold.carried_out(space, restore("latest"))
    postgres.wait_ready()
    assert postgres.sql("SELECT count(*) FROM notes") == "10"


def gaps(repository: Object) -> list[Object]:
    """Of all storages."""
    return [gap for storage in repository["status"].get("storages", []) for gap in storage.get("gaps", [])]
