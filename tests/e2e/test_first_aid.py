"""The primary's data is gone, schedules have fired since, and somebody restores: the rows come back, before any Backup."""

from __future__ import annotations

import time

from harness.kubectl import Kubectl, condition, phase
from harness.objects import archived, backup, protect, restore, schedule
from harness.postgres import SWITCH, Postgres
from harness.s3_steps import figure
from harness.waiting import until

OVER = phase("Completed", "Failed")


def test_a_restore_goes_before_the_scheduled_backups_that_wait_for_the_primary_it_brings_back(
    installed, space: Kubectl
):
    postgres = protect(space, installed.postgres_image)
    postgres.sql("CREATE TABLE notes AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 5000) AS i")
    space.apply(backup("base", type="full"))
    assert space.until("pgb", "base", OVER, "ends", 180)["status"]["phase"] == "Completed"
    postgres.sql("INSERT INTO notes VALUES (5001, 'after the backup')")
    wal = postgres.sql(SWITCH)
    until(lambda: wal in archived(space), f"{wal} is archived", 90)
    postgres.sql("INSERT INTO notes VALUES (5002, 'in no segment that PostgreSQL has archived')")
    rows, moment = postgres.rows("notes"), postgres.sql("SELECT clock_timestamp()")  # after the last commit of all
    lose(postgres, space)
    for name in ("nightly", "hourly"):
        space.apply(schedule(name, "*/5 * * * * *"))
    waiting = [waits(space, name) for name in ("nightly", "hourly")]
    space.run("delete", "pgbs", "nightly", "hourly")
    space.apply(restore("rescue", {"time": moment}))
    began = time.monotonic()
    done = space.until("pgr", "rescue", OVER, "ends", 240)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    assert "all that it wrote is archived" in condition(done, "Fenced")["message"]
    postgres.wait_ready()
    assert postgres.rows("notes") == rows
    figure(
        f"{' and '.join(waiting)} waited for a primary; Restore rescue: {time.monotonic() - began:.0f} s to its backup"
    )
    for name in waiting:  # nothing is lost: they take their turn now
        found = space.until("pgb", name, OVER, "ends", 180)
        assert found["status"]["phase"] == "Completed", found["status"]["message"]
        assert found["status"]["startTime"] > done["status"]["startTime"]


def lose(postgres: Postgres, space: Kubectl) -> None:
    """What PostgreSQL cannot start without, and PostgreSQL itself."""
    where = postgres.sql("SHOW data_directory")
    script = f"rm {where}/global/pg_control && kill -QUIT $(head -n 1 {where}/postmaster.pid)"
    space.run("exec", postgres.pod, "-c", postgres.container, "--", "sh", "-c", script)
    space.until("pgrepo", "hippo", lambda one: not one["status"].get("primary"), "has no primary", 90)


def waits(space: Kubectl, name: str) -> str:
    """The Backup of schedule *name*, once it waits for the primary."""

    def look() -> str:
        listed = space.list("pgb", f"pgwarden.io/schedule={name}")
        found = [one["metadata"]["name"] for one in listed if one.get("status", {}).get("reason") == "NoPrimary"]
        return found[0] if found else ""

    return until(look, f"a Backup of {name} waits for a primary", 60)
