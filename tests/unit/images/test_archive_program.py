"""pgbackrest-archive: the answer is passed on at once, and whatever is left behind ends as a harmless orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.archive_program import COMPILER, give_up, orphans, pretend
from harness.processes import with_default_signals

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


@pytest.mark.parametrize("code", [0, 1, 25, 103])
def test_exit_code_is_passed_on(program: Path, code: int, process_one: set[int]) -> None:
    pretend(program, f"exit {code}")
    assert subprocess.run([program], check=False).returncode == code
    assert orphans(process_one) == [0]


def test_signal_is_passed_on(program: Path, process_one: set[int]) -> None:
    pretend(program, "kill -TERM $$")
    assert subprocess.run(with_default_signals([program]), check=False).returncode == -signal.SIGTERM
    assert orphans(process_one) == [0]


def test_arguments_and_output_are_passed_on(program: Path) -> None:
    pretend(program, 'printf "%s|" "$@"')
    done = subprocess.run([program, "--stanza=main", "archive-push", "a b"], check=True, capture_output=True, text=True)
    assert done.stdout == "--stanza=main|archive-push|a b|"


@pytest.mark.parametrize("end", ["exit 103", "kill -KILL $$"])
def test_process_left_behind_ends_as_an_orphan_with_zero(program: Path, end: str, process_one: set[int]) -> None:
    pretend(program, f"setsid sh -c 'sleep 0.5; {end}' > /dev/null 2>&1 &\nexit 0")
    began = time.monotonic()
    assert subprocess.run([program], check=False, capture_output=True).returncode == 0
    assert time.monotonic() - began < 0.45, "the answer waited for what was left behind"
    assert orphans(process_one) == [0]


def test_process_left_behind_reaches_process_one_without_the_program(program: Path, process_one: set[int]) -> None:
    pretend(program, "setsid sh -c 'exit 103' > /dev/null 2>&1 &\nexit 0")
    subprocess.run([program.with_name("backrest")], check=True)
    assert [os.waitstatus_to_exitcode(status) for status in orphans(process_one)] == [103]


# --- a storage that holds archive-push up, so that the other one gets no WAL ---------------------------------------


def stuck(program: Path, tmp_path: Path, before: str = "") -> int:
    """The process that archive-push left behind, with one of its own: it would work for a minute."""
    left = tmp_path / "left"
    left.write_text(f"{before}\nsleep 60 &\necho $! > {tmp_path}/helper\necho $$ > {tmp_path}/pid\nwait\nsleep 60\n")
    pretend(program, f"setsid sh {left} > /dev/null 2>&1 &\nexit 103")
    assert subprocess.run([program], check=False).returncode == 103
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.01)
    return int((tmp_path / "pid").read_text())


def runs(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("before", ["", "trap : TERM;"], ids=["ends at once", "does not heed SIGTERM"])
def test_what_the_agent_gives_up_is_ended_with_its_own_processes(
    program: Path, tmp_path: Path, before: str, process_one: set[int]
) -> None:
    pid = stuck(program, tmp_path, before)
    give_up(tmp_path)
    assert orphans(process_one, 15) == [0]
    assert not runs(pid)
    assert not runs(int((tmp_path / "helper").read_text()))


def test_what_was_given_up_before_it_began_goes_on(program: Path, tmp_path: Path, process_one: set[int]) -> None:
    give_up(tmp_path)
    pid = stuck(program, tmp_path)
    time.sleep(2.5)  # the agent's word is looked at once a second
    assert runs(pid)
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    assert orphans(process_one) == [0]


def test_the_caller_of_a_push_that_is_given_up_gets_its_answer(
    program: Path, tmp_path: Path, process_one: set[int]
) -> None:
    """It stays until its time is over, or finds what was pushed meanwhile."""
    pretend(program, f"setsid sleep 60 > /dev/null 2>&1 &\ntouch {tmp_path}/began; sleep 3; exit 82")
    running = subprocess.Popen(with_default_signals([program]))
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    give_up(tmp_path)
    assert running.wait(10) == 82
    assert orphans(process_one) == [0]


def test_program_that_cannot_start_is_a_failure(program: Path, process_one: set[int]) -> None:
    assert subprocess.run([program], check=False).returncode == 126
    assert orphans(process_one) == [0]


def test_signal_to_the_group_ends_the_program_and_pgbackrest(
    program: Path, tmp_path: Path, process_one: set[int]
) -> None:
    pretend(program, f"echo $$ > {tmp_path}/pid; exec sleep 30")
    running = subprocess.Popen(with_default_signals([program]), start_new_session=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGQUIT)
    assert running.wait(10) == -signal.SIGQUIT
    assert orphans(process_one) == [0]


# --- restore_command: PostgreSQL takes what fails for the end of the WAL --------------------------------------------

GET = ["--stanza=main", "archive-get", "000000010000000000000001", "pg_wal/RECOVERYXLOG"]


def get(program: Path, data: Path, *signals: str) -> int:
    """archive-get as PostgreSQL calls it: from its data folder, with these signal files in it."""
    data.mkdir()
    for name in signals:
        (data / name).touch()
    return subprocess.run([program, *GET], check=False, cwd=data).returncode


@pytest.mark.parametrize("code", [0, 1])
def test_recovery_gets_the_answer_at_once(program: Path, tmp_path: Path, code: int, process_one: set[int]) -> None:
    pretend(program, f"echo >> {tmp_path}/tries; exit {code}")
    assert get(program, tmp_path / "data", "recovery.signal") == code
    assert (tmp_path / "tries").read_text() == "\n"
    assert orphans(process_one) == [0]


def test_recovery_outlasts_an_error(program: Path, tmp_path: Path) -> None:
    pretend(program, f"test -e {tmp_path}/second && exit 0; touch {tmp_path}/second; exit 103")
    assert get(program, tmp_path / "data", "recovery.signal") == 0


def test_recovery_ends_postgresql_and_not_itself_where_an_error_stays(program: Path, tmp_path: Path) -> None:
    pretend(program, "exit 103")
    assert get(program, tmp_path / "data", "recovery.signal") == 126


@pytest.mark.parametrize("signals", [("standby.signal",), ("standby.signal", "recovery.signal"), ()])
def test_a_standby_gets_the_error_at_once(program: Path, tmp_path: Path, signals: tuple[str, ...]) -> None:
    pretend(program, f"echo >> {tmp_path}/tries; exit 103")
    assert get(program, tmp_path / "data", *signals) == 103
    assert (tmp_path / "tries").read_text() == "\n"


def test_archive_push_is_not_tried_again(program: Path, tmp_path: Path) -> None:
    pretend(program, f"echo >> {tmp_path}/tries; exit 103")
    (tmp_path / "recovery.signal").touch()
    done = subprocess.run([program, "--stanza=main", "archive-push", "x"], check=False, cwd=tmp_path)
    assert done.returncode == 103
    assert (tmp_path / "tries").read_text() == "\n"


# --- recovery from one storage of several ------------------------------------------------------------------------

OWN, ANY = "--repo=2 --stanza=main", "--no-archive-async --io-timeout=5 --stanza=main"


@pytest.mark.parametrize(
    ("own", "others", "answer", "asked"),
    [
        pytest.param("0", "0", 0, [OWN], id="the storage has it, nobody else is asked"),
        pytest.param("1", "0", 0, [OWN, ANY], id="another one has it"),
        pytest.param("1", "1", 1, [OWN, ANY], id="it is nowhere"),
        pytest.param("1", "103", 1, [OWN, ANY], id="the other one is away, and is not waited for"),
        pytest.param("103", "1", 126, [OWN], id="it is away: that the other one has it not is no answer"),
    ],
)
def test_the_storage_that_recovery_signal_names_is_asked_first_and_alone_waited_for(
    program: Path, tmp_path: Path, own: str, others: str, answer: int, asked: list[str]
) -> None:
    script = f'echo "$@" >> {tmp_path}/asked; case "$1" in --repo=2) exit {own};; esac; exit {others}'
    pretend(program, script)
    data = tmp_path / "data"
    data.mkdir()
    (data / "recovery.signal").write_text("--repo=2\n")
    assert subprocess.run([program, *GET], check=False, cwd=data).returncode == answer
    seen = (tmp_path / "asked").read_text().splitlines()
    assert list(dict.fromkeys(line.partition(" archive-get")[0] for line in seen)) == asked
    assert all(line.endswith("archive-get 000000010000000000000001 pg_wal/RECOVERYXLOG") for line in seen)


@pytest.mark.parametrize("content", ["", "2\n", "--repo=\n", "--repo=x", "--stanza=other"])
def test_a_recovery_signal_that_names_none_adds_no_option(program: Path, tmp_path: Path, content: str) -> None:
    pretend(program, f'echo "$@" > {tmp_path}/asked; exit 1')
    data = tmp_path / "data"
    data.mkdir()
    (data / "recovery.signal").write_text(content)
    assert subprocess.run([program, *GET], check=False, cwd=data).returncode == 1
    assert (tmp_path / "asked").read_text().split() == GET


@pytest.mark.parametrize(
    ("file", "text", "most"),
    [
        ("memory.max", "1610612736\n", 768),
        ("memory.max", "134217728\n", 256),
        ("memory.max", "8589934592\n", 1024),
        ("memory.max", "max\n", 1024),
        ("limit_in_bytes", "1073741824\n", 512),
        ("limit_in_bytes", "9223372036854771712\n", 1024),
        ("neither", "", 1024),
    ],
)
def test_pgbackrest_has_half_of_the_memory_of_postgresqls_container(
    program: Path, file: str, text: str, most: int
) -> None:
    """A store that answered without an end took 11 GB of it, and with the container's limit it would have been the end."""
    program.with_name(file).write_text(text)
    pretend(program, f"ulimit -Sd > {program.with_name('told')}")
    assert subprocess.run([program, "archive-push"], check=False).returncode == 0
    assert int(program.with_name("told").read_text()) == most * 1024
