"""pgbackrest-archive under a PostgreSQL 18 that is process 1: one keeper is its child, and nothing else ever ends as one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.archive_program import COMPILER, children, give_up, orphans, pretend
from harness.processes import with_default_signals

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")

LEAVES_A_FAILURE = "setsid sh -c 'sleep 0.2; exit 103' > /dev/null 2>&1 &\nexit {code}"


@pytest.fixture
def data(tmp_path: Path, process_one: set[int]) -> Iterator[Path]:
    """The data folder of such a server. What is left of its keeper is ended."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("18\n")
    (folder / "postmaster.pid").write_text(f"1\n{folder}\n1764565000\n5432\n")
    yield folder
    for pid in keepers(process_one):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
    orphans(process_one)


def keepers(before: set[int]) -> set[int]:
    return {pid for pid in children() - before if comm(pid) == "archive-keeper"}


def comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text("ascii").strip()


def until(holds: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not: {what}"
        time.sleep(0.01)


def the_keeper(before: set[int]) -> int:
    """Once it has nothing to do. It is the only child, ended ones included: this process waits for none."""
    (keeper,) = keepers(before)
    until(lambda: not children(keeper), "the keeper has nothing to do")
    assert children() - before == {keeper}
    return keeper


def call(program: Path, data: Path, *arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], check=False, cwd=data, capture_output=True, text=True, **more)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def written(path: Path) -> int:
    until(lambda: path.exists() and bool(path.read_text().strip()), f"{path.name} is written")
    return int(path.read_text())


# --- what PostgreSQL sees ------------------------------------------------------------------------------------------


def test_process_one_is_left_with_the_keeper_alone(program: Path, data: Path, process_one: set[int]) -> None:
    for code in (0, 1, 25, 103):
        pretend(program, LEAVES_A_FAILURE.format(code=code))
        assert call(program, data).returncode == code
    the_keeper(process_one)


def test_a_signal_is_passed_on(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "kill -TERM $$")
    assert subprocess.run(with_default_signals([program]), check=False, cwd=data).returncode == -signal.SIGTERM
    the_keeper(process_one)


def test_calls_at_once_have_one_keeper(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "sleep 0.2; exit 3")
    running = [subprocess.Popen([program], cwd=data) for _ in range(8)]
    before = process_one | {one.pid for one in running}
    assert [one.wait(10) for one in running] == [3] * 8
    # Of those that ask before it listens, some may work by themselves.
    until(lambda: len(children() - before) == len(keepers(before) | ended(before)), "those are done")
    assert len(keepers(before)) == 1
    for pid in ended(before):
        assert os.waitpid(pid, 0)[1] == 0
    pretend(program, "exit 0")
    assert call(program, data).returncode == 0
    the_keeper(before)


def ended(before: set[int]) -> set[int]:
    return {pid for pid in children() - before if not runs(pid)}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("PG_VERSION", "17\n", id="an older server logs none"),
        pytest.param("PG_VERSION", "", id="no version"),
        pytest.param("postmaster.pid", "7\n", id="process 1 is something else"),
        pytest.param("postmaster.pid", "-1\n", id="a server for one session"),
        pytest.param("postmaster.pid", "12\n", id="not 1 but 12"),
    ],
)
def test_elsewhere_there_is_no_keeper(program: Path, data: Path, file: str, text: str, process_one: set[int]) -> None:
    (data / file).write_text(text)
    pretend(program, "exit 25")
    assert call(program, data).returncode == 25
    assert orphans(process_one) == [0]


def test_outside_of_a_data_folder_there_is_no_keeper(program: Path, tmp_path: Path, process_one: set[int]) -> None:
    pretend(program, "exit 25")
    assert call(program, tmp_path).returncode == 25
    assert orphans(process_one) == [0]


# --- a run is as it would be without ---------------------------------------------------------------------------------


def test_each_run_has_what_its_call_has(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, 'printf "%s|" "$@"; echo "$MINE|$PWD"; umask; cat; echo said >&2; env | grep -c .')
    for number in range(3):
        folder = data.with_name(f"data{number}")
        folder.mkdir()
        for file in data.iterdir():
            (folder / file.name).write_text(file.read_text())
        environment = {"MINE": f"of {number}", "PATH": os.environ["PATH"]} | {f"N{n}": "" for n in range(number)}
        given = {"env": environment, "input": f"in {number}\n", "umask": 0o20 + number}
        done = call(program, folder, "--stanza=main", "archive-push", f"a b{number}", "", **given)
        first, mask, read, count = done.stdout.splitlines()
        assert first == f"--stanza=main|archive-push|a b{number}||of {number}|{folder}"
        assert (int(mask, 8), read) == (0o20 + number, f"in {number}")
        assert done.stderr == "said\n"
        assert int(count) == len(environment) + 1  # the shell's PWD
    the_keeper(process_one)


def test_recovery_outlasts_an_error_by_it(program: Path, data: Path, tmp_path: Path, process_one: set[int]) -> None:
    pretend(program, f"test -e {tmp_path}/second && exit 0; touch {tmp_path}/second; exit 103")
    (data / "recovery.signal").touch()
    assert call(program, data, "archive-get", "000000010000000000000001", "pg_wal/RECOVERYXLOG").returncode == 0
    the_keeper(process_one)


def test_pgbackrest_has_its_bound_in_memory(program: Path, data: Path, process_one: set[int]) -> None:
    program.with_name("memory.max").write_text("1610612736\n")
    pretend(program, "ulimit -Sd")
    assert call(program, data, "archive-push").stdout == f"{768 * 1024}\n"
    the_keeper(process_one)


def test_a_program_that_cannot_start_is_a_failure(program: Path, data: Path, process_one: set[int]) -> None:
    assert call(program, data).returncode == 126
    the_keeper(process_one)


def test_the_keeper_holds_nothing_of_the_first_call(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    assert call(program, data).returncode == 0  # it reads pipes to their end
    keeper = the_keeper(process_one)
    assert Path(f"/proc/{keeper}/cwd").readlink() == Path("/")
    files = {file.readlink() for file in Path(f"/proc/{keeper}/fd").iterdir()}
    assert Path("/dev/null") in files
    assert len(files) == 2, "more than /dev/null and its socket"


def test_it_does_not_grow(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    call(program, data)
    keeper = the_keeper(process_one)

    def size() -> tuple[int, int]:
        status = Path(f"/proc/{keeper}/status").read_text("ascii")
        return int(status.split("VmData:")[1].split()[0]), len(list(Path(f"/proc/{keeper}/fd").iterdir()))

    before = size()
    for number in range(40):
        assert call(program, data, env={f"LARGE{part}": "x" * 100_000 for part in range(number % 10)}).returncode == 0
    assert the_keeper(process_one) == keeper
    assert size() == before


# --- what goes wrong with it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_one_that_has_ended_is_followed_by_another(
    program: Path, data: Path, number: signal.Signals, process_one: set[int]
) -> None:
    pretend(program, "exit 3")
    assert call(program, data).returncode == 3
    keeper = the_keeper(process_one)
    os.kill(keeper, number)
    status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert call(program, data).returncode == 3
    assert the_keeper(process_one) != keeper


def test_one_that_is_killed_takes_no_answer_with_it(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    call(program, data)
    keeper = the_keeper(process_one)
    pretend(program, f"kill -KILL {keeper}; sleep 0.1; exit 7")
    assert call(program, data).returncode == 7
    assert sorted(orphans(process_one)) == [0, signal.SIGKILL]


def test_a_run_whose_handler_is_killed_is_made_by_the_call(
    program: Path, data: Path, tmp_path: Path, process_one: set[int]
) -> None:
    once = f'if mkdir {tmp_path}/first; then echo $$ > {tmp_path}/pid; kill -KILL "$PPID"; exec sleep 60; fi; exit 7'
    pretend(program, once)
    assert call(program, data).returncode == 7
    first = written(tmp_path / "pid")
    until(lambda: not runs(first), "the first one has ended")
    # The second run's adopter is process 1's, as ever.
    (keeper,) = keepers(process_one)
    until(lambda: children() - process_one == {keeper} | ended(process_one), "that has ended")
    assert [os.waitpid(pid, 0)[1] for pid in ended(process_one)] == [0]


def test_one_that_does_not_answer_is_not_waited_for(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    call(program, data)
    keeper = the_keeper(process_one)
    os.kill(keeper, signal.SIGSTOP)
    tries = data.with_name("tries")
    pretend(program, f"echo >> {tries}; exit 7")
    began = time.monotonic()
    assert call(program, data).returncode == 7
    assert time.monotonic() - began < 6
    os.kill(keeper, signal.SIGCONT)
    pretend(program, "exit 0")
    assert call(program, data).returncode == 0  # after the one that nobody waits for any more
    assert tries.read_text() == "\n", "what nobody waited for was run"
    until(lambda: bool(ended(process_one)), "the adopter has ended")
    assert [os.waitpid(pid, 0)[1] for pid in ended(process_one)] == [0]
    assert the_keeper(process_one) == keeper


def test_what_is_no_request_ends_nothing(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 3")
    call(program, data)
    keeper = the_keeper(process_one)
    for text in (b"", b"\xff" * 16, b"\x01\0\0\0\0\0\0\0\xff\xff\xff\x7f\0\0\0\0", b"x" * 100_000):
        with connected(keeper) as peer:
            assert len(peer.recv(4)) == 4
            try:
                peer.sendall(text)
                peer.shutdown(socket.SHUT_WR)
                assert peer.recv(4) == b""
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert call(program, data).returncode == 3
    assert the_keeper(process_one) == keeper


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [(2, 1, b"a\0b\0"), (1, 1, b"a\0b\0c\0"), (1, 1, b"a\0bc"), (0, 2, b"a\0b\0"), (1 << 31, 1, b"a\0b\0")],
)
def test_a_request_that_lies_of_its_words_runs_nothing(
    program: Path, data: Path, arguments: int, variables: int, words: bytes, process_one: set[int]
) -> None:
    pretend(program, f"touch {data}/ran")
    call(program, data)
    (data / "ran").unlink()
    keeper = the_keeper(process_one)
    header = b"".join(number.to_bytes(4, sys.byteorder) for number in (arguments, variables, len(words), 0o77))
    with connected(keeper) as peer, (data / "PG_VERSION").open() as file:
        folder = os.open(data, os.O_RDONLY)
        assert len(peer.recv(4)) == 4
        socket.send_fds(peer, [header], [file.fileno(), file.fileno(), file.fileno(), folder])
        os.close(folder)
        try:
            peer.sendall(words)
            assert peer.recv(4) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert the_keeper(process_one) == keeper
    assert not (data / "ran").exists()


def connected(keeper: int) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(address(keeper))
    return peer


def address(keeper: int) -> bytes:
    """Of its socket."""
    inodes = {file.stat().st_ino for file in Path(f"/proc/{keeper}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return next(b"\0" + line[7][1:].encode() for line in lines if len(line) > 7 and int(line[6]) in inodes)


@pytest.mark.parametrize("size", [11, 18])
def test_more_than_it_takes_is_run_by_the_call(program: Path, data: Path, size: int, process_one: set[int]) -> None:
    pretend(program, 'echo "$L0" | wc -c')
    environment = {f"L{number}": "x" * 100_000 for number in range(size)} | {"PATH": os.environ["PATH"]}
    assert call(program, data, env=environment).stdout.strip() == "100001"
    (keeper,) = keepers(process_one)
    until(lambda: children() - process_one == {keeper} | ended(process_one), "the adopter has ended")
    assert [os.waitpid(pid, 0)[1] for pid in ended(process_one)] == [0]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_call_without_a_standard_file_is_made_by_itself(
    program: Path, data: Path, closed: str, process_one: set[int]
) -> None:
    pretend(program, "exit 7")
    call(program, data)
    keeper = the_keeper(process_one)
    done = subprocess.run(["sh", "-c", f'"$0" {closed}; exit $?', program], check=False, cwd=data)
    assert done.returncode == 7
    until(lambda: children() - process_one == {keeper} | ended(process_one), "the adopter has ended")
    assert [os.waitpid(pid, 0)[1] for pid in ended(process_one)] == [0]


# --- a call that ends before its answer ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("heeds", [True, False], ids=["ends at once", "does not heed SIGTERM"])
def test_a_call_that_ends_ends_its_pgbackrest(
    program: Path, data: Path, tmp_path: Path, number: signal.Signals, heeds: bool, process_one: set[int]
) -> None:
    trap = "" if heeds else "trap : TERM;"
    pretend(program, f"{trap} sleep 60 & echo $! > {tmp_path}/helper; echo $$ > {tmp_path}/pid; wait; sleep 60")
    running = subprocess.Popen(with_default_signals([program]), cwd=data, start_new_session=True)
    pid = written(tmp_path / "pid")
    began = time.monotonic()
    os.killpg(running.pid, number)
    assert running.wait(10) == -number
    until(lambda: not runs(pid), "pgBackRest has ended")
    assert time.monotonic() - began < (0.5 if heeds else 3)
    until(lambda: not runs(written(tmp_path / "helper")), "its own processes have ended")
    the_keeper(process_one)


def test_what_the_agent_gives_up_is_ended(program: Path, data: Path, tmp_path: Path, process_one: set[int]) -> None:
    pretend(program, f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' > /dev/null 2>&1 &\nexit 103")
    assert call(program, data).returncode == 103
    pid = written(tmp_path / "pid")
    give_up(tmp_path)
    until(lambda: not runs(pid), "it has ended")
    the_keeper(process_one)


# --- strangers ----------------------------------------------------------------------------------------------------

STRANGER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
if sys.argv[3] == "calls":
    peer.connect(b"\\0" + bytes.fromhex(sys.argv[1]))
    sys.exit(0 if peer.recv(4) == b"" else 1)
peer.bind(b"\\0" + bytes.fromhex(sys.argv[1]))
peer.listen()
print("listens", flush=True)
got, _ = peer.accept()
got.settimeout(10)
try:
    got.sendall((1).to_bytes(4, sys.byteorder))
    sys.exit(0 if got.recv(1 << 16) == b"" else 1)
except OSError:
    sys.exit(0)
"""
IN_A_CONTAINER = ["unshare", "--pid", "--fork", "--kill-child"]


def stranger(name: bytes, does: str, user: int) -> list[str]:
    return [sys.executable, "-c", STRANGER, name[1:].hex(), str(user), does]


@as_root
def test_another_user_is_told_nothing(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    call(program, data)
    keeper = the_keeper(process_one)
    assert subprocess.run(stranger(address(keeper), "calls", 65534), check=False).returncode == 0
    assert the_keeper(process_one) == keeper


@as_root
def test_another_user_in_its_place_is_given_nothing(program: Path, data: Path, process_one: set[int]) -> None:
    pretend(program, "exit 0")
    call(program, data)
    keeper = the_keeper(process_one)
    name = address(keeper)
    os.kill(keeper, signal.SIGTERM)
    os.waitpid(keeper, 0)
    with listens(name, 65534) as other:
        before = children()
        pretend(program, "exit 7")
        assert call(program, data).returncode == 7
        assert other.wait(10) == 0, "it was given something"
    assert orphans(before) == [0]


@as_root
def test_another_container_is_told_nothing_and_in_its_place_given_nothing(program: Path, data: Path) -> None:
    """The kernel gives a process that is not in one's own process namespace the number 0."""
    pretend(program, "exit 7")
    script = 'cd "$1"; "$0"; echo $?; read go; kill -TERM "$(cat keeper)"; read go; "$0"; echo $?; read go'
    argv = with_default_signals([*IN_A_CONTAINER, "sh", "-c", script, program, data])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as container:
        assert container.stdin is not None
        assert container.stdout is not None
        assert container.stdout.readline() == "7\n"
        (first,) = children(container.pid)
        until(lambda: any(comm(pid) == "archive-keeper" for pid in children(first)), "there is a keeper")
        keeper = next(pid for pid in children(first) if comm(pid) == "archive-keeper")
        known = address(keeper)
        assert subprocess.run(stranger(known, "calls", 0), check=False).returncode == 0
        (data / "keeper").write_text(Path(f"/proc/{keeper}/status").read_text().split("NSpid:")[1].split()[1])
        container.stdin.write("\n")
        until(lambda: not runs(keeper), "the keeper has ended")
        with listens(known, 0) as other:
            container.stdin.write("\n")
            assert container.stdout.readline() == "7\n"
            assert other.wait(10) == 0, "it was given something"
        container.stdin.write("\n")


@contextmanager
def listens(address: bytes, user: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(stranger(address, "listens", user), stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "listens\n"
        yield other
