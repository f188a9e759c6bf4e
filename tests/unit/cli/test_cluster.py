"""The commands about PostgresClusters: words in, resource or refusal out; S3 keys that are never shown; what is lost."""

import argparse
import copy

import pytest
import yaml

from pgwarden.cli import cluster as cluster_commands
from pgwarden.cli import cluster_data_loss, completion, data_loss, keys, parser, status
from pgwarden.cli.errors import CliError
from pgwarden.cli.protection import judge
from tests.unit.cli.conftest import NOW

KEY, HIDDEN = "AKIAEXAMPLE", "wJalrXUtnFEMI"
SEED = [
    "create",
    "cluster",
    "hippo",
    "--pgbackrest-storage-type=local,s3",
    "--pgbackrest-s3-bucket",
    "backups",
    "--pgbackrest-s3-endpoint",
    "s3.eu-central-1.amazonaws.com",
    "--pgbackrest-s3-key",
    KEY,
    "--pgbackrest-s3-key-secret",
    HIDDEN,
    "--pgbackrest-s3-region",
    "eu-central-1",
    "--pgbackrest-storage-class",
    "slow",
]
S3 = {
    "bucket": "backups",
    "endpoint": "s3.eu-central-1.amazonaws.com",
    "region": "eu-central-1",
    "credentialsSecretRef": {"name": "hippo-s3"},
}
RESOURCES = {
    "nothing but a name": (
        ["create", "cluster", "hippo"],
        {"instances": {"replicas": 1}, "repository": {"storageType": "local"}},
    ),
    "the seed's cluster": (
        SEED,
        {
            "instances": {"replicas": 1},
            "repository": {"storageType": "local,s3", "local": {"storageClassName": "slow"}, "s3": S3},
        },
    ),
    "the seed's replica count": (
        ["create", "cluster", "hippo", "--replica-count=2", "--storage-class=fast", "--pvc-size=2Gi"],
        {
            "instances": {"replicas": 3, "storage": {"storageClassName": "fast", "size": "2Gi"}},
            "repository": {"storageType": "local"},
        },
    ),
    "instances in all": (
        ["create", "cluster", "hippo", "--replicas", "3", "--pgbackrest-pvc-size=5Gi"],
        {"instances": {"replicas": 3}, "repository": {"storageType": "local", "local": {"size": "5Gi"}}},
    ),
    "S3 where all but the keys is the operator's": (
        ["create", "cluster", "hippo", "--pgbackrest-storage-type=s3", "--pgbackrest-s3-secret=keys"],
        {
            "instances": {"replicas": 1},
            "repository": {"storageType": "s3", "s3": {"credentialsSecretRef": {"name": "keys"}}},
        },
    ),
    "a service with a CA of its own": (
        [
            *["create", "cluster", "hippo", "--pgbackrest-storage-type=s3", "--pgbackrest-s3-secret=keys"],
            *["--pgbackrest-s3-uri-style=path", "--pgbackrest-s3-ca-secret=ca", "--pgbackrest-s3-path=/pg"],
        ],
        {
            "instances": {"replicas": 1},
            "repository": {
                "storageType": "s3",
                "s3": {
                    "path": "/pg",
                    "uriStyle": "path",
                    "caSecretRef": {"name": "ca"},
                    "credentialsSecretRef": {"name": "keys"},
                },
            },
        },
    ),
    "a clone": (
        ["clone", "hippo", "rhino"],
        {
            "instances": {"replicas": 1},
            "repository": {"storageType": "local"},
            "dataSource": {"repository": "hippo"},
        },
    ),
    "a clone of another namespace's": (
        ["clone", "hippo", "rhino", "--source-namespace=prod", "--set=20261123-010000F"],
        {
            "instances": {"replicas": 1},
            "repository": {"storageType": "local"},
            "dataSource": {"repository": "hippo", "namespace": "prod", "set": "20261123-010000F"},
        },
    ),
    "a clone to a moment": (
        ["clone", "hippo", "rhino", "--pitr-target=2026-11-23 10:00:00+00", "--replica-count=1"],
        {
            "instances": {"replicas": 2},
            "repository": {"storageType": "local"},
            "dataSource": {"repository": "hippo", "target": {"time": "2026-11-23 10:00:00+00"}},
        },
    ),
    "the seed's autofail": (["update", "cluster", "hippo", "--autofail=true"], {"autofail": True}),
    "autofail off": (["update", "cluster", "hippo", "--autofail", "false"], {"autofail": False}),
    "autofail as its column says it": (["update", "cluster", "hippo", "--autofail=off"], {"autofail": False}),
    "scale": (["scale", "hippo", "--replicas=3"], {"instances": {"replicas": 3}}),
}


@pytest.mark.parametrize(("words", "spec"), RESOURCES.values(), ids=RESOURCES)
def test_a_dry_run_prints_the_cluster_and_no_keys(run, words, spec):
    done = run(*words, "--dry-run", "-o", "yaml", "-n", "zoo")
    assert done.code == 0, done.err
    (obj,) = yaml.safe_load_all(done.out)
    name = words[2] if words[0] in {"clone", "create", "update"} else words[1]
    assert (obj["kind"], obj["metadata"]) == ("PostgresCluster", {"name": name, "namespace": "zoo"})
    assert obj["spec"] == spec
    assert KEY not in done.out + done.err
    assert HIDDEN not in done.out + done.err


def test_a_dry_run_says_how_the_secret_is_made(run):
    said = run(*SEED, "--dry-run", "-n", "zoo").err
    assert (
        "kubectl -n zoo create secret generic hippo-s3 --from-file=s3-key=FILE --from-file=s3-key-secret=FILE" in said
    )


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_keys_are_printed_only_when_that_is_asked(run, form):
    """As the Secret that the command would make, before the cluster that needs it."""
    done = run(*SEED, "--dry-run", "-o", form, "--show-keys")
    printed = list(yaml.safe_load_all(done.out))
    secret, cluster = printed[0]["items"] if form == "json" else printed
    assert secret["metadata"]["name"] == "hippo-s3"
    assert secret["stringData"] == {"s3-key": KEY, "s3-key-secret": HIDDEN}
    assert cluster["kind"] == "PostgresCluster"


REFUSALS = {
    "S3 words without S3": (
        ["--pgbackrest-s3-bucket=x"],
        "--pgbackrest-s3-bucket needs --pgbackrest-storage-type=s3 or local,s3",
    ),
    "a volume without a local storage": (
        ["--pgbackrest-storage-type=s3", "--pgbackrest-storage-class=x"],
        "storage s3 has no volume: omit --pgbackrest-storage-class",
    ),
    "keys twice": (
        ["--pgbackrest-storage-type=s3", "--pgbackrest-s3-secret=a", "--pgbackrest-s3-key=b"],
        "names a Secret that has the keys; omit --pgbackrest-s3-key",
    ),
    "keys from two places": (
        ["--pgbackrest-storage-type=s3", "--pgbackrest-s3-keys-from=-", "--pgbackrest-s3-key=b"],
        "has both keys; omit --pgbackrest-s3-key",
    ),
    "replicas twice": (["--replicas=2", "--replica-count=1"], "--replica-count and --replicas cannot be combined"),
    "a negative number": (["--replica-count=-1"], "--replica-count -1 must not be negative"),
    "no instance": (["--replicas=0"], "--replicas 0 must be greater than zero"),
    "a storage that is none": (["--pgbackrest-storage-type=s3,local"], '"s3,local": must be local or s3 or local,s3'),
    "keys of nothing": (["--show-keys", "--pgbackrest-storage-type=s3"], "no keys were given"),
    "a file that is not there": (
        ["--show-keys", "--pgbackrest-storage-type=s3", "--pgbackrest-s3-keys-from=/nowhere"],
        "--pgbackrest-s3-keys-from /nowhere: No such file",
    ),
}


@pytest.mark.parametrize(("words", "said"), REFUSALS.values(), ids=REFUSALS)
def test_contradictions_are_told_before_a_cluster_is_asked(run, words, said):
    done = run("create", "cluster", "hippo", *words, "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_all_faults_of_the_cluster_are_told(run):
    done = run("create", "cluster", "Hippo", "--pvc-size=ten", "--pgbackrest-pvc-size=0", "--dry-run")
    assert done.code == 1
    assert [line.split(":")[0] for line in done.err.splitlines()[1:]] == [
        "  - metadata.name",
        "  - spec.instances.storage.size",
        "  - spec.repository.local.size",
    ]


@pytest.mark.parametrize(
    "words", [["scale", "hippo"], ["scale", "hippo", "--replicas=-1"], ["update", "cluster", "hippo"]], ids=" ".join
)
def test_a_change_to_nothing_is_no_change(run, words):
    assert run(*words, "--dry-run").code == 2


READ = {
    "two lines": f"{KEY}\n{HIDDEN}\n",
    "as the Secret has them": f"s3-key-secret={HIDDEN}\ns3-key={KEY}\n",
    "the only profile": f"[backups]\naws_access_key_id = {KEY}\naws_secret_access_key = {HIDDEN}\nregion = x\n",
    "the default profile": (
        "[other]\naws_access_key_id = a\naws_secret_access_key = b\n\n# mine\n"
        f"[default]\naws_access_key_id={KEY}\naws_secret_access_key={HIDDEN}\n"
    ),
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_keys_are_read_in_the_forms_in_which_people_have_them(text):
    assert keys.parse(text, "f") == keys.Keys(KEY, HIDDEN)


UNREADABLE = {
    "one line": (f"{HIDDEN}\n", "f must be an AWS credentials file, or two lines"),
    "a key is missing": (f"[x]\naws_secret_access_key={HIDDEN}\n", "f: the access key is missing"),
    "several profiles": (
        f"[a]\naws_access_key_id=1\naws_secret_access_key={HIDDEN}\n[b]\naws_access_key_id=1\n",
        "several profiles, none of them named default: a, b",
    ),
    "a space in it": (f"a b\n{HIDDEN}\n", "f: the access key must not contain spaces"),
}


@pytest.mark.parametrize(("text", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_pair_of_keys_is_refused_without_repeating_it(text, said):
    with pytest.raises(CliError, match="f") as caught:
        keys.parse(text, "f")
    assert said in caught.value.message
    assert HIDDEN not in caught.value.message


def given(**values):
    empty = {"pgbackrest_s3_keys_from": "", "pgbackrest_s3_key": "", "pgbackrest_s3_key_secret": ""}
    return argparse.Namespace(**(empty | values))


def test_keys_are_asked_for_where_somebody_is_there(someone):
    terminal = someone(f"{KEY}\n{HIDDEN}\n")
    assert keys.read(given(), terminal) == keys.Keys(KEY, HIDDEN)
    assert "S3 secret key (not shown): " in terminal.err.getvalue()
    assert keys.read(given(pgbackrest_s3_key=KEY), someone(f"{HIDDEN}\n")) == keys.Keys(KEY, HIDDEN)


def test_keys_come_from_standard_input(terminal):
    terminal.source.write(f"{KEY}\n{HIDDEN}\n")
    terminal.source.seek(0)
    assert keys.read(given(pgbackrest_s3_keys_from="-"), terminal) == keys.Keys(KEY, HIDDEN)


def test_nobody_there_and_no_keys_is_none(terminal):
    assert keys.read(given(), terminal) is None


def test_keys_do_not_show_in_a_traceback():
    assert HIDDEN not in repr(keys.Keys(KEY, HIDDEN))


def test_scaling_down_names_what_goes_and_never_the_primary(cluster):
    assert cluster_data_loss.of_scale(cluster(), 3) == cluster_data_loss.of_scale(cluster(), 5) == []
    (line,) = cluster_data_loss.of_scale(cluster(), 1)
    assert line == (
        "2 instances will be removed, with their volumes (hippo-1, hippo-2); the primary and the backups stay."
    )


def test_of_instances_that_the_status_does_not_list_it_is_not_said_which(cluster):
    """Just scaled up: one of the two that go is not there yet."""
    found = cluster(replicas=2)
    found["spec"]["instances"]["replicas"] = 3
    (line,) = cluster_data_loss.of_scale(found, 1)
    assert line.startswith("2 instances will be removed, with their volumes (among them hippo-1); ")


def test_growing_with_autofail_off_says_that_it_waits(cluster):
    (note,) = cluster_data_loss.notes_of_growth(cluster(autofail=False), 4)
    assert "new replicas are created only while it is on: kubectl pgwarden update cluster hippo --autofail=true" in note
    assert cluster_data_loss.notes_of_growth(cluster(), 4) == []


def test_a_deletion_says_what_is_lost_and_what_stays(cluster, make, healthy):
    repository = make("Repository", "hippo", status=healthy)
    running = make("Backup", "now", status={"phase": "Running"}, repository="hippo")
    both = cluster(repository={"storageType": "local,s3", "s3": S3})
    text = "\n".join(cluster_data_loss.of_deletion(both, repository, [running], NOW))
    assert "3 instances with all data on their volumes (2Gi each), Services, and Secret hippo-credentials" in text
    assert "transactions committed after 2026-11-23 11:55:00Z (5 min ago)" in text
    assert "Backup now (Running)" in text
    assert (
        "2 backup sets and their WAL in claim hippo-pgbackrest-repo and in bucket backups with Secret hippo-s3" in text
    )


@pytest.mark.parametrize("repository", [None, {}], ids=["no Repository", "a Repository without backups"])
def test_a_deletion_without_a_backup_loses_everything(cluster, make, repository):
    found = None if repository is None else make("Repository", "hippo", status=repository)
    assert "EVERYTHING: there is no finished backup" in "\n".join(
        cluster_data_loss.of_deletion(cluster(1), found, [], NOW)
    )


def test_a_restore_says_that_replicas_go_and_autofail_stays_off(cluster, make, healthy):
    restore, repository = make("Restore", "back", repository="hippo"), make("Repository", "hippo", status=healthy)
    text = "\n".join(data_loss.of_restore(restore, repository, NOW, cluster()))
    assert "2 replicas with their data" in text
    assert "kubectl pgwarden update cluster hippo --autofail=true" in text
    assert "replica" not in "\n".join(data_loss.of_restore(restore, repository, NOW))


@pytest.fixture
def there(make, healthy):
    def build(*clusters, repositories=("hippo",)):
        found = [
            make("Repository", name, status=copy.deepcopy(healthy), retention={"full": 7}) for name in repositories
        ]
        empty = {"backups": [], "backupschedules": [], "restores": []}
        return {"repositories": found, "postgresclusters": list(clusters), **empty}

    return build


def test_status_has_the_cluster_beside_its_repository(there, cluster):
    (one,) = judge(there(cluster(autofail=False)), NOW)
    assert one.wrong == ()
    assert "  cluster      Ready, primary hippo-3, 3/3 instances ready, autofail off" in status.as_text(one, NOW)
    assert any("kubectl pgwarden update cluster hippo --autofail=true" in note for note in one.notes)
    assert status.as_data(one)["cluster"].startswith("Ready, primary hippo-3")


def test_a_cluster_that_is_down_is_wrong_before_all_else(there, cluster):
    (one,) = judge(there(cluster(phase="Down", message="there is no primary", primary=None)), NOW)
    assert one.wrong[0] == "PostgresCluster hippo is Down: there is no primary"


def test_a_cluster_without_a_repository_is_not_protected(there, cluster):
    (one,) = judge(there(cluster(phase="Creating"), repositories=()), NOW)
    assert status.as_text(one, NOW)[0] == "hippo: NOT PROTECTED"
    assert one.wrong


COMPLETIONS = {
    "the words": (["create", ""], {"cluster", "schedule"}),
    "a choice": (["update", "cluster", "hippo", "--autofail="], {"--autofail=true", "--autofail=false"}),
    "the flags": (
        ["create", "cluster", "h", "--pgbackrest-s3-k"],
        {"--pgbackrest-s3-key", "--pgbackrest-s3-keys-from"},
    ),
    "both storages": (["create", "cluster", "h", "--pgbackrest-storage-type", "local"], {"local", "local,s3"}),
}


@pytest.mark.parametrize("command", ["create cluster", "create repository", "protect", "clone"])
def test_the_option_that_takes_a_secret_key_is_not_offered(command):
    with pytest.raises(parser.HelpWanted) as told:
        parser.parse([*command.split(), "--help"])
    assert "--pgbackrest-s3-keys-from" in str(told.value)
    assert "--pgbackrest-s3-key-secret" not in str(told.value)
    assert "--pgbackrest-s3-key-secret" not in completion.candidates([*command.split(), "x", "--pgbackrest-s3-key"])


@pytest.mark.parametrize(("words", "found"), COMPLETIONS.values(), ids=COMPLETIONS)
def test_completion_knows_them(words, found):
    assert found <= set(completion.candidates(words))


def test_scaling_to_the_number_that_is_there_says_so(cluster):
    args = argparse.Namespace(replicas=3, replica_count=0, dry_run="")
    change = {"spec": {"instances": {}}}
    assert cluster_commands._scaled(args, None, change, cluster()) == "unchanged, it has 3 instances already"
