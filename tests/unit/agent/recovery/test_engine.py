"""A whole recovery with a real PostgreSQL: what comes back, what it survives, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest

from harness.waiting import SLOWER
from tests.unit.agent.recovery.conftest import BIN, processes, run, wait

MOMENTS: dict[str, str] = {}


@pytest.fixture(scope="module")
def archived(source):
    """Ten rows in the backup, then two segments of a thousand rows each. Of these moments the names are in MOMENTS."""
    source.sql("CREATE TABLE t (id int)", "INSERT INTO t SELECT generate_series(1, 10)")
    source.back_up()
    source.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    MOMENTS["first"] = source.archive()
    MOMENTS["between"] = source.sql("SELECT clock_timestamp()")
    source.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    MOMENTS["second"] = source.archive()
    source.sql("SELECT txid_current()")
    MOMENTS["third"] = source.archive()
    MOMENTS["after"] = source.sql("SELECT clock_timestamp() + '1 minute'")
    return source


def rows(one) -> str:
    return one.serve().sql("SELECT count(*) FROM t")


def phase(one) -> str | None:
    """From the script's notes: a segment that is asked for again is followed."""
    lines = [line for path in one.run_dir.glob("*/wal") for line in path.read_text().splitlines()]
    asked = [line for line in lines if line.endswith(" ?")]
    return asked[-1] if len(asked) > 1 else None


def test_all_archived_rows_come_back_on_a_new_timeline(archived, recovering):
    one = recovering()
    one.start()
    code, result = one.result()
    assert (code, result["ok"], result["timeline"], result["set"]) == (0, True, 2, "20261128-200000F"), one.picture()
    assert result["reached"].endswith("Z")
    assert result["segment"] == MOMENTS["third"]
    assert result["segments"] >= 3
    assert rows(one) == "2010"
    assert not (one.data / "recovery.signal").exists()


def test_a_moment_in_the_past_is_reached_and_no_more(archived, recovering):
    one = recovering(target={"recovery_target_time": MOMENTS["between"], "recovery_target_action": "promote"})
    one.start()
    assert one.result()[0] == 0, one.picture()
    assert rows(one) == "1010"
    assert "recovery_target" not in (one.data / "postgresql.auto.conf").read_text()


def test_a_copy_has_nothing_left_of_what_tied_its_source_and_waits_for_the_configuration_of_that(archived, recovering):
    commands = {"recovery_end_command": "touch /tmp/pgwarden-ran", "session_preload_libraries": "/tmp/evil"}
    one = recovering("--copy", target={"primary_conninfo": "host=elsewhere", "work_mem": "8MB"} | commands)
    (one.root / "pgbackrest.conf").unlink()
    one.start()
    wait(lambda: (one.agent.poll() is None and (one.run_dir / "orders").exists()) or None, "it waits")
    assert not one.data.exists()
    (one.root / "pgbackrest.conf").touch()
    assert one.result()[0] == 0, one.picture()
    left = (one.data / "postgresql.auto.conf").read_text()
    assert "work_mem" in left
    assert "primary_conninfo" not in left
    assert "restore_command" not in left
    assert "evil" not in left
    assert not Path("/tmp/pgwarden-ran").exists()
    configured = (one.data / "postgresql.conf").read_text().splitlines()
    assert [line for line in configured if line.startswith("archive_command")] == []
    assert "archive_mode=on" in configured
    assert rows(one) == "2010"


def test_a_moment_after_the_last_commit_is_all_there_is_and_a_note_says_so(archived, recovering):
    one = recovering("--target-time", "2030-01-01T00:00:00Z", target={"recovery_target_time": MOMENTS["after"]})
    one.start()
    code, result = one.result()
    assert code == 0, one.picture()
    assert (
        "2030-01-01T00:00:00Z lies after the end of the archived WAL; the last commit in it is of 20" in result["note"]
    )
    assert rows(one) == "2010"


@pytest.mark.parametrize("timed", [False, True], ids=["latest", "a moment after the last commit"])
def test_the_segment_that_a_dead_server_was_writing_is_replayed_as_far_as_it_goes(archived, recovering, timed):
    moment = ("--target-time", "2030-01-01T00:00:00Z")
    target = {"recovery_target_time": MOMENTS["after"]}
    one = recovering(*moment, target=target) if timed else recovering()
    (one.repo / "wal" / MOMENTS["third"]).unlink()
    last = one.repo / "wal" / MOMENTS["second"]
    last.rename(last.with_name(f"{last.name}.partial"))
    one.start()
    assert one.result()[0] == 0, one.picture()
    assert rows(one) == "2010"


@pytest.mark.parametrize(
    ("target", "named"),
    [
        pytest.param({"recovery_target_name": "nowhere"}, "name nowhere", id="name"),
        pytest.param({"recovery_target_lsn": "F/0"}, "lsn F/0", id="position"),
    ],
)
def test_a_target_that_is_not_in_the_wal_is_final(archived, recovering, target, named):
    one = recovering(target=target)
    one.start()
    code, result = one.result()
    assert (code, result["reason"], result["copied"]) == (1, "TargetNotReached", True), one.picture()
    assert named in result["error"]


@pytest.mark.parametrize("target", [{}, {"recovery_target_time": "after"}], ids=["latest", "time"])
def test_a_hole_is_not_taken_for_the_end(archived, recovering, target):
    one = recovering(target={name: MOMENTS[value] for name, value in target.items()})
    (one.repo / "wal" / MOMENTS["second"]).unlink()
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "MissingSegment"), one.picture()
    assert f"{MOMENTS['second']} is missing in the archive, {MOMENTS['third']} is there" in result["error"]
    assert (one.data / "recovery.signal").exists()  # it was not promoted


@pytest.mark.parametrize("target", [{}, {"recovery_target_time": "after"}], ids=["latest", "time"])
def test_a_segment_that_cannot_be_replayed_is_not_taken_for_the_end(archived, recovering, target):
    one = recovering(target={name: MOMENTS[value] for name, value in target.items()})
    file = one.repo / "wal" / MOMENTS["second"]
    file.write_bytes(file.read_bytes()[:8192] + bytes(8192) + file.read_bytes()[16384:])
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "CorruptSegment"), one.picture()
    assert MOMENTS["second"] in result["error"]
    assert f"the archive goes on to {MOMENTS['third']}" in result["error"]


@pytest.mark.parametrize("flags", [(), ("--follow",)], ids=["to the end", "following"])
def test_the_last_segment_is_not_the_end_where_its_bytes_are_not_those_that_were_archived(archived, recovering, flags):
    one = recovering(*flags)
    file = one.repo / "wal" / MOMENTS["third"]
    (one.repo / "sums").mkdir()
    (one.repo / "sums" / file.name).write_text(hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest())
    file.write_bytes(bytes(len(file.read_bytes())))
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "CorruptSegment"), one.picture()
    assert "its bytes in the archive are not those that were archived" in result["error"]
    assert (one.data / "recovery.signal").exists()  # it was not promoted


def test_a_segment_that_replay_ends_in_is_told_before_the_old_server_is_stopped(archived, recovering):
    one = recovering("--follow")
    file = one.repo / "wal" / MOMENTS["second"]
    file.write_bytes(file.read_bytes()[:8192] + bytes(8192) + file.read_bytes()[16384:])
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "CorruptSegment"), one.picture()


def test_a_segment_that_cannot_be_unpacked_is_told_as_such_though_the_wrapper_tries_on(archived, recovering):
    one = recovering()
    (one.repo / f"{MOMENTS['second']}.error").touch()
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "CorruptSegment"), one.picture()
    assert MOMENTS["second"] in result["error"]
    assert "FormatError" in result["error"]


def test_slots_for_prepared_transactions_that_were_added_after_the_backup_are_found_out(archived, recovering):
    one = recovering()
    archived.stop()
    with (archived.data / "postgresql.conf").open("a") as conf:
        conf.write("max_prepared_transactions = 90\nmax_connections = 250\nmax_wal_senders = 30\n")
    archived.start()
    for number in range(80):
        archived.sql(f"BEGIN; INSERT INTO t VALUES ({number}); PREPARE TRANSACTION '{number}'")
    archived.archive()
    run("cp", "-a", f"{archived.repo}/wal", one.repo)
    one.start()
    code, result = one.result()
    assert code == 0, one.picture()
    assert "WAL needed more than the backup knew of: max_prepared_transactions = " in result["note"]
    assert "maximum number of prepared transactions reached" in (one.root / "server.log").read_text()
    for number in range(80):
        archived.sql(f"ROLLBACK PREPARED '{number}'")


def test_it_follows_the_archive_until_it_is_to_finish(archived, recovering):
    one = recovering("--follow", live=True)
    one.start()
    wait(lambda: phase(one), "it follows")
    archived.sql("CREATE TABLE followed AS SELECT generate_series(1, 7) AS id")
    segment = archived.archive()
    wait(lambda: phase(one) if f"{segment} 0" in notes(one) else None, f"{segment} is replayed")
    (one.run_dir / "finish").touch()
    one.kill_agent()  # the next one finds the server, and what is asked of it
    one.start_agent()
    code, result = one.result()
    assert (code, result["segment"]) == (0, segment), one.picture()
    assert one.serve().sql("SELECT count(*) FROM followed") == "7"


def notes(one) -> str:
    return "".join(path.read_text() for path in one.run_dir.glob("*/wal"))


def test_a_pod_that_is_killed_while_it_replays_is_followed_by_one_that_does_not_copy_again(archived, recovering):
    one = recovering("--follow")
    one.start()
    wait(lambda: phase(one), "it follows")
    one.kill_pod()
    one.pod()
    one.data.chmod(0o2770)  # as the kubelet does with fsGroup
    one.start()
    wait(lambda: phase(one), "it follows again")
    (one.run_dir / "finish").touch()
    one.kill_agent()
    one.start_agent()
    assert one.result()[0] == 0, one.picture()
    assert (one.repo / "calls").read_text().count(" restore ") == 1
    assert rows(one) == "2010"


@pytest.mark.parametrize("quiet", [True, False], ids=["nothing is archived any more", "WAL comes"])
def test_a_server_that_is_killed_is_started_again_and_promoted_by_itself_alone(archived, recovering, quiet):
    """Its startup process outlives it, in the script that waits for WAL, and would promote by itself."""
    one = recovering("--follow", live=True)
    one.start()
    wait(lambda: phase(one), "it follows")
    starts = sorted(one.run_dir.glob("[0-9]*/answers"), key=lambda path: int(path.parent.name))
    os.kill(int((starts[-1].parent / "pid").read_text()), signal.SIGKILL)
    segment = ""
    if not quiet:
        archived.sql("CREATE TABLE after_the_kill AS SELECT generate_series(1, 5) AS id")
        segment = archived.archive()
    (one.run_dir / "finish").touch()
    one.kill_agent()
    one.start_agent()
    code, result = one.result(90)
    assert (code, result.get("ok")) == (0, True), one.picture()
    assert result["timeline"] > 1
    assert len(list(one.run_dir.glob("[0-9]*/answers"))) == len(starts) + 1, one.picture()
    served = one.serve()
    assert served.sql("SELECT timeline_id FROM pg_control_checkpoint()") == str(result["timeline"])
    if segment:
        assert served.sql("SELECT count(*) FROM after_the_kill") == "5"


def test_a_pod_that_is_deleted_shuts_the_server_down(archived, recovering):
    one = recovering("--follow")
    one.start()
    wait(lambda: phase(one), "it follows")
    one.server.terminate()
    assert one.server.wait(20 * SLOWER) == 143
    assert processes(one.data) == []
    assert one.termination.read_text() == ""
    one.kill_agent()
    one.pod()
    (one.run_dir / "finish").touch()
    one.start()
    assert one.result()[0] == 0, one.picture()


def test_a_failover_meanwhile_is_followed(archived, recovering):
    one = recovering("--follow", live=True)
    one.start()
    wait(lambda: phase(one), "it follows")
    archived.stop()
    (archived.data / "standby.signal").touch()
    archived.start()
    run(BIN / "pg_ctl", "-D", archived.data, "-w", "promote")
    archived.sql("CREATE TABLE after_failover AS SELECT generate_series(1, 9) AS id")
    segment = archived.archive()
    assert segment.startswith("00000002")
    wait(lambda: phase(one) if f"{segment} 0" in notes(one) else None, f"{segment} is replayed", 60)
    (one.run_dir / "finish").touch()
    one.kill_agent()
    one.start_agent()
    code, result = one.result()
    assert (code, result["timeline"], result["segment"]) == (0, 3, segment), one.picture()
    assert one.serve().sql("SELECT count(*) FROM after_failover") == "9"


def test_a_recovery_that_was_done_when_its_pod_was_lost_is_only_told_again(archived, recovering):
    one = recovering()
    one.start()
    code, result = one.result()
    assert code == 0, one.picture()
    # The pod was lost after postgresql.auto.conf was put back, before anybody had read the result.
    was = {"uid": "uid-1", "auto_conf": "# as it was\nrecovery_target_time = 'x'\n", "result": result}
    (one.data / "pgwarden-recovery.json").write_text(json.dumps(was))
    (one.repo / "calls").unlink()
    one.pod()
    one.start()
    assert one.result() == (0, result), one.picture()
    assert (one.data / "postgresql.auto.conf").read_text() == "# as it was\n"
    assert not (one.repo / "calls").exists()


def test_a_volume_of_somebody_else_is_not_touched(archived, recovering):
    one = recovering()
    one.data.mkdir()
    (one.data / "PG_VERSION").write_text("15\n")
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "VolumeNotEmpty"), one.picture()


def test_a_copy_that_fails_says_why(archived, recovering):
    one = recovering()
    error = "ERROR: [082]: unable to write '/d/base/1/2': [28] No space left on device"
    (one.repo / "restore.error").write_text(f"2026-11-28 20:00:00.000 P00  {error}")
    one.start()
    code, result = one.result()
    assert (code, result["exitCode"], result["reason"]) == (1, 82, "OutOfSpace"), one.picture()
    assert error in result["error"]


def test_an_image_without_postgresql_is_told(archived, recovering):
    one = recovering("--bin", "/nowhere")
    one.start()
    code, result = one.result()
    assert (code, result["reason"]) == (1, "NoServer"), one.picture()
    assert "needs /bin/sh and PostgreSQL 15" in result["error"]


def test_prepared_transactions_come_back_with_room_for_them_in_the_configuration(source, recovering):
    """Without it the server would not start: the file is that of the backup, from before the parameter was raised."""
    source.sql("CREATE TABLE IF NOT EXISTS p (id int)")
    source.back_up()
    source.sql("ALTER SYSTEM SET max_prepared_transactions = 5")
    source.stop()
    source.start()
    source.sql("BEGIN", "INSERT INTO p VALUES (1)", "PREPARE TRANSACTION 'waits'")
    source.archive()
    try:
        one = recovering()
        one.start()
        assert one.result()[0] == 0, one.picture()
        served = one.serve()
        served.sql("COMMIT PREPARED 'waits'")
        assert served.sql("SELECT count(*) FROM p") == "1"
    finally:
        source.sql("ROLLBACK PREPARED 'waits'")
