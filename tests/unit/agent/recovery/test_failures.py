"""Lines of PostgreSQL's log, as 14 to 18 write them → where a recovery is, and what went wrong."""

from __future__ import annotations

import pytest

from agent.recovery import failures
from agent.recovery.failures import Context
from agent.recovery.server_log import ServerLog, rfc3339

PREFIX = "2026-11-28 21:34:33.123 UTC [42] "
CONTEXT = Context(
    major="17",
    parameters={"max_connections": 100, "max_prepared_transactions": 0, "max_replication_slots": 10},
    target={"recovery_target_name": "here", "recovery_target_action": "promote"},
)


def log(*lines: str) -> ServerLog:
    found = ServerLog()
    for line in lines:
        found.feed(PREFIX + line)
    return found


FINAL = [
    pytest.param(
        ['FATAL:  could not write to file "pg_wal/xlogtemp.42": No space left on device'],
        "OutOfSpace", "restore into a larger one", id="full, 14-16",
    ),
    pytest.param(
        ['PANIC:  could not write to file "pg_logical/replorigin_checkpoint.tmp": No space left on device'],
        "OutOfSpace", "replorigin_checkpoint", id="full, panic",
    ),
    pytest.param(
        ['FATAL:  could not extend file "base/5/1249": No space left on device', "HINT:  Check free disk space."],
        "OutOfSpace", "base/5/1249", id="full, a table",
    ),
    pytest.param(
        ['FATAL:  could not access file "pg_stat_statements": No such file or directory'],
        "LibraryMissing", '"pg_stat_statements"', id="a library",
    ),
    pytest.param(
        ['FATAL:  could not load library "/usr/lib/postgresql/17/lib/timescaledb.so": libssl.so.1.1: cannot open'],
        "LibraryMissing", "timescaledb.so", id="a library of a library",
    ),
    pytest.param(
        ["FATAL:  resource manager with ID 140 not registered", ("HINT:  Include the extension module that implements "
         'this resource manager in "shared_preload_libraries".')],
        "LibraryMissing", "resource manager 140", id="no library known",
    ),
    pytest.param(
        ["FATAL:  database files are incompatible with server",
         ("DETAIL:  The data directory was initialized by PostgreSQL version 17, which is not compatible with this "
         "version 16.4.")],
        "WrongVersion", "use an image of PostgreSQL 17", id="another major",
    ),
    pytest.param(
        ["FATAL:  requested timeline 3 is not a child of this server's history",
         ('DETAIL:  Latest checkpoint in file "backup_label" is at 0/6000060 on timeline 1, but in the history of the '
         "requested timeline, the server forked off from that timeline at 0/5000000.")],
        "WrongTimeline", "choose another timeline", id="a timeline that forked off before",
    ),
    pytest.param(
        ["FATAL:  recovery target timeline 9 does not exist"], "WrongTimeline", "timeline 9", id="no such timeline"
    ),
    pytest.param(
        ["FATAL:  requested timeline 2 does not contain minimum recovery point 0/7000000 on timeline 1"],
        "WrongTimeline", "minimum recovery point", id="a timeline without the backup's end",
    ),
    pytest.param(
        ["FATAL:  recovery ended before configured recovery target was reached"],
        "TargetNotReached", "no name here", id="no such restore point",
    ),
    pytest.param(
        ["FATAL:  WAL ends before end of online backup",
         "HINT:  All WAL generated while online backup was taken must be available at recovery."],
        "MissingSegment", "online backup", id="WAL of the backup, 14-18",
    ),
    pytest.param(
        ["FATAL:  WAL ends before consistent recovery point"], "MissingSegment", "set", id="WAL up to consistency"
    ),
    pytest.param(
        ["FATAL:  could not locate required checkpoint record",
         'HINT:  If you are restoring from a backup, touch "/d/recovery.signal" or "/d/standby.signal".'],
        "MissingSegment", "checkpoint record", id="the first segment, 14-16",
    ),
    pytest.param(
        ["FATAL:  could not locate required checkpoint record at 0/2000060"],
        "MissingSegment", "0/2000060", id="the first segment, 17-18",
    ),
    pytest.param(
        ["FATAL:  WAL was generated with wal_level=minimal, cannot continue recovering",
         "DETAIL:  This happens if you temporarily set wal_level=minimal on the server."],
        "WalLevelMinimal", "minimal", id="wal_level, 14-16",
    ),
    pytest.param(
        ['FATAL:  WAL was generated with "wal_level=minimal", cannot continue recovering'],
        "WalLevelMinimal", "minimal", id="wal_level, 17-18",
    ),
    pytest.param(
        ["FATAL:  database locale is incompatible with operating system",
         'DETAIL:  The database was initialized with LC_COLLATE "en_US.utf8",  which is not recognized by setlocale().'],
        "LocaleMissing", "en_US.utf8", id="a locale",
    ),
    pytest.param(
        ['FATAL:  archive file "000000010000000000000003" has wrong size: 8192 instead of 16777216'],
        "CorruptSegment", "000000010000000000000003", id="a segment cut off",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "reason", "named"), FINAL)
def test_what_is_wrong_with_the_backup_or_the_image_is_final_and_named(lines, reason, named):
    found = failures.judge(log(*lines), 1, CONTEXT)
    assert (found.reason, found.final) == (reason, True)
    assert named in found.message


def test_a_parameter_is_raised_to_what_the_wal_says():
    lines = [
        "FATAL:  recovery aborted because of insufficient parameter settings",
        "DETAIL:  max_connections = 100 is a lower setting than on the primary server, where its value was 300.",
        "HINT:  You can restart the server after making the necessary configuration changes.",
    ]
    found = failures.judge(log(*lines), 1, CONTEXT)
    assert (found.reason, found.final, dict(found.least)) == ("InsufficientParameter", False, {"max_connections": 300})


@pytest.mark.parametrize(
    ("line", "hint", "least"),
    [
        pytest.param(
            "FATAL:  maximum number of prepared transactions reached",
            "HINT:  Increase max_prepared_transactions (currently 0).",
            {"max_prepared_transactions": 64}, id="14-16",
        ),
        pytest.param(
            "FATAL:  maximum number of prepared transactions reached",
            'HINT:  Increase "max_prepared_transactions" (currently 0).',
            {"max_prepared_transactions": 64}, id="17-18",
        ),
        pytest.param(
            "PANIC:  could not find free replication state, increase max_replication_slots", "HINT:  -",
            {"max_replication_slots": 80}, id="origins, 14-17",
        ),
        pytest.param(
            'PANIC:  could not find free replication state, increase "max_active_replication_origins"', "HINT:  -",
            {"max_replication_slots": 80}, id="origins, 18",
        ),
    ],
)  # fmt: skip
def test_slots_are_multiplied_where_the_wal_does_not_say_how_many(line, hint, least):
    found = failures.judge(log(line, hint), 1, CONTEXT)
    assert (found.final, dict(found.least)) == (False, least)


def test_slots_are_not_multiplied_for_ever():
    context = Context(parameters={"max_prepared_transactions": failures.MOST_SLOTS})
    assert failures.judge(log("FATAL:  maximum number of prepared transactions reached"), 1, context).final


def test_libraries_are_loaded_where_wal_needs_one_and_only_once():
    lines = log("FATAL:  resource manager with ID 140 not registered")
    first = failures.judge(lines, 1, Context(libraries="a,b"))
    assert (first.preload, first.final) == (True, False)
    again = failures.judge(lines, 1, Context(libraries="a,b", preloaded=True))
    assert (again.reason, again.final) == ("LibraryMissing", True)


def test_a_moment_behind_the_end_is_recovered_to_the_end():
    context = Context(target={"recovery_target_time": "2030-01-01"})
    found = failures.judge(log("FATAL:  recovery ended before configured recovery target was reached"), 1, context)
    assert (found.to_end, found.final) == (True, False)


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        pytest.param(
            [('FATAL:  could not restore file "000000010000000000000003" from archive: child process exited with exit '
             "code 126")],
            1, "StorageNotReadable", id="the archive is away",
        ),
        pytest.param([], 137, "ServerKilled", id="killed"),
        pytest.param(
            ["LOG:  startup process (PID 44) was terminated by signal 9: Killed", "LOG:  aborting startup due to ..."],
            1, "ServerKilled", id="a process of it killed",
        ),
        pytest.param(["LOG:  something new"], 1, "ServerFailed", id="whatever else"),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again(lines, code, reason):
    found = failures.judge(log(*lines), code, CONTEXT)
    assert (found.reason, found.final) == (reason, False)


def test_an_image_without_postgresql_is_told_by_name():
    seen = ServerLog()
    seen.feed("recover.sh: postgres of PostgreSQL 17 is not in this image")
    found = failures.judge(seen, 127, CONTEXT)
    assert (found.reason, found.final) == ("NoServer", True)
    assert found.message.startswith("recover.sh: postgres of PostgreSQL 17 is not in this image; ")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ERROR: [082]: unable to write '/d/base/1/2.pgbackrest.tmp': [28] No space left on device", "OutOfSpace"),
        (
            "ERROR: [058]: target timeline 3 forked from backup timeline 1 at 0/5000000 which is before backup lsn of 0/7",
            "WrongTimeline",
        ),
        ("ERROR: [058]: backup timeline 2, lsn 0/7000028 is not in the history of target timeline 3", "WrongTimeline"),
    ],
    ids=["full", "forked before the backup", "of another branch"],
)
def test_what_pgbackrest_says_of_the_copy_has_a_reason_too(said, reason):
    found = failures.of_copy(
        f"P00   INFO: restore\n2026-11-29 02:25:06.262 P00  {said}\n       HINT: was it made by promoting?\n", 2**30
    )
    assert found
    assert (found.reason, found.final, said in found.message) == (reason, True, True)
    assert "P00" not in found.message
    assert failures.of_copy("ERROR: [055]: unable to open", 0) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(
            "ERROR: [026]: raised from local-1 protocol: error restoring '/d/base/1/2619': actual checksum 'a1' does not "
            "match expected checksum 'b2'",
            "/d/base/1/2619", id="other bytes",
        ),
        pytest.param(
            "ERROR: [029]: raised from local-2 protocol: zst error: [-20] Data corruption detected [FormatError] on 2 retries",
            "zst error: [-20] Data corruption detected", id="not to be unpacked",
        ),
        pytest.param(
            "ERROR: [055]: unable to load backup manifest file '/r/backup/hippo/20261201-053859F/backup.manifest' or "
            "'/r/backup/hippo/20261201-053859F/backup.manifest.copy':\n       FileMissingError: unable to open missing "
            "file '/r/backup/hippo/20261201-053859F/backup.manifest' for read",
            "backup.manifest", id="no manifest",
        ),
        pytest.param(
            "ERROR: [055]: raised from local-1 protocol: raised from remote-0 tls protocol on 'hippo': unable to open "
            "missing file '/r/backup/hippo/20261201-053859F/bundle/1' for read",
            "20261201-053859F/bundle/1", id="its prior is gone",
        ),
    ],
)  # fmt: skip
def test_a_backup_that_is_damaged_is_not_read_again(said, words):
    found = failures.of_copy(f"P00   INFO: restore\n{said}\n", 2**30)
    assert found
    assert (found.reason, found.final) == ("CorruptBackup", True)
    assert words in found.message
    away = "ERROR: [055]: unable to open missing file '/r/backup/hippo/backup.info' for read"
    assert failures.of_copy(away, 2**30) is None  # the volume itself may not be there


@pytest.mark.parametrize(("room", "reason"), [(0, "OutOfSpace"), (2**20, "OutOfSpace"), (2**30, None)])
def test_a_write_that_was_cut_short_is_a_full_volume_where_it_is_full(room, reason):
    said = "ERROR: [064]: raised from local-2 protocol: unable to write '/d/base/1/2618' [FileWriteError] on 2 retries"
    found = failures.of_copy(said, room)
    assert (found.reason if found else None) == reason


def test_a_checkpoint_that_cannot_be_read_though_its_segment_is_there_is_damage():
    seen = log("FATAL:  could not locate required checkpoint record at 0/3000060")
    assert failures.judge(seen, 1, Context("17", given="000000010000000000000003")).reason == "CorruptSegment"
    lost = Context("17", given="000000010000000000000003", ended_at="000000010000000000000003")
    assert failures.judge(seen, 1, lost).reason == "MissingSegment"


def test_collations_of_another_version_are_told():
    seen = log(
        'WARNING:  database "template1" has a collation version mismatch',
        "DETAIL:  The database was created using collation version 2.31, but the operating system provides version 2.36.",
    )
    assert "version 2.31, but the operating system provides version 2.36" in failures.collations(seen)
    assert failures.collations(log("LOG:  x")) == ""


def test_the_log_of_a_recovery_that_goes_well():
    seen = log(
        "LOG:  starting archive recovery",
        'LOG:  restored log file "000000010000000000000002" from archive',
        "LOG:  redo starts at 0/2000028",
        "LOG:  consistent recovery state reached at 0/2000100",
        "LOG:  recovery stopping before commit of transaction 734, time 2026-11-28 21:34:40.1+00",
        "LOG:  redo done at 0/3000110 system usage: CPU: user: 0.00 s",
        "LOG:  last completed transaction was at log time 2026-11-28 21:34:33.123456+00",
        "LOG:  selected new timeline ID: 2",
        "LOG:  archive recovery complete",
        "LOG:  database system is ready to accept connections",
    )
    assert (seen.started, seen.consistent, seen.stopped_at_target, seen.promoted, seen.ready) == (True,) * 5
    assert (seen.redo_done, seen.timeline) == ("0/3000110", 2)
    assert seen.last_commit == "2026-11-28T21:34:33.123456Z"


def test_a_restart_point_tells_how_far_it_is():
    seen = log(
        "LOG:  recovery restart point at 0/5000060",
        "DETAIL:  Last completed transaction was at log time 2026-11-28 21:34:33.12+00.",
    )
    assert seen.last_commit == "2026-11-28T21:34:33.120000Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-28 21:34:33"])
def test_no_time_is_made_of_other_text(text):
    assert rfc3339(text) == ""
