"""What the API server itself says of the chart's objects."""

from __future__ import annotations

import pytest
import yaml

from harness.install import CHART, NAMESPACE, ROOT
from tests.apiserver.release import Release

COMBINATIONS = sorted((CHART / "ci").glob("*-values.yaml"))


#: Of one combination's `helm test`; and of `watchNamespaces` of another.
NAMESPACES = ("legacy", "payroll", "ledger")


@pytest.fixture(scope="module")
def named(release: Release) -> None:
    """The namespaces that combinations name."""
    for one in NAMESPACES:
        release.kubectl.run("create", "namespace", one)


@pytest.mark.parametrize("values", COMBINATIONS, ids=[one.name.removesuffix("-values.yaml") for one in COMBINATIONS])
def test_every_rendering_passes_a_strict_server_side_dry_run(release: Release, named: None, values):
    objects = release.render(f"--values={values}", hooks=True)
    foreign = [obj for obj in objects if obj["apiVersion"].startswith("monitoring.coreos.com/")]
    assert bool(foreign) == (values.name == "monitoring-values.yaml")  # the Prometheus operator's kind is not here
    known = [obj for obj in objects if obj not in foreign]
    done = release.cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-",
        input=yaml.safe_dump_all(known),
    )  # fmt: skip
    assert len(done.stdout.split()) == len(known)
    assert "Warning" not in done.stderr


def test_a_field_that_kubernetes_does_not_know_fails_that_dry_run(release: Release):
    (service,) = release.of_kind("Service")
    wrong = service | {"spec": service["spec"] | {"sessionAffinities": "None"}}
    done = release.kubectl.within(NAMESPACE).run(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(wrong),
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "sessionAffinities" in done.stderr


def test_the_custom_kinds_are_established_and_their_schemas_structural(release: Release):
    crds = release.of_kind("CustomResourceDefinition")
    assert len(crds) == len(list((ROOT / "crds").glob("*.yaml")))
    for crd in crds:
        conditions = release.kubectl.get("crd", crd["metadata"]["name"])["status"]["conditions"]
        said = {one["type"]: one["status"] for one in conditions}
        assert said["Established"] == said["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in said


def test_upgrading_to_the_same_chart_changes_nothing(release: Release, webhook):
    names = [f"{obj['kind']}/{obj['metadata']['name']}" for obj in release.objects]
    before, bundles = versions(release, names), release.bundles()
    configurations = release.of_kind("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    assert len(bundles) == sum(len(one["webhooks"]) for one in configurations)
    assert all(bundles)
    release.helm.run("upgrade", "pgwarden", str(CHART), f"--namespace={NAMESPACE}")
    assert versions(release, names) == before
    assert release.bundles() == bundles


def versions(release: Release, names: list[str]) -> dict[str, str]:
    form = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion}{'\\n'}{end}"
    found = release.kubectl.within(NAMESPACE).run("get", *names, "-o", form).stdout.split()
    assert len(found) == len(names)
    return dict(one.split("=") for one in found)
