"""What of a source's configuration a copy takes over: no command, and no code that came with the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.recovery import auto_conf, foreign

RUNS = [
    "recovery_end_command = 'touch /tmp/x'", "archive_cleanup_command='x'", "SSL_Passphrase_Command 'x'",
    "ssl_passphrase_command'x'", "\t restore_command = 'x' # comment", "archive_command = 'x'", "archive_library = 'evil'",
    "dynamic_library_path = '/pgdata/data:$libdir'", "hba_file = '/pgdata/data/open.conf'", "external_pid_file = '/x'",
    "shared_preload_libraries = '/pgdata/data/evil.so'", "session_preload_libraries = '$libdir/../../evil'",
    "local_preload_libraries = ./evil", "jit_provider = '/pgdata/data/evil'", "include '/etc/evil.conf'",
    "include_dir = '../elsewhere'", "include_if_exists '/proc/self/environ'",
]  # fmt: skip
KEPT = [
    "max_connections = 200", "shared_preload_libraries = 'pg_stat_statements, \"timescaledb-2.14.2\"'",
    "session_preload_libraries = '$libdir/plugins/auto_explain'", "jit_provider = 'llvmjit'", "archive_timeout = 60",
    "ssl_passphrase_command_supports_reload = on", "restore_commands.mine = 'x'", "# archive_command = 'x'", "work_mem '8MB'",
]  # fmt: skip


def conf(folder: Path, *lines: str, name: str = "postgresql.conf") -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@pytest.mark.parametrize("line", RUNS)
def test_what_runs_something_or_comes_from_elsewhere_goes(tmp_path, line: str):
    file = conf(tmp_path, "port = 1", line, "work_mem = 2")
    assert foreign.remove(tmp_path) == [line.strip()]
    assert file.read_text() == "port = 1\n\nwork_mem = 2\n"


@pytest.mark.parametrize("line", KEPT)
def test_all_else_stays_as_it_was(tmp_path, line: str):
    file = conf(tmp_path, line)
    assert foreign.remove(tmp_path) == []
    assert file.read_text() == f"{line}\n"


def test_of_a_list_the_images_own_libraries_stay(tmp_path):
    file = conf(tmp_path, "shared_preload_libraries = 'pg_stat_statements,/pgdata/data/evil, auto_explain'")
    assert len(foreign.remove(tmp_path)) == 1
    assert file.read_text() == "shared_preload_libraries = 'pg_stat_statements, auto_explain'\n"


def test_what_is_included_is_cleaned_where_it_is_and_stays(tmp_path):
    top = conf(tmp_path, "include 'more.conf'", "include_dir 'conf.d'")
    more = conf(tmp_path, "include = 'postgresql.conf'", RUNS[0], name="more.conf")
    part = conf(tmp_path, RUNS[1], "work_mem = 1", name="conf.d/a.conf")
    assert foreign.remove(tmp_path) == [RUNS[0], RUNS[1]]
    assert top.read_text() == "include 'more.conf'\ninclude_dir 'conf.d'\n"
    assert "recovery_end_command" not in more.read_text()
    assert part.read_text() == "\nwork_mem = 1\n"


def test_a_link_out_of_the_data_is_not_followed(tmp_path):
    data, outside = tmp_path / "data", conf(tmp_path, RUNS[0], name="outside.conf")
    conf(data, "include 'link.conf'", "include_dir 'conf.d'")
    (data / "link.conf").symlink_to(outside)
    (data / "conf.d").symlink_to(tmp_path)
    assert len(foreign.remove(data)) == 2
    assert outside.read_text() == f"{RUNS[0]}\n"


def test_a_file_that_no_settings_need_is_emptied(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "_MOST_BYTES", 10)
    file = conf(tmp_path, "work_mem = 12345")
    foreign.remove(tmp_path)
    assert file.read_text() == ""


def test_settings_of_alter_system_are_cleaned_too(tmp_path):
    text = f"{RUNS[0]}\nshared_preload_libraries = '/evil'\nwork_mem = '1MB'\n"
    kept, gone = foreign.without(tmp_path, text, tmp_path, set())
    assert auto_conf.values(kept) == {"work_mem": "1MB"}
    assert len(gone) == 2


def test_there_need_be_no_configuration_in_the_data(tmp_path):
    assert foreign.remove(tmp_path) == []
