"""Why WAL could not be archived, as archive-push leaves it in its spool."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from agent.calls import State
from agent.spool import archive_error
from pgwarden.contract.environment import Role, Settings

SAID = "archive-push command encountered error(s):\nrepo2: [HostConnectError] unable to connect to 's3:7070 (10.0.0.1)': [111] Connection refused"


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "archive" / "hippo" / "out"
    folder.mkdir(parents=True)
    return folder


def test_the_newest_error_is_told_without_its_code(out, tmp_path):
    (out / "000000010000000000000002.error").write_text("123\nolder")
    os.utime(out / "000000010000000000000002.error", (1, 1))
    (out / "000000010000000000000003.error").write_text(f"103\n{SAID}\n")
    (out / "000000010000000000000001.ok").write_text("")
    assert archive_error(tmp_path, "hippo")[0] == SAID


def test_without_an_error_or_a_folder_there_is_nothing_to_tell(out, tmp_path):
    (out / "000000010000000000000001.ok").write_text("")
    assert archive_error(tmp_path, "hippo")[0] == ""
    assert archive_error(tmp_path, "rhino")[0] == ""


def test_what_is_no_file_of_pgbackrests_is_not_read_and_holds_up_nobody(out, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("41\nof another folder")
    error = out / "global.error"
    error.symlink_to(secret)
    assert archive_error(tmp_path, "hippo") == ("", 0.0)
    error.unlink()
    os.mkfifo(error)
    assert archive_error(tmp_path, "hippo") == ("", 0.0)
    error.unlink()
    error.write_text("41\n" + "x" * 100_000)
    assert len(archive_error(tmp_path, "hippo")[0]) == 4000


def test_what_steers_a_terminal_is_not_told(out, tmp_path):
    (out / "global.error").write_text("41\n\x1b]0;pwned\x07\x1b[2J<Message>\u202egnorw</Message>")
    assert archive_error(tmp_path, "hippo")[0] == "]0;pwned[2J<Message>gnorw</Message>"


def test_an_access_key_that_the_server_repeated_is_not_told(out, tmp_path):
    (out / "global.error").write_text("41\n<Error><AWSAccessKeyId>AKIA123</AWSAccessKeyId></Error>")
    assert archive_error(tmp_path, "hippo")[0] == "<Error><AWSAccessKeyId><redacted></AWSAccessKeyId></Error>"


def test_the_status_beside_postgresql_has_it_and_the_hosts_has_not(out, tmp_path):
    (out / "global.error").write_text(f"103\n{SAID}")
    settings = Settings(Role.REPOSITORY, "hippo")

    class Running:
        running, restarts = True, 0

    assert State(settings, Running(), spool=tmp_path).status().archive_error == SAID
    assert State(settings, Running()).status().archive_error is None


def test_an_error_is_remembered_while_the_next_try_has_cleared_it_but_not_for_ever(out, tmp_path, monkeypatch):
    state = State(Settings(Role.REPOSITORY, "hippo"), None, spool=tmp_path)
    now = [100000.0]
    monkeypatch.setattr("agent.calls.time.monotonic", lambda: now[0])
    assert state.archive_error() == ""
    (out / "global.error").write_text(f"103\n{SAID}")
    assert state.archive_error() == SAID
    (out / "global.error").unlink()
    now[0] += 120
    assert state.archive_error() == SAID
    now[0] += 61
    assert state.archive_error() == ""


def test_an_error_that_no_try_has_written_anew_is_told_for_as_long_and_no_longer(out, tmp_path, monkeypatch):
    state = State(Settings(Role.REPOSITORY, "hippo"), None, spool=tmp_path)
    now = [100000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0] + 1e9)
    monkeypatch.setattr("agent.calls.time", clock)
    (out / "global.error").write_text(f"103\n{SAID}")
    os.utime(out / "global.error", (clock.time(), clock.time()))
    now[0] += 179
    assert state.archive_error() == SAID
    now[0] += 2
    assert state.archive_error() == ""
    os.utime(out / "global.error", (clock.time(), clock.time()))
    assert state.archive_error() == SAID
