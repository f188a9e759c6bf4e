"""Where pods run, by flags: what they become, and what is said of those that cannot be read."""

from __future__ import annotations

import pytest

from pgwarden.cli import cluster_resources, repository_resources
from pgwarden.cli.errors import UsageError
from pgwarden.cli.parser import parse

FLAGS = [
    "--toleration=dedicated=db:NoSchedule", "--toleration", "gpu", "--node-selector", "pool=db", "--priority-class=high",
    "--image-pull-secret=a", "--image-pull-secret=b",
]  # fmt: skip
TEMPLATE = {
    "spec": {
        "tolerations": [
            {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"},
            {"key": "gpu", "operator": "Exists"},
        ],
        "nodeSelector": {"pool": "db"},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
    }
}


def test_a_repository_has_them_for_its_host_and_jobs():
    _, args = parse(["create", "repository", "hippo", *FLAGS])
    assert repository_resources.repository(args, "hippo")["spec"] == {"storageType": "local", "podTemplate": TEMPLATE}


def test_a_cluster_has_them_for_its_instances_whom_the_repository_follows():
    _, args = parse(["create", "cluster", "hippo", *FLAGS])
    spec = cluster_resources.cluster(args)["spec"]
    assert spec == {"instances": {"replicas": 1, "podTemplate": TEMPLATE}, "repository": {"storageType": "local"}}


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--toleration==db", "--toleration =db: write KEY, KEY=VALUE or KEY=VALUE:EFFECT"),
        ("--toleration=a:Never", "NoSchedule, PreferNoSchedule, NoExecute"),
        ("--node-selector=pool", "--node-selector pool: write KEY=VALUE"),
    ],
)
def test_one_that_cannot_be_read_says_how_it_is_written(flag, said):
    _, args = parse(["create", "repository", "hippo", flag])
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        repository_resources.repository(args, "hippo")


def test_the_name_that_another_tool_has_for_it_leads_to_ours():
    with pytest.raises(UsageError, match="use --node-selector"):
        parse(["create", "cluster", "hippo", "--node-label=a=b"])
