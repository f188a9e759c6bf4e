"""Refusals taken apart, questions asked, completion, times and sizes, and text that would steer a terminal."""

import argparse
import subprocess
import sys
from datetime import timedelta

import pytest

from harness.waiting import SLOWER
from pgwarden.api.quantity import size
from pgwarden.cli import completion, output
from pgwarden.cli.commands import COMMANDS
from pgwarden.cli.delete import consequence
from pgwarden.cli.errors import CliError, faults_of, unknown
from pgwarden.cli.main import translated
from pgwarden.cli.operate import sure
from pgwarden.cli.terminal import clean
from pgwarden.kube import errors

SAID = {
    "one fault of the webhook": (
        'admission webhook "check.pgwarden.io" denied the request: spec.type: "x": must be one of full',
        ['spec.type: "x": must be one of full'],
    ),
    "faults of the webhook": (
        'admission webhook "c" denied the request: 3 faults: [1] spec.a: bad; [2] spec.options[1]: bad; worse; [3] c',
        ["spec.a: bad", "spec.options[1]: bad; worse", "c"],
    ),
    "faults of the schema": (
        'Backup.pgwarden.io "x" is invalid: [spec.type: Unsupported value: "y": supported values: "full", "diff", spec.z: no]',
        ['spec.type: Unsupported value: "y": supported values: "full", "diff"', "spec.z: no"],
    ),
    "one of the schema": ('Backup.pgwarden.io "x" is invalid: spec: Invalid value: no', ["spec: Invalid value: no"]),
    "something else": ('backups.pgwarden.io "x" already exists', ['backups.pgwarden.io "x" already exists']),
}


@pytest.mark.parametrize(("message", "faults"), SAID.values(), ids=SAID)
def test_a_refusal_comes_apart_fault_by_fault(message, faults):
    assert faults_of(message) == faults


ERRORS = {
    "not known here": (errors.ApiError(401, "Unauthorized", "Unauthorized"), 2, "authentication failed"),
    "not installed": (
        errors.NotFound(404, "NotFound", "the server could not find the requested resource"),
        2,
        "pgwarden is not installed in this cluster",
    ),
    "overloaded": (errors.ApiError(503, "", "later"), 2, "cannot answer now: later"),
    "refused": (errors.Conflict(409, "AlreadyExists", 'backups "x" already exists'), 1, 'refused: backups "x" already'),
    "nobody there": (ConnectionRefusedError(111, "refused"), 2, "cannot reach the API server"),
    "anything else": (KeyError("x"), 2, "internal error: KeyError"),
}


@pytest.mark.parametrize(("error", "code", "said"), ERRORS.values(), ids=ERRORS)
def test_every_error_is_a_sentence_with_an_exit_code(error, code, said):
    problem = translated(error)
    assert problem.code == code
    assert said in problem.message


UNKNOWN = {
    "near": (["hippo", "giraffe"], "there is no Repository hipo in namespace zoo; did you mean hippo?"),
    "far": (["b", "a"], "there is no Repository hipo in namespace zoo; it has a, b"),
    "none": ([], "there is no Repository hipo in namespace zoo; it has none"),
}


@pytest.mark.parametrize(("known", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_name_meets_those_that_are_near(known, said):
    assert unknown("Repository", "hipo", "zoo", known).message == said


def test_without_a_terminal_and_without_yes_nothing_is_done(terminal):
    with pytest.raises(CliError, match="give --yes to continue") as caught:
        sure(argparse.Namespace(yes=False), terminal, "sure? ", "y")
    assert caught.value.code == 2
    assert terminal.err.getvalue() == ""


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "yes\n", "hippo2\n"], ids=repr)
def test_another_answer_changes_nothing(someone, typed):
    with pytest.raises(CliError, match="nothing was changed"):
        sure(argparse.Namespace(yes=False), someone(typed), "sure? ", "hippo")


def test_the_answer_or_yes_goes_on(someone, terminal):
    asked = someone("hippo\n")
    sure(argparse.Namespace(yes=False), asked, "Type hippo: ", "hippo")
    assert asked.err.getvalue() == "Type hippo: "
    sure(argparse.Namespace(yes=True), terminal, "sure? ", "hippo")
    assert terminal.err.getvalue() == ""


def test_deleting_says_what_it_means(make):
    running = make("Backup", "b", status={"phase": "Running"})
    done = make("Backup", "b", status={"phase": "Completed", "label": "20261101-000000F"})
    nightly = make("BackupSchedule", "s", repository="hippo", type="full")
    assert "will be stopped" in consequence(running)
    assert "set 20261101-000000F stays in the repository" in consequence(done)
    assert consequence(nightly) == "it takes no more full backups of Repository hippo; existing ones stay"


CANDIDATES = {
    "commands": (["re"], ["report", "restore"]),
    "things": (["create", ""], ["cluster", "drill", "drillschedule", "repository", "schedule"]),
    "things begun": (["show", "re"], ["repository", "restore"]),
    "options": (["restore", "hippo", "--pitr"], ["--pitr-target"]),
    "an option once": (["backup", "hippo", "--wait", "--w"], []),
    "values": (["backup", "hippo", "--pgbackrest-backup-type", ""], ["diff", "full", "incr"]),
    "values behind =": (["lint", "--output=s"], ["--output=sarif"]),
    "values behind bash's =": (["lint", "--output", "=", "s"], ["--output=sarif"]),
    "values behind bash's bare =": (["lint", "--output", "="], ["--output=json", "--output=sarif", "--output=text"]),
    "shells": (["completion", "z"], ["zsh"]),
    "behind a namespace": (["-n", "zoo", "sta"], ["status"]),
    "no cluster, no names": (["backup", ""], []),
    "nonsense": (["frobnicate", "x", ""], []),
}


@pytest.mark.parametrize(("words", "found"), CANDIDATES.values(), ids=CANDIDATES)
def test_completion_answers_from_the_commands(run, words, found):
    done = run("__complete", *words)
    assert (done.code, done.out.split(), done.err) == (0, found, "")


def test_completion_knows_every_command(run):
    assert run("__complete", "").out.split() == sorted({command.words[0] for command in COMMANDS})


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_each_script_asks_this_program(run, shell):
    assert "__complete" in run("completion", shell).out


def test_bash_completes_by_its_script(tmp_path):
    """In a real bash: words broken at = and all."""
    program = tmp_path / "pgwarden"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pgwarden.cli.main "$@"\n', "utf-8")
    program.chmod(0o755)
    script = f"""{completion.SCRIPTS["bash"]}
COMP_WORDS=({program} lint --output = s) COMP_CWORD=4
_pgwarden; echo "${{COMPREPLY[@]}}"
COMP_WORDS=({program} restore hippo --pitr) COMP_CWORD=3
_pgwarden; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60 * SLOWER)
    assert done.stdout.splitlines() == ["sarif", "--pitr-target"]


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (90000, "1 d 1 h"),
        (-5, "0 s"),
        (86400 * 400, "400 d"),
    ],
)
def test_spans_have_two_units(length, said):
    assert output.span(timedelta(seconds=length)) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5.0 TiB"), (5 << 60, "5242880.0 TiB"), (None, "")],
)
def test_sizes_are_binary(count, said):
    assert size(count) == said


def test_a_table_lines_up_and_marks_what_is_empty():
    assert output.table(("A", "LONG"), [("x", None), ("longer", 5)]) == ["A       LONG", "x       -", "longer  5"]


def test_text_of_the_cluster_does_not_steer_the_terminal(terminal):
    hostile = "a\x1b[2Jb\rc\x9bd\ne\tf"
    terminal.say(hostile)
    assert terminal.out.getvalue() == "a[2Jbcd\ne\tf\n"
    assert clean("\x00\x7f") == ""


def test_a_reader_that_stops_early_is_no_error():
    """`pgwarden --help | head -1`"""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m pgwarden.cli.main --help | head -1 >/dev/null"],
        capture_output=True, text=True, timeout=60 * SLOWER, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_offline_commands_load_no_client():
    """lint and inject start fast, and in CI without any of it."""
    code = (
        "import sys; from pgwarden.cli.main import main; main(['inject', '--help']); import pgwarden.cli.lint, "
        "pgwarden.cli.inject; print(sorted({'aiohttp', 'kubernetes'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60 * SLOWER)
    assert done.stdout.splitlines()[-1] == "[]"
