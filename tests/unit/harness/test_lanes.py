"""The lanes in which `make test` runs its tiers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from harness import lanes
from harness.lanes import Lane, Suite
from harness.waiting import until

TIERS = {path.name for path in (lanes.ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("**/test_*.py"))}
PASSED, FAILED, SKIPPED = "", "<failure/>", "<skipped/>"
#: Runs until it is interrupted; then its fixture is torn down.
HANGS = """
import pathlib, pytest, time
up = pathlib.Path(__file__).with_name("up")

@pytest.fixture
def cluster():
    up.touch()
    yield
    up.unlink()

def test_hangs(cluster):
    time.sleep(600)
"""


@pytest.fixture
def suite(tmp_path: Path):
    """A suite of one test that ended like this."""

    def make(name: str, outcome: str = PASSED) -> Suite:
        made = Suite(name, (), tmp_path)
        junit = (
            f"<testsuite><testcase classname='tests.x.test_x' name='test_it' time='2'>{outcome}</testcase></testsuite>"
        )
        script = f'echo "output of {name}"; echo "$1" > {made.junit}; exit {int(outcome == FAILED)}'
        made.argv = ["sh", "-c", script, "sh", junit]
        return made

    return make


@pytest.fixture
def hangs(tmp_path: Path) -> Suite:
    """A real pytest."""
    (tmp_path / "test_hangs.py").write_text(HANGS)
    made = Suite("hangs", (), tmp_path)
    own = [f"--rootdir={tmp_path}", "-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={made.junit}"]
    made.argv = ["env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", sys.executable, "-m", "pytest", *own, str(tmp_path)]
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`lanes.main` over these lanes, with images that are there already."""
    real = asyncio.create_subprocess_exec

    async def start(*argv, **options):
        return await real(*(["true"] if "localcluster.images" in argv else argv), **options)

    monkeypatch.delenv(lanes.FOREIGN, raising=False)
    monkeypatch.setenv("PGWARDEN_CLUSTER", "ci")
    monkeypatch.setattr(lanes, "left_over", set)
    monkeypatch.setattr(lanes.asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(lanes, "REPORTS", tmp_path / "reports")

    async def main(*made: Lane) -> int:
        monkeypatch.setattr(lanes, "lanes", lambda: list(made))
        return await lanes.main()

    return main


def paths(argv) -> set[str]:
    return {word for word in argv if word.startswith("tests/")}


@pytest.mark.parametrize("foreign", ["", "/tmp/kubeconfig"], ids=["own clusters", "somebody's cluster"])
def test_every_tier_runs_once(monkeypatch, foreign):
    monkeypatch.setenv(lanes.FOREIGN, foreign)
    named = [path for lane in lanes.lanes() for suite in lane.suites for path in paths(suite.argv)]
    assert sorted(named) == sorted(f"tests/{tier}" for tier in TIERS)


@pytest.mark.parametrize(("foreign", "streams"), [("", True), ("/tmp/kubeconfig", False)])
def test_only_clusters_of_our_own_are_several(monkeypatch, foreign, streams):
    monkeypatch.setenv(lanes.FOREIGN, foreign)
    first = lanes.lanes()[0].suites[0]
    assert paths(first.argv) == {"tests/e2e", "tests/redteam"}
    assert ("loadfile" in first.argv) is streams


async def test_a_suite_that_fails_does_not_keep_the_next_from_running_and_fails_the_whole(suite, run, capsys):
    assert await run(Lane([suite("one", FAILED), suite("two")]), Lane([suite("three")])) == 1
    said = capsys.readouterr().out
    assert [f"===== {name}\noutput of {name}" in said for name in ("one", "two", "three")] == [True] * 3
    assert said.endswith("\nfailed    x.test_x::test_it: \nFAILED  one: 1 failed\n")


async def test_a_test_that_passes_by_itself_does_not_fail_the_whole_and_is_named(suite, run, capsys, monkeypatch):
    second = suite("one-again")
    monkeypatch.setattr(lanes.again, "modules", lambda tiers, root: {"one": ["tests/x/test_x.py"]})
    monkeypatch.setattr(lanes, "_suite", lambda *_, **__: second)
    assert await run(Lane([suite("one", FAILED)]), Lane([suite("two")])) == 0
    said = capsys.readouterr().out
    assert "output of one-again" in said
    assert said.endswith("\nunsteady  x.test_x::test_it: \nAll passed; nothing was skipped.\n")


async def test_where_all_pass_it_says_so_after_the_table(suite, run, capsys):
    assert await run(Lane([suite("one")]), Lane([suite("two")])) == 0
    said = capsys.readouterr().out
    assert "x.test_x::test_it" in said.partition("The slowest 2 of 2 tests")[2]
    assert said.endswith("\nAll passed; nothing was skipped.\n")


ASKS = """printf 'controller list secrets\\n' >> "$PGWARDEN_RIGHTS"; """


@pytest.mark.parametrize(
    ("outcome", "variable", "told"),
    [
        (PASSED, "", True),
        (FAILED, "", False),
        (PASSED, "PGWARDEN_KEEP_CLUSTER=1", False),
        (PASSED, f"{lanes.FOREIGN}=/tmp/kubeconfig", False),
    ],
    ids=["a good run", "a bad one", "clusters are kept", "on somebody's cluster"],
)
async def test_a_whole_run_says_what_pgwarden_asked_for_that_the_record_has_not(
    suite, run, capsys, monkeypatch, outcome: str, variable: str, told: bool
):
    monkeypatch.delenv("PGWARDEN_KEEP_CLUSTER", raising=False)
    monkeypatch.delenv("PGWARDEN_RIGHTS", raising=False)
    if variable:
        monkeypatch.setenv(*variable.split("="))
    made = suite("one", outcome)
    made.argv[2] = ASKS + made.argv[2]
    await run(Lane([made]))
    assert ("\nRights, new: controller list secrets; " in capsys.readouterr().out) is told


async def test_a_skipped_test_fails_the_whole(suite, run):
    assert await run(Lane([suite("one", SKIPPED)])) == 1


async def test_on_somebodys_cluster_a_test_may_be_skipped(suite, run, monkeypatch):
    monkeypatch.setenv(lanes.FOREIGN, "/tmp/kubeconfig")
    assert await run(Lane([suite("one", SKIPPED)])) == 0


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "pytest ended without a report, with exit code 3"),
        (
            "echo \"<testsuite><testcase name='test_it'/></testsuite>\" > {junit}; exit 3",
            "pytest ended with exit code 3",
        ),
    ],
    ids=["before its report", "after it"],
)
async def test_a_pytest_that_dies_fails_the_whole(suite, run, capsys, script, said):
    dies = suite("dies")
    dies.argv = ["sh", "-c", script.format(junit=dies.junit)]
    assert await run(Lane([dies, suite("two")])) == 1
    assert capsys.readouterr().out.endswith(f"\nFAILED  dies: {said}\n")


async def test_at_the_limit_what_still_runs_is_ended_and_the_table_is_printed(suite, run, capsys, monkeypatch):
    monkeypatch.setattr(lanes, "LIMIT", 0.5)
    slow = Suite("slow", ["sleep", "600"], suite("one").folder)
    began = time.monotonic()
    assert await run(Lane([slow])) == 1
    assert time.monotonic() - began < lanes.GRACE
    said = capsys.readouterr().out
    assert "what still runs is interrupted" in said
    assert said.endswith("\nFAILED  slow: interrupted before its end\n")


async def test_what_an_interruption_does_not_end_is_killed(suite, monkeypatch):
    monkeypatch.setattr(lanes, "LIMIT", 0.5)
    monkeypatch.setattr(lanes, "GRACE", 0.2)
    deaf = Suite("deaf", ["sh", "-c", "trap '' INT; sleep 600"], suite("one").folder)
    began = time.monotonic()
    await lanes.run([Lane([deaf])], lanes.LIMIT)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("before", "kept", "removed"),
    [({"ci"}, "0", ["ci-2"]), (set(), "0", ["ci", "ci-2"]), (set(), "1", [])],
    ids=["one ran before", "both were made", "to be kept"],
)
async def test_clusters_that_streams_have_left_are_removed(suite, run, capfd, monkeypatch, before, kept, removed):
    there = iter([before, {"ci", "ci-2"}])
    monkeypatch.setattr(lanes, "stream_clusters", lambda: next(there))
    monkeypatch.setattr(lanes, "DOWN", ("echo", "down"))
    monkeypatch.setenv("PGWARDEN_KEEP_CLUSTER", kept)
    await run(Lane([suite("one")]))
    said = capfd.readouterr().out.splitlines()
    assert [line.removeprefix("down --name ") for line in said if line.startswith("down")] == removed


def test_a_run_has_clusters_of_its_own_unless_one_is_named(monkeypatch):
    monkeypatch.setenv("PGWARDEN_CLUSTER", "")
    monkeypatch.delenv("PGWARDEN_CLUSTER")
    monkeypatch.setenv("PGWARDEN_KEEP_CLUSTER", "1")
    lanes.have_clusters_of_its_own()
    assert "PGWARDEN_CLUSTER" not in os.environ
    monkeypatch.delenv("PGWARDEN_KEEP_CLUSTER")
    lanes.have_clusters_of_its_own()
    assert os.environ["PGWARDEN_CLUSTER"] == f"test-{os.getpid()}"
    monkeypatch.setenv("PGWARDEN_CLUSTER", "mine")
    lanes.have_clusters_of_its_own()
    assert os.environ["PGWARDEN_CLUSTER"] == "mine"


def test_what_killed_runs_have_left_is_removed_and_no_others(monkeypatch, tmp_path):
    monkeypatch.setenv("PGWARDEN_STATE", str(tmp_path))
    gone, here = 2**22 + 1, os.getpid()  # no kernel gives so large a process id
    left = {f"test-{gone}", f"test-{gone}-2", f"api-{gone}"}
    for name in (*left, f"test-{here}", f"test-{here}-2", f"api-{here}", "pgwarden", "test", "bench-10", "test-x"):
        (tmp_path / name).mkdir()
    assert lanes.left_over() == left


async def test_a_sigterm_tears_fixtures_down_and_prints_the_table(hangs, run, capsys):
    whole = asyncio.create_task(run(Lane([hangs])))
    up = hangs.folder / "up"
    await asyncio.to_thread(until, up.exists, "the test runs", 60)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await whole == 1
    assert not up.exists()
    said = capsys.readouterr().out
    assert "Interrupted." in said
    assert "hangs" in said.partition("The slowest")[2]
