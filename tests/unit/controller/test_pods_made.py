"""Every pod that the controller makes, container by container: sized as its namespace asks, restricted, placed."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from controller import placement, pod_parts
from controller.backup import render as of_backup
from controller.cluster import filling, instance
from controller.cluster.clone import Source
from controller.pod_terms import PLAIN, PodTerms
from controller.recovery import job as recovery_job
from controller.repository import render as of_repository
from controller.restore import render as of_restore
from controller.settings import Settings
from pgwarden.api.kinds import BackupSpec, PostgresClusterSpec, RepositorySpec, RestoreSpec
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.sizing import NOTHING, Asks, asks
from pgwarden.contract.server_facts import ServerFacts
from tests.unit.controller.cluster.conftest import facts
from tests.unit.controller.restore.test_render import PLAN, RESTORE

Object = dict[str, Any]
SETTINGS = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
S3 = {"bucket": "b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "k"}}
REPOSITORY = {
    "apiVersion": "v",
    "kind": "Repository",
    "metadata": {"name": "hippo", "namespace": "ns", "uid": "r", "generation": 1},
}
BACKUP = {"apiVersion": "v", "kind": "Backup", "metadata": {"name": "nightly", "namespace": "ns", "uid": "b"}} | {
    "spec": {"repository": "hippo"}
}
CLUSTER = {"apiVersion": "v", "kind": "PostgresCluster", "metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}}
QUOTA = {"spec": {"hard": {"limits.cpu": "9", "limits.memory": "9Gi", "requests.cpu": "9", "requests.memory": "9Gi"}}}


def made(terms: PodTerms = PLAIN, **spec: Any) -> dict[str, Object]:
    """Name → pod template. *spec* is the Repository's; `instances` that of a PostgresCluster's."""
    instances = spec.pop("instances", {})
    given = {"storageType": "local,s3", "s3": S3} | spec
    repo = msgspec.convert(given, RepositorySpec)
    cluster = msgspec.convert({"instances": instances, "repository": given}, PostgresClusterSpec)
    plan = msgspec.structs.replace(PLAN, own_volume=True, scheduling={"tolerations": [{"key": "of-the-workload"}]})
    order = of_restore.order(RESTORE, plan, RestoreSpec(repository="hippo"), repo, terms.asks)
    known = msgspec.to_builtins(ServerFacts(bin_dir="/usr/lib/postgresql/17/bin"))
    source = Source({"metadata": {"name": "hippo", "namespace": "ns"}, "spec": given, "status": {"postgres": known}})
    seen = facts(spec=cluster, cluster=CLUSTER, own=source, source=source)
    cluster = dataclasses.replace(seen, spec=msgspec.structs.replace(cluster, data_source=None), asks=terms.asks)
    filled = filling.order(cluster, SETTINGS, own=True)
    jobs = {
        "backup": of_backup.job(
            BACKUP, BackupSpec(repository="hippo"), REPOSITORY, repo, ["x"], SETTINGS, terms, storage="local"
        ),
        "expire": of_backup.expire_job(BACKUP, REPOSITORY, repo, ["x"], SETTINGS, terms, storage="s3"),
        "host": of_repository.deployment(REPOSITORY, repo, SETTINGS, terms),
        "spare": of_repository.spare(REPOSITORY, repo, SETTINGS, terms),
        "restore": recovery_job.job(order, SETTINGS),
        "filling": recovery_job.job(filled, SETTINGS),
        "instance": instance.deployment(CLUSTER, cluster.spec, SETTINGS, 1, "", "", terms.asks),
    }
    return {name: job["spec"]["template"] for name, job in jobs.items()}


def containers(template: Object) -> Iterator[Object]:
    yield from template["spec"].get("initContainers", [])
    yield from template["spec"]["containers"]


ALL = list(made())


@pytest.mark.parametrize("name", ALL)
def test_each_container_names_what_a_quota_counts_and_nothing_more_where_there_is_none(name):
    for container in containers(made(PodTerms(asks([QUOTA], ())))[name]):
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert {"cpu", "memory"} <= set(limits), container["name"]
        assert {"cpu", "memory"} <= set(requests), container["name"]
    assert all("cpu" not in one["resources"].get("limits", {}) for one in containers(made()[name]))


@pytest.mark.parametrize("name", ALL)
def test_each_container_can_be_sized_by_a_field(name):
    wanted = {"requests": {"cpu": "111m"}, "limits": {"cpu": "3", "memory": "333Mi"}}
    found = list(containers(made(PLAIN, resources=wanted, instances={"resources": wanted})[name]))
    if name == "host":
        assert sums(found) == sums([{"resources": wanted}])
    else:
        assert all(one["resources"] == wanted for one in found)


def sums(containers: Iterable[Object]) -> dict[tuple[str, str], Fraction]:
    """Of what they ask for: what a ResourceQuota counts, rounded up to what is written."""
    found: Counter[tuple[str, str]] = Counter()
    for one in containers:
        for bound, values in one["resources"].items():
            found.update({(bound, kind): parse_quantity(value) for kind, value in values.items()})
    return {key: Fraction(math.ceil(value * 500), 500) for key, value in found.items()}


def test_the_hosts_two_containers_share_what_one_was_given():
    host = made(PLAIN)["host"]
    assert sums(containers(host)) == sums([{"resources": pod_parts.SIZE.always}])


def test_of_what_a_user_has_set_a_limit_range_takes_nothing_away_and_raises_a_share_to_the_least():
    bounds = {"type": "Container", "max": {"memory": "512Mi"}, "min": {"memory": "200Mi"}}
    terms = PodTerms(asks((), [{"spec": {"limits": [bounds]}}]))
    host = containers(made(terms, resources={"limits": {"memory": "720Mi"}})["host"])
    assert [one["resources"]["limits"]["memory"] for one in host] == ["540Mi", "200Mi"]


def test_the_server_of_a_host_sees_its_volume_and_nothing_of_the_hosts_keys():
    pod = made(PLAIN, serviceAccountName="hippo", storageType="local,s3")["host"]["spec"]
    agent, server = pod["containers"]
    sources = {one["name"]: one for one in pod["volumes"]}
    seen = {one["name"] for one in server["volumeMounts"]}
    shared = seen & {one["name"] for one in agent["volumeMounts"]}
    assert shared == {"pgwarden-repo"}
    secrets = [
        part["secret"]["name"]
        for name in seen
        for part in sources[name].get("projected", {}).get("sources", [])
        if "secret" in part
    ]
    assert secrets == ["hippo-pgbackrest-server"]
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in [one["mountPath"] for one in server["volumeMounts"]]
    assert {one["name"] for one in server["env"]} == {"PGWARDEN_ROLE", "PGWARDEN_STANZA"}


@pytest.mark.parametrize("name", ["host", "spare"])
def test_a_host_that_no_pod_reaches_has_no_server(name):
    assert [one["name"] for one in made(PLAIN, storageType="s3")[name]["spec"]["containers"]] == ["pgbackrest"]


def test_no_share_of_a_limit_is_less_than_a_container_starts_with():
    least = {"limits": {"cpu": "50m", "memory": "64Mi"}}
    for one in containers(made(PLAIN, resources=least)["host"]):
        assert one["resources"]["limits"] == {"cpu": "50m", "memory": "64Mi"}


@pytest.mark.parametrize("name", ALL)
def test_each_container_fits_into_the_limit_range(name):
    bounds = {"type": "Container", "max": {"memory": "512Mi", "cpu": "800m"}, "min": {"memory": "200Mi", "cpu": "60m"}}
    found = made(PodTerms(asks([QUOTA], [{"spec": {"limits": [bounds]}}])))[name]
    for one in containers(found):
        for bound in ("limits", "requests"):
            for kind, value in one["resources"][bound].items():
                low, high = (parse_quantity(bounds[side][kind]) for side in ("min", "max"))
                assert low <= parse_quantity(value) <= high, (one["name"], bound, kind, value)


@pytest.mark.parametrize("name", ALL)
def test_together_they_fit_into_what_a_pod_may_have(name):
    wanted = PodTerms(asks([QUOTA], [{"spec": {"limits": [{"type": "Pod", "max": {"memory": "600Mi", "cpu": "1"}}]}}]))
    spec = made(wanted)[name]["spec"]
    staying = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
    for kind, most in (("memory", "600Mi"), ("cpu", "1")):
        total = sum(parse_quantity(one["resources"]["limits"][kind]) for one in [*staying, *spec["containers"]])
        assert total <= parse_quantity(most)


@pytest.mark.parametrize("name", ALL)
def test_each_container_meets_the_restricted_level(name):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards: what it forbids, read off each container."""
    spec = made()[name]["spec"]
    around = spec["securityContext"]
    assert around["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    kinds = {next(key for key in volume if key != "name") for volume in spec["volumes"]}
    assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    for one in containers({"spec": spec}):
        context = around | one["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert not one["securityContext"].get("privileged")
        if one["name"] == "own":  # made only where the workload itself starts as root
            continue
        assert (context["runAsNonRoot"], context["capabilities"]) == (True, {"drop": ["ALL"]}), one["name"]
        assert context["runAsUser"] != 0


TEMPLATE = {
    "metadata": {"labels": {"team": "a"}, "annotations": {"sidecar.istio.io/inject": "false"}},
    "spec": {
        "nodeSelector": {"pool": "backup"},
        "tolerations": [{"key": "mine", "operator": "Exists"}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
    },
}


@pytest.mark.parametrize("name", ALL)
def test_a_pod_template_is_in_each_pod(name):
    found = made(podTemplate=TEMPLATE, instances={"podTemplate": TEMPLATE})[name]
    assert found["metadata"]["labels"].items() >= {"team": "a"}.items()
    assert found["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    spec = found["spec"]
    assert (spec["priorityClassName"], spec["imagePullSecrets"]) == ("high", [{"name": "registry"}])
    if name == "restore":  # where its workload runs
        assert (spec["tolerations"], "nodeSelector" in spec) == ([{"key": "of-the-workload"}], False)
    else:
        assert spec["tolerations"][-1:] == TEMPLATE["spec"]["tolerations"]
        assert spec["nodeSelector"] == {"pool": "backup"}


@pytest.mark.parametrize("name", ["host", "spare", "backup", "expire"])
def test_what_postgresqls_pods_tolerate_is_tolerated(name):
    taint = {"key": "dedicated", "operator": "Exists"}
    terms = PodTerms(NOTHING, placement.of_pod({"metadata": {}, "spec": {"tolerations": [taint]}}))
    assert taint in made(terms)[name]["spec"]["tolerations"]


def test_a_backup_of_the_local_storage_runs_beside_the_host_whatever_affinity_is_given():
    near = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
    own = {"podAffinity": {placement.REQUIRED: [near]}, "nodeAffinity": {placement.PREFERRED: []}}
    found = made(podTemplate={"spec": {"affinity": own}})["backup"]["spec"]["affinity"]
    beside, kept = found["podAffinity"][placement.REQUIRED]
    assert (beside["topologyKey"], kept, found["nodeAffinity"]) == ("kubernetes.io/hostname", near, own["nodeAffinity"])


def test_instances_stay_apart_unless_another_rule_is_given():
    own = {"nodeAffinity": {placement.PREFERRED: []}}
    found = made(instances={"podTemplate": {"spec": {"affinity": own}}})["instance"]["spec"]["affinity"]
    assert set(found) == {"nodeAffinity", "podAntiAffinity"}
    against = {"podAntiAffinity": {placement.REQUIRED: [{"topologyKey": "zone"}]}}
    assert made(instances={"podTemplate": {"spec": {"affinity": against}}})["instance"]["spec"]["affinity"] == against


def test_a_quota_that_comes_later_restarts_no_instance_and_a_template_does():
    def digest(**instances: Any) -> str:
        return instance.digest(CLUSTER, msgspec.convert({"instances": instances}, PostgresClusterSpec), SETTINGS)

    limited: Asks = asks([QUOTA], ())
    found = instance.deployment(CLUSTER, PostgresClusterSpec(), SETTINGS, 1, "", "", limited)
    annotations = found["spec"]["template"]["metadata"]["annotations"]
    assert annotations["pgwarden.io/template"] == digest()
    assert len({digest(), digest(podTemplate=TEMPLATE), digest(podTemplate={"metadata": TEMPLATE["metadata"]})}) == 3


def test_a_node_without_cpu_has_five_minutes_before_it_kills_a_host():
    """Killed for want of CPU it would need more of it to start than it did to live."""
    for container in made()["host"]["spec"]["containers"]:
        for name in ("startupProbe", "livenessProbe"):
            assert container[name]["periodSeconds"] * container[name]["failureThreshold"] == 300
