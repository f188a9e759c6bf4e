"""pgBackRest's command lines. Each was run against pgBackRest 2.60."""

from __future__ import annotations

import subprocess

import pytest

from pgwarden.api import names
from pgwarden.api.kinds import RestoreTarget
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options


def test_a_backup_carries_its_mark_and_its_options():
    options, _ = parse_options(["--type=full --repo1-retention-full=7"], command="backup")
    assert commands.backup_argv("hippo", "incr", 1, options, {"pgwarden-uid": "4f1c"}) == [
        "--stanza=hippo",
        "--repo=1",
        "--type=full",
        "--annotation=pgwarden-uid=4f1c",
        "--repo1-retention-full=7",
        "backup",
    ]


def test_the_type_is_the_specs_where_options_have_none():
    assert "--type=diff" in commands.backup_argv("hippo", "diff", 2, ParsedOptions())


def test_a_set_is_expired_with_the_wal_before_the_full_backups_that_stay():
    """Tried on a volume without a free byte: pgBackRest 2.60 removes the manifest first, and has room from then on."""
    assert commands.expire_argv("hippo", backup_set="20261101-000000F", repo=1, archives_of=2) == [
        "--stanza=hippo",
        "--repo=1",
        "--set=20261101-000000F",
        "--repo1-retention-archive=2",
        "--repo1-retention-archive-type=full",
        "expire",
    ]
    assert commands.expire_argv("hippo", backup_set="20261101-000000F", repo=1)[-2:] == [
        "--set=20261101-000000F",
        "expire",
    ]


def test_a_standby_that_is_required_is_preferred_so_that_a_backup_without_one_is_taken_from_the_primary():
    options, _ = parse_options(["--backup-standby=y"], command="backup")
    assert "--backup-standby=prefer" in commands.backup_argv("hippo", "full", 1, options)
    for kept in ("n", "prefer"):
        options, _ = parse_options([f"--backup-standby={kept}"], command="backup")
        assert f"--backup-standby={kept}" in commands.backup_argv("hippo", "full", 1, options)


TARGETS = [
    ("latest", None, "", []),
    ("latest on a timeline", None, "current", ["--target-timeline=current"]),
    ("immediate", RestoreTarget(immediate=True), "", ["--type=immediate", "--target-action=promote"]),
    ("time", RestoreTarget(time="2026-11-23T11:00:00.25+01:00"), "", ["--type=time", "--target=2026-11-23 10:00:00.250000+00", "--target-action=promote"]),
    ("lsn", RestoreTarget(lsn="0/3000060"), "", ["--type=lsn", "--target=0/3000060", "--target-action=promote"]),
    ("xid", RestoreTarget(xid="1234"), "2", ["--type=xid", "--target=1234", "--target-action=promote", "--target-timeline=2"]),
    ("name", RestoreTarget(name="before upgrade; rm -rf"), "", ["--type=name", "--target=before upgrade; rm -rf", "--target-action=promote"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "timeline", "arguments"), [row[1:] for row in TARGETS], ids=[row[0] for row in TARGETS]
)
def test_a_target_is_a_type_and_a_value_and_ends_in_promotion(target, timeline, arguments):
    assert commands.target_arguments(target, timeline) == arguments


@pytest.mark.parametrize("label", ["", "latest"])
def test_the_latest_set_is_left_to_pgbackrest_which_knows_no_set_of_that_label(label):
    assert not [one for one in commands.restore_argv("hippo", backup_set=label) if one.startswith("--set")]
    assert "--set=20261123-010000F" in commands.restore_argv("hippo", backup_set="20261123-010000F")


def test_a_restore_beside_the_data_directory_forgets_the_pod_that_host_conf_names():
    argv = commands.restore_argv(
        "hippo",
        backup_set="20261101-000000F",
        repo=2,
        delta=True,
        data_directory="/data",
        options=ParsedOptions(arguments=("--link-all",)),
    )
    assert argv == [
        "--stanza=hippo",
        "--repo=2",
        "--pg1-path=/data",
        "--reset-pg1-host",
        "--set=20261101-000000F",
        "--delta",
        f"--recovery-option=restore_command={commands.kept(commands.restore_command('hippo'))}",
        "--link-all",
        "restore",
    ]


def test_the_two_commands_for_postgresql_quote_the_path():
    where = "--config=/pgwarden/conf/pgbackrest.conf --config-include-path=/pgwarden/conf/conf.d --stanza=hippo"
    push, get = commands.archive_command("hippo"), commands.restore_command("hippo")
    assert push.split(" ", 1)[1] == f'{where} archive-push "%p"'
    assert get.split(" ", 1)[1] == f'{where} archive-get %f "%p"'
    for command in (push, get):
        assert command.startswith("/pgwarden/tools/bin/pgbackrest")


@pytest.mark.parametrize("role", ["", "arn:aws:iam::1:role/x"])
@pytest.mark.parametrize(
    ("make", "signals", "without"),
    [
        pytest.param(commands.archive_command, (), 0, id="WAL counts as archived"),
        pytest.param(commands.restore_command, ("standby.signal",), 1, id="a standby finds nothing"),
        pytest.param(commands.restore_command, ("standby.signal", "recovery.signal"), 1, id="a standby with both"),
        pytest.param(commands.restore_command, ("recovery.signal",), 126, id="a recovery does not end too early"),
    ],
)
def test_what_stays_with_the_data_runs_the_tools_and_does_no_harm_where_they_are_gone(
    tmp_path, make, signals, without, role
):
    """127, of a program that is not there, would end a standby's start, and keep all WAL for ever."""
    text = commands.kept(make("hippo", role))
    assert commands.is_for_postgres(text)
    for name in signals:
        (tmp_path / name).touch()
    program = tmp_path / "tools/bin/pgbackrest-archive"
    here = text.replace(names.TOOLS_DIR, str(tmp_path / "tools"))
    assert subprocess.run(["sh", "-c", here], check=False, cwd=tmp_path).returncode == without
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    assert subprocess.run(["sh", "-c", here], check=False, cwd=tmp_path).returncode == 7


def test_a_guard_of_an_earlier_version_is_known_as_ours():
    command = commands.restore_command("hippo")
    assert commands.is_for_postgres(f"[ -d {names.TOOLS_DIR} ] && {command}")
    assert not commands.is_for_postgres(f"[ -d {names.TOOLS_DIR} ] && cp /archive/%f %p")


def test_a_restore_leaves_no_command_that_ends_a_standbys_start_without_the_label():
    """pgBackRest writes it into postgresql.auto.conf, where it outlives the label."""
    (option,) = [one for one in commands.restore_argv("hippo") if "restore_command=" in one]
    assert option.partition("restore_command=")[2] == commands.kept(commands.restore_command("hippo"))


OTHERS = [
    (commands.info_argv("hippo"), ["--stanza=hippo", "--output=json", "--io-timeout=8", "--log-level-console=off", "--log-level-stderr=error", "info"]),
    (commands.stanza_create_argv("hippo"), ["--stanza=hippo", "stanza-create"]),
    (commands.expire_argv("hippo"), ["--stanza=hippo", "expire"]),
    (commands.expire_argv("hippo", backup_set="20261101-000000F", repo=1), ["--stanza=hippo", "--repo=1", "--set=20261101-000000F", "expire"]),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "expected"), OTHERS, ids=[row[1][-1] + str(len(row[1])) for row in OTHERS])
def test_the_other_commands(argv, expected):
    assert argv == expected


def test_a_storage_is_read_as_of_a_whole_second_in_utc():
    time = "2026-11-23T10:00:00.9+01:00"
    assert commands.as_of(2, time) == {
        "PGBACKREST_REPO": "2",
        "PGBACKREST_REPO_TARGET_TIME": "2026-11-23 09:00:00+00",
    }
    asked = commands.info_as_of_argv("hippo", 2, time)
    assert asked == ["--repo-target-time=2026-11-23 09:00:00+00", *commands.info_argv("hippo", 2)]
