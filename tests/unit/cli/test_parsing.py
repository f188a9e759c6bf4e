"""Words in, resource or refusal out; the seed's own command lines among them."""

import pytest
import yaml

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.schema import with_defaults
from pgwarden.cli.commands import COMMANDS
from pgwarden.cli.lookup import Objects
from pgwarden.cli.parser import build, find, parse
from pgwarden.rules import validate
from tests.unit.cli.conftest import NOW

BACKUP_FULL = {"repository": "hippo", "type": "full", "options": ["--repo1-retention-full=7"]}
SCHEDULE = {
    "repository": "hippo",
    "schedule": "0 1 * * *",
    "timeZone": "UTC",
    "type": "full",
    "options": ["--repo1-retention-full=21"],
}
RESOURCES = {
    "the seed's backup": (["backup", "hippo"], "Backup", {"repository": "hippo", "type": "incr"}),
    "the seed's full backup": (
        ["backup", "hippo", "--backup-opts=--type=full --repo1-retention-full=7"],
        "Backup",
        BACKUP_FULL,
    ),
    "options in a word of their own": (
        ["backup", "hippo", "--backup-opts", "--type=full --repo1-retention-full=7"],
        "Backup",
        BACKUP_FULL,
    ),
    "one option in a word of its own": (
        ["backup", "hippo", "--backup-opts", "--type=full"],
        "Backup",
        {"repository": "hippo", "type": "full"},
    ),
    "a type among the options wins": (
        ["backup", "hippo", "--pgbackrest-backup-type=diff", "--backup-opts=--type=full"],
        "Backup",
        {"repository": "hippo", "type": "full"},
    ),
    "a value with a space stays one option": (
        ["backup", "hippo", "--backup-opts=--annotation='why=before the move'"],
        "Backup",
        {"repository": "hippo", "type": "incr", "options": ["'--annotation=why=before the move'"]},
    ),
    "a backup to S3": (
        ["backup", "hippo", "--pgbackrest-storage-type", "s3"],
        "Backup",
        {"repository": "hippo", "type": "incr", "storage": "s3"},
    ),
    "the seed's schedule": (
        [
            "create",
            "schedule",
            "hippo",
            "--schedule=0 1 * * *",
            "--schedule-type=pgbackrest",
            "--pgbackrest-backup-type=full",
            "--schedule-opts=--repo1-retention-full=21",
        ],
        "BackupSchedule",
        SCHEDULE,
    ),
    "a schedule of a zone, suspended": (
        ["create", "schedule", "hippo", "--schedule", "0 */3 * * *", "--timezone=Europe/Berlin", "--suspend"],
        "BackupSchedule",
        {
            "repository": "hippo",
            "schedule": "0 */3 * * *",
            "timeZone": "Europe/Berlin",
            "type": "incr",
            "suspend": True,
        },
    ),
    "a schedule of a fleet, outside of working hours, in a mesh": (
        [
            *("create", "schedule", "hippo", "--schedule=0 * * * *", "--spread=30m", "--not-during=0 8 * * 1-5=10h"),
            *("--not-during", "0 0 24-26 12 *=1d", "--deadline=7200", "--request=cpu=500m", "--limit=memory=2Gi"),
            *("--pod-annotation=sidecar.istio.io/inject=false", "--pod-annotation=note=a=b", "--pod-label", "team=db"),
        ],
        "BackupSchedule",
        {
            "repository": "hippo",
            "schedule": "0 * * * *",
            "timeZone": "UTC",
            "type": "incr",
            "spread": "30m",
            "activeDeadlineSeconds": 7200,
            "notDuring": [
                {"schedule": "0 8 * * 1-5", "duration": "10h"},
                {"schedule": "0 0 24-26 12 *", "duration": "1d"},
            ],
            "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
            "podLabels": {"team": "db"},
            "podAnnotations": {"sidecar.istio.io/inject": "false", "note": "a=b"},
        },
    ),
    "a backup with a deadline, in a pod of its own kind": (
        ["backup", "hippo", "--deadline=60", "--limit=cpu=2", "--pod-annotation=a=b", "--not-during=none"],
        "Backup",
        {
            "repository": "hippo",
            "type": "incr",
            "activeDeadlineSeconds": 60,
            "resources": {"limits": {"cpu": "2"}},
            "podAnnotations": {"a": "b"},
        },
    ),
    "a drill with checks": (
        [
            *("create", "drill", "hippo", "--check=orders=SELECT count(*) >= 1 FROM orders", "--check", "one=SELECT 1"),
            *("--expect=one=1", "--set=20261123-010000F", "--deadline=600", "--storage-class=fast", "--pvc-size=2Gi"),
        ],
        "RestoreDrill",
        {
            "repository": "hippo",
            "set": "20261123-010000F",
            "newVolume": {"storageClassName": "fast", "size": "2Gi"},
            "checks": [
                {"name": "orders", "sql": "SELECT count(*) >= 1 FROM orders"},
                {"name": "one", "sql": "SELECT 1", "expect": "1"},
            ],
            "activeDeadlineSeconds": 600,
        },
    ),
    "a drill of a moment": (
        ["create", "drill", "hippo", "--pitr-target=2026-11-23 10:00:00+00"],
        "RestoreDrill",
        {"repository": "hippo", "target": {"time": "2026-11-23 10:00:00+00"}},
    ),
    "a schedule of drills": (
        [
            *("create", "drillschedule", "hippo", "--schedule=0 4 * * 0", "--timezone=Europe/Berlin", "--spread=2h"),
            *("--check=a=SELECT true", "--pgbackrest-storage-type=s3", "--suspend"),
        ],
        "RestoreDrillSchedule",
        {
            "repository": "hippo",
            "schedule": "0 4 * * 0",
            "timeZone": "Europe/Berlin",
            "spread": "2h",
            "suspend": True,
            "template": {"storage": "s3", "checks": [{"name": "a", "sql": "SELECT true"}]},
        },
    ),
    "no limit": (["backup", "hippo", "--deadline=0"], "Backup", {"repository": "hippo", "type": "incr"}),
    "the seed's restore": (["restore", "hippo"], "Restore", {"repository": "hippo"}),
    "the seed's restore to a moment": (
        ["restore", "hippo", "--pitr-target=2026-11-23 10:00:00+00"],
        "Restore",
        {"repository": "hippo", "target": {"time": "2026-11-23 10:00:00+00"}},
    ),
    "the seed's type beside its target": (
        ["restore", "hippo", "--pitr-target=2026-11-23 10:00:00+00", "--backup-opts=--type=time --process-max=2"],
        "Restore",
        {"repository": "hippo", "target": {"time": "2026-11-23 10:00:00+00"}, "options": ["--process-max=2"]},
    ),
    "a restore to a WAL position": (
        ["restore", "hippo", "--target-lsn=0/3000060", "--target-timeline=2", "--set=20261123-010000F"],
        "Restore",
        {
            "repository": "hippo",
            "target": {"lsn": "0/3000060"},
            "targetTimeline": "2",
            "set": "20261123-010000F",
        },
    ),
    "a restore past a deletion": (
        ["restore", "hippo", "--repo-target-time=2026-11-23T10:00:00Z", "--volume-claim=rescued"],
        "Restore",
        {"repository": "hippo", "repoTargetTime": "2026-11-23T10:00:00Z", "volumeClaim": "rescued"},
    ),
    "a restore to the end of the backup": (
        ["restore", "hippo", "--immediate", "--delete-old-volume"],
        "Restore",
        {"repository": "hippo", "target": {"immediate": True}, "keepOldVolume": False},
    ),
    "a restore beside": (
        ["restore", "hippo", "--volume-claim=look-at-this"],
        "Restore",
        {"repository": "hippo", "volumeClaim": "look-at-this"},
    ),
    "a restore beside, by another image": (
        ["restore", "hippo", "--set=20261123-010000F", "--volume-claim=before", "--image=postgres:16"],
        "Restore",
        {"repository": "hippo", "set": "20261123-010000F", "volumeClaim": "before", "image": "postgres:16"},
    ),
}


@pytest.mark.parametrize(("words", "kind", "spec"), RESOURCES.values(), ids=RESOURCES)
def test_a_dry_run_prints_exactly_the_resource(run, words, kind, spec):
    """With nothing but the words: no cluster is asked. What is printed keeps every rule."""
    done = run(*words, "--dry-run", "-o", "yaml", "-n", "zoo")
    obj = yaml.safe_load(done.out)
    assert (done.code, done.err, obj["kind"], obj["spec"]) == (0, "", kind, spec)
    assert obj["metadata"]["namespace"] == "zoo"
    lookup = Objects([], "zoo", assumed=["hippo"])
    verdict = validate(with_defaults(obj), old=None, lookup=lookup, now=NOW, defaults=OperatorDefaults())
    assert verdict.faults == []


CHANGES = {
    "another time": (["--schedule=0 2 * * *", "--timezone=Europe/Berlin"], {"schedule": "0 2 * * *", "timeZone": "Europe/Berlin"}),
    "stopped": (["--suspend=true"], {"suspend": True}),
    "and begun again": (["--suspend=false"], {"suspend": False}),
    "full backups that are kept": (["--schedule-opts=--type=full --repo1-retention-full=7"], {"type": "full", "options": ["--repo1-retention-full=7"]}),
    "windows": (["--not-during=0 8 * * *=10h"], {"notDuring": [{"schedule": "0 8 * * *", "duration": "10h"}]}),
    "all of it taken off again": (
        ["--not-during=none", "--spread=none", "--deadline=0", "--pod-annotation=a/b-", "--pod-label=c-"],
        {"notDuring": None, "spread": None, "activeDeadlineSeconds": None, "podAnnotations": {"a/b": None}, "podLabels": {"c": None}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("words", "spec"), CHANGES.values(), ids=CHANGES)
def test_a_schedule_is_changed_by_a_patch_of_what_was_said_and_nothing_else(run, words, spec):
    done = run("update", "schedule", "hippo-full", *words, "--dry-run", "-n", "zoo")
    obj = yaml.safe_load(done.out)
    assert (done.code, done.err, obj["kind"], obj["spec"]) == (0, "", "BackupSchedule", spec)
    assert obj["metadata"] == {"name": "hippo-full", "namespace": "zoo"}


REFUSALS = {
    "nothing to change": (["update", "schedule", "s"], 2, "nothing to change; give --schedule"),
    "a window without a length": (
        ["create", "schedule", "h", "--schedule=0 1 * * *", "--not-during=0 8 * * *", "--dry-run"],
        2,
        '--not-during "0 8 * * *" must be CRON=TIME, such as "0 8 * * 1-5=10h"',
    ),
    "a window that is too long": (
        ["create", "schedule", "h", "--schedule=0 1 * * *", "--not-during=0 8 * * *=40d", "--dry-run"],
        1,
        "from 1m to 31d",
    ),
    "an annotation without a value": (["backup", "h", "--pod-annotation=a"], 2, "--pod-annotation a must be KEY=VALUE"),
    "a word of Kubernetes' own": (["backup", "h", "--active-deadline=5"], 2, "use --deadline"),
    "no words name no command": (["bakup", "hippo"], 2, "unknown command bakup; did you mean backup?"),
    "a command of another tool": (["xyzzy"], 2, "unknown command xyzzy; see `pgwarden --help`"),
    "create of nothing": (["create"], 2, "create needs one of repository, cluster, schedule"),
    "create of what is unknown": (
        ["create", "shedule", "h"],
        2,
        "create takes repository, cluster, schedule, drill, drillschedule, not shedule; did you mean schedule or drillschedule?",
    ),
    "show of what is unknown": (["show", "bakcups"], 2, "did you mean backup?"),
    "what kubectl calls get": (["get", "pgb"], 2, "unknown command get; use `pgwarden show`"),
    "what kubectl calls describe": (["describe", "pgr"], 2, "unknown command describe; use `pgwarden show`"),
    "what others call list": (["list"], 2, "unknown command list; use `pgwarden show`"),
    "what pgBackRest calls --type": (
        ["backup", "h", "--type=full"],
        2,
        "no option --type; use --pgbackrest-backup-type",
    ),
    "a backup is not created": (["create", "backup", "h"], 2, "not backup; use `pgwarden backup`"),
    "a Repository is deleted by kubectl": (["delete", "repository", "h"], 2, "; use `kubectl delete pgrepo`"),
    "a timeout in the past": (["backup", "h", "--wait", "--timeout=-1"], 2, "--timeout -1 must not be negative"),
    "a missing name": (["backup"], 2, "REPOSITORY is missing; see `pgwarden backup --help`"),
    "a mistyped option": (["restore", "h", "--pitr-taget=x"], 2, "no option --pitr-taget; did you mean --pitr-target"),
    "an option before the command": (["--namspace=x", "backup"], 2, "unknown option --namspace=x before the command"),
    "a target without quotes": (
        ["restore", "h", "--pitr-target=2026-11-23", "10:00"],
        2,
        "unexpected argument 10:00 of restore; quote a value that contains spaces",
    ),
    "two targets": (
        ["restore", "h", "--immediate", "--target-xid=5"],
        2,
        "--target-xid and --immediate cannot be combined",
    ),
    "a storage that is none": (
        ["backup", "h", "--pgbackrest-storage-type=gcs"],
        2,
        '--pgbackrest-storage-type: "gcs": must be local or s3; see',
    ),
    "a schedule type that is none": (
        ["create", "schedule", "h", "--schedule=0 1 * * *", "--schedule-type=policy"],
        2,
        '--schedule-type: "policy": must be pgbackrest',
    ),
    "a number that is none": (["scale", "h", "--replicas=x"], 2, '--replicas: "x": must be a whole number; see'),
    "a switch with a value": (["backup", "h", "--wait=5"], 2, "--wait takes no value; see"),
    "an option without its value": (["backup", "h", "-n"], 2, "--namespace needs a value; see"),
    "a timeout without waiting": (["backup", "h", "--timeout=5"], 2, "--timeout needs --wait"),
    "no kubeconfig": (["status"], 2, "no kubeconfig found: set KUBECONFIG or --kubeconfig"),
    "a kubeconfig that is not there": (
        ["status", "--kubeconfig=/nowhere"],
        2,
        "--kubeconfig: /nowhere: no such file",
    ),
    "an image for a restore in place": (
        ["restore", "hippo", "--image=postgres:16", "--dry-run"],
        1,
        "is for a restore into a claim of its own (spec.volumeClaim)",
    ),
    "a zone is missing": (["restore", "h", "--pitr-target=2026-11-23 10:00:00", "--dry-run"], 1, "has no time zone"),
    "a cron that is none": (
        ["create", "schedule", "h", "--schedule=0 1 * *", "--dry-run"],
        1,
        "has 4 fields; write five",
    ),
    "an unknown time zone": (
        ["create", "schedule", "h", "--schedule=0 1 * * *", "--timezone=Europe/Berln", "--dry-run"],
        1,
        "did you mean Europe/Berlin?",
    ),
    "an option of pgBackRest that runs programs": (
        ["backup", "h", "--backup-opts=--pg1-path=/x", "--dry-run"],
        1,
        "is set by pgwarden; use spec.postgres of the Repository",
    ),
}


@pytest.mark.parametrize(("words", "code", "said"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_the_way_out_and_nothing_else(run, words, code, said):
    done = run(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_all_faults_of_the_options_are_told_each_on_a_line(run):
    done = run("backup", "h", "--backup-opts=--typ=full --process-max=0 --stanza=x", "--dry-run")
    heads, *faults = done.err.splitlines()
    assert heads == "pgwarden: Backup refused, 3 faults:"
    assert [fault.split(": ")[1] for fault in faults] == ['"--typ=full"', '"--process-max=0"', '"--stanza=x"']


def test_global_options_stand_before_or_after_the_command():
    before = parse(["-n", "zoo", "--context=c", "show", "backups", "hippo"])
    after = parse(["show", "backup", "hippo", "-n", "zoo", "--context=c"])
    assert before == after
    assert before[1].namespace == "zoo"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.title)
def test_every_command_can_be_run_and_explains_itself(run, command):
    """Its function exists, and its help names every option that is offered."""
    import importlib

    module, _, name = command.run.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    done = run(*command.words, "--help")
    assert done.code == 0
    offered = [option for option in command.options if not option.hidden]
    assert all(option.flags[0] in done.out and option.help.split()[0] in done.out for option in offered)
    assert not any(option.flags[0] in done.out for option in command.options if option.hidden)
    assert build(command).prog.endswith(command.title)


def test_help_lists_every_command(run):
    out = run("--help").out
    assert all(f"  {command.title} " in out for command in COMMANDS)


def test_namespace_comes_from_the_context(run, tmp_path):
    """As with kubectl; without a flag it is written into the resource."""
    config = {
        "current-context": "b",
        "contexts": [
            {"name": "a", "context": {"cluster": "x", "user": "y"}},
            {"name": "b", "context": {"cluster": "x", "user": "y", "namespace": "zoo"}},
        ],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), "utf-8")

    def namespace(*words):
        done = run("backup", "hippo", "--dry-run", f"--kubeconfig={path}", *words)
        return yaml.safe_load(done.out)["metadata"]["namespace"] if done.code == 0 else done.err

    assert namespace() == "zoo"
    assert namespace("--context=a") == "default"
    assert namespace("-n", "other") == "other"
    assert "has no context bb; did you mean b?" in namespace("--context=bb")
    assert "has no context x; it has a, b" in run("status", "-n", "zoo", f"--kubeconfig={path}", "--context=x").err


@pytest.mark.parametrize("word", ["backup", "backups", "pgb"])
def test_a_kind_is_known_by_its_plural_and_by_kubectls_short_name(word):
    command, _ = find(["show", word], "pgwarden")
    assert command.words == ("show", "backup")
