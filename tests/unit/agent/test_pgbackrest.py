"""Running pgBackRest and reading what it says."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import pytest

from agent import memory_bound
from agent.calls import Repository
from agent.children import Children
from agent.pgbackrest import Runner
from pgwarden.pgbackrest import trouble
from pgwarden.pgbackrest.output import error_line

FAILED = """\
2026-11-23 17:50:51.026 P00   WARN: unable to check pg1: [DbConnectError] raised from remote-0 tls protocol
2026-11-23 17:50:51.048 P00  ERROR: [056]: unable to find primary cluster - cannot proceed
                                    HINT: are all available clusters in recovery?
2026-11-23 17:50:51.049 P00   INFO: stanza-create command end: aborted with exception [056]"""
TWO = """\
2026-11-23 17:50:51.026 P01  ERROR: [041]: unable to open file
2026-11-23 17:50:51.027 P00  ERROR: [103]: unable to find a valid repository:
                                    repo1: [FileMissingError] unable to load info file"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", ""),
        ("2026-11-23 17:50:51.049 P00   INFO: all is well", ""),
        ("ERROR: [055]: unable to load info file", "ERROR: [055]: unable to load info file"),
        (
            FAILED,
            "ERROR: [056]: unable to find primary cluster - cannot proceed HINT: are all available clusters in recovery?",
        ),
        (
            TWO,
            "ERROR: [103]: unable to find a valid repository: repo1: [FileMissingError] unable to load info file",
        ),
        (
            "P00  ERROR: [075]: repo1: kept\nP00  ERROR: [104]: expire command encountered 1 error(s), check the log file for details",
            "ERROR: [075]: repo1: kept",
        ),
        ("P00  ERROR: [032]: 'x' is not valid for 'tls-server-port' option", "ERROR: [032]: 'x' is not valid for 'tls-server-port' option"),
    ],
    ids=["nothing", "no error", "on stderr", "with a hint", "the last one", "not the count of those before", "without a time"],
)  # fmt: skip
def test_the_error_is_pgbackrests_last_with_its_hints(output, expected):
    assert error_line(output) == expected


@pytest.fixture
def program(paths):
    """A pgBackRest that is Python code."""

    def write(code: str) -> Runner:
        paths.pgbackrest.parent.mkdir(parents=True)
        paths.pgbackrest.write_text(f"#!{sys.executable}\nimport sys, time, os, signal\n{code}\n")
        paths.pgbackrest.chmod(0o755)
        return Runner(paths, Children())

    return write


async def test_lines_are_given_on_as_they_come_and_a_long_one_is_whole(program):
    runner = program("print('a'); print('b' * 3_000_000); print('é', end=''); print('x', file=sys.stderr); sys.exit(3)")
    lines: list[str] = []

    result = await runner.run(["info"], 20, lines.append)

    assert result.exit_code == 3
    assert sorted(map(len, lines)) == [1, 1, 1, 3_000_000]
    assert result.stdout.endswith("\né")
    assert result.error == "pgbackrest exited with 3: x"


async def test_the_configuration_is_put_before_the_arguments(program, paths):
    runner = program("print(*sys.argv[1:])")
    assert (await runner.run(["--stanza=a b", "info"], 20)).stdout.split(" ") == [
        f"--config={paths.conf_file}", f"--config-include-path={paths.include}", "--stanza=a", "b", "info",
    ]  # fmt: skip
    assert (await runner.run(["--config=/x", "info"], 20)).stdout == "--config=/x info"  # it is whole
    assert (await runner.run(["version"], 20)).stdout == "version"


async def test_only_the_end_of_a_long_log_is_kept(program):
    runner = program("[print(n) for n in range(100000)]")
    result = await runner.run(["backup"], 20, keep=1000)
    assert len(result.stdout) <= 1000
    assert result.stdout.endswith("\n99999")


async def test_after_its_time_it_is_ended(program):
    runner = program("print('begin', flush=True); time.sleep(60)")
    started = time.monotonic()
    result = await runner.run(["info"], 0.5)
    assert time.monotonic() - started < 5
    assert result.timed_out
    assert result.error.startswith("no result within")
    assert result.stdout == "begin"


async def test_cancelled_it_ends_pgbackrest_with_sigterm(program, tmp_path):
    note = tmp_path / "note"
    runner = program(
        f"def end(*_):\n    open({str(note)!r}, 'w').write('term'); sys.exit(63)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(60)"
    )
    ready = asyncio.Event()
    task = asyncio.create_task(runner.run(["backup"], None, lambda _line: ready.set()))
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert note.read_text() == "term"


async def test_an_access_key_in_the_answer_of_a_server_is_in_neither_log_nor_result(program):
    lines = []
    result = await program("print('<AWSAccessKeyId>AKIA123</AWSAccessKeyId>')").run([], 10, lines.append)
    assert lines == ["<AWSAccessKeyId><redacted></AWSAccessKeyId>"]
    assert "AKIA123" not in result.output


async def test_info_is_read_though_it_quotes_what_was_deciphered_with_the_wrong_passphrase(program):
    """As pgBackRest 2.60 does: control characters and broken UTF-8 inside of a JSON string."""
    said = b'[{"name":"hippo","status":"key/value found outside of section at line 1: \x17\x0c]\xff"}]'
    runner = program(f"sys.stdout.buffer.write({said!r})")
    known = await Repository("hippo", runner).info(refresh=True)
    assert known.error == ""
    assert known.info["status"].endswith("at line 1: ]\ufffd")  # without what steers a terminal


async def test_what_each_set_takes_files_from_is_left_out_of_info(program):
    """Of a chain of thousands it would be megabytes, and nobody reads it."""
    sets = [{"label": "F", "reference": None}, {"label": "F_I", "reference": ["F"]}]
    runner = program(f"print({json.dumps([{'name': 'hippo', 'backup': sets}])!r})")
    known = await Repository("hippo", runner).info(refresh=True)
    assert known.info["backup"] == [{"label": "F"}, {"label": "F_I"}]


async def test_the_agent_asks_pgbackrest(program):
    archive = {"database": {"id": 1, "repo-key": 1}, "id": "18-1", "max": "0000000200000003000000AB"}
    listed = {"0000000200000003000000AB-def.zst": {"type": "file", "size": 2, "time": 1795903551}}
    info = json.dumps([{"name": "hippo", "archive": [archive]}])
    runner = program(f"print({json.dumps(listed)!r} if 'repo-ls' in sys.argv else {info!r})")
    found = await Repository("hippo", runner).newest_wal()
    assert (found.ok, found.time) == (True, "2026-11-28T22:05:51Z")


async def test_what_pgbackrest_says_is_the_error(program):
    runner = program("print('ERROR: [039]: no such bucket', file=sys.stderr); sys.exit(39)")
    found = await Repository("hippo", runner).newest_wal()
    assert (found.ok, found.error) == (False, "ERROR: [039]: no such bucket")


async def test_of_what_a_storage_has_answered_a_part_is_told(program):
    """It is megabytes at its pleasure, and the controller reads no more of an answer: then the others' would be lost too."""
    repos = [{"key": key, "status": {"code": 99, "message": "x" * size}} for key, size in ((1, 10), (2, 9_000_000))]
    runner = program(f"print({json.dumps([{'name': 'hippo', 'repo': repos}])!r})")
    known = await Repository("hippo", runner).info(refresh=True)
    assert [len(one["status"]["message"]) for one in known.info["repo"]] == [10, trouble.MOST]


async def test_an_error_is_not_told_at_any_length(program):
    runner = program("print('ERROR: [029]: ' + 'x' * 3_000_000, file=sys.stderr); sys.exit(29)")
    assert len((await runner.run(["info"], 20)).error) == trouble.MOST


@pytest.mark.parametrize(("command", "ok"), [("info", False), ("repo-ls", False), ("archive-push", True)])
async def test_what_asks_a_storage_has_a_bound_in_memory(program, command: str, ok: bool):
    """A storage may list without an end. Nothing of this is touched, so it costs the test nothing."""
    runner = program("sys.stdin.read(); time.sleep(0.5); x = bytearray(2 * 2**30)")
    assert (await runner.run([command], 20)).ok is ok


@pytest.mark.parametrize(
    ("text", "most"),
    [("805306368\n", 384), ("67108864\n", 96), ("9223372036854771712\n", 512), ("max\n", 512), (None, 512)],
)
def test_the_bound_is_half_of_what_the_container_may_have(tmp_path, text: str | None, most: int):
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    assert memory_bound.of_container((tmp_path / "memory.max",)) == most * memory_bound.MIB
